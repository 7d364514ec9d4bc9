"""In 95 % of the test sets drawn from images whose figures are known, each interval holds them."""

import numpy as np
import pytest

from apparel.evaluation import metrics

N_SETS = 2000
PER_CLASS = 250
NAMES = ("coat", "shirt", "bag", "boot")
SKILL = np.array([3.4, 2.8, 1.9, 2.5])


@pytest.fixture(scope="module")
def population():
    """So many images that their figures are the truth: probabilities and labels."""
    random = np.random.default_rng(0)
    labels = np.arange(200_000) % len(NAMES)
    logits = random.normal(size=(len(labels), len(NAMES)))
    logits[np.arange(len(labels)), labels] += SKILL[labels]
    odds = np.exp(1.9 * logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), labels


def intervals(evaluation):
    """Every figure by its name."""
    found = dict(evaluation.metrics)
    for scores in evaluation.per_class:
        for name in ("precision", "recall", "f1"):
            found[f"{name} of {scores.name}"] = getattr(scores, name)
    return found


def test_every_interval_holds_the_truth_as_often_as_it_says(population, monkeypatch):
    monkeypatch.setattr(metrics, "classification_report", lambda *_, **__: "")  # half the time
    probabilities, labels = population
    truth = intervals(metrics.evaluate(probabilities, labels, NAMES))
    random = np.random.default_rng(1)
    held = dict.fromkeys(truth, 0)
    for _ in range(N_SETS):
        # Every class as often as in the population, as the bootstrap within each class assumes.
        drawn = random.integers(0, len(labels) // len(NAMES), (len(NAMES), PER_CLASS))
        drawn = (drawn * len(NAMES) + np.arange(len(NAMES))[:, None]).ravel()
        result = metrics.evaluate(probabilities[drawn], labels[drawn], NAMES)
        for name, found in intervals(result).items():
            held[name] += found.low <= truth[name].value <= found.high
    coverage = {name: count / N_SETS for name, count in held.items()}
    assert {name: c for name, c in coverage.items() if not 0.93 <= c <= 0.97} == {}
