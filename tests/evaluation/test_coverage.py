"""Simulations: intervals hold the truth, and tests err, as often as they say.

The default tier draws 200 test sets and `statistics` 2,000. Counts must lie within the middle
99.99 % of the binomial distribution of the rate promised.
"""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from apparel.evaluation import metrics
from apparel.evaluation.calibration import fit, reliability
from apparel.evaluation.comparison import compare_groups, compare_pair
from tests.evaluation.test_calibration import made_up
from tests.evaluation.test_comparison import run, seeds

PER_CLASS = 250
NAMES = ("coat", "shirt", "bag", "boot")
SKILL = np.array([3.4, 2.8, 1.9, 2.5])
ROUNDS = [200, pytest.param(2000, marks=pytest.mark.statistics)]


def bounds(rounds, rate=0.95):
    """The counts between which events of this rate lie but once in 10,000 simulations."""
    return binom.interval(0.9999, rounds, rate)


def intervals(evaluation):
    """Every interval by its name."""
    found = dict(evaluation.metrics)
    for scores in evaluation.per_class:
        for name in ("precision", "recall", "f1"):
            found[f"{name} of {scores.name}"] = getattr(scores, name)
    return found


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_intervals_of_all_metrics_hold_the_truth(rounds, monkeypatch):
    random = np.random.default_rng(0)
    labels = np.arange(200_000) % len(NAMES)
    logits = random.normal(size=(len(labels), len(NAMES)))
    logits[np.arange(len(labels)), labels] += SKILL[labels]
    odds = np.exp(1.9 * logits)
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    # These take most of the time; the next test simulates the calibration error.
    known = reliability(probabilities[:100], labels[:100])
    monkeypatch.setattr(metrics, "reliability", lambda *_: known)
    monkeypatch.setattr(metrics, "classification_report", lambda *_, **__: "")
    truth = intervals(metrics.evaluate(probabilities, labels, NAMES))
    del truth["expected_calibration_error"]
    held = dict.fromkeys(truth, 0)
    for _ in range(rounds):
        # Every class as often as in the population, as the bootstrap within each class assumes.
        drawn = random.integers(0, len(labels) // len(NAMES), (len(NAMES), PER_CLASS))
        drawn = (drawn * len(NAMES) + np.arange(len(NAMES))[:, None]).ravel()
        result = intervals(metrics.evaluate(probabilities[drawn], labels[drawn], NAMES))
        for name, value in truth.items():
            held[name] += result[name].low <= value.value <= result[name].high
    # With a fixed number of images of each class, precision varies less than Wilson's interval
    # allows for, which therefore holds the truth in up to 97 %.
    low, high = bounds(rounds)[0], bounds(rounds, 0.97)[1]
    assert {name: count for name, count in held.items() if not low <= count <= high} == {}


CASES = [(500, 0.8), (500, 1.5), (4000, 0.8), (4000, 1.15)]


@pytest.mark.parametrize(
    ("n", "sharpness", "rounds"),
    [
        (500, 1.5, 200),
        *(pytest.param(*case, 2000, marks=pytest.mark.statistics) for case in CASES),
    ],
)
def test_the_interval_of_the_calibration_error_holds_the_truth(n, sharpness, rounds):
    """The truth is that of the bins' edges, by a million images with known probabilities."""
    random = np.random.default_rng(1)

    def draw(count):
        logits = np.abs(random.normal(2.5, 1.5, count))
        true, said = expit(logits), np.maximum(expit(sharpness * logits), 0.5)
        return true, said.astype(np.float32)

    true, said = draw(1_000_000)
    bins = np.ceil(said * 15)
    truth = sum(abs((true - said)[bins == k].sum()) for k in np.unique(bins)) / len(true)
    held = 0
    for _ in range(rounds):
        true, said = draw(n)
        labels = (random.random(n) > true).astype(np.int64)
        error = reliability(np.stack([said, 1 - said], axis=1), labels).expected_calibration_error
        held += error.low <= truth <= error.high
    low, high = bounds(rounds)
    assert low <= held <= high


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.statistics)])
def test_a_calibrated_model_is_seldom_changed(smoothed, rounds):
    changed = sum(
        fit(*made_up(n=300, seed=seed), target_accuracy=0.9, smoothed=smoothed).is_needed
        for seed in range(rounds)
    )
    assert changed <= bounds(rounds, 0.05)[1]


def correlated(random, n, first, second):
    """Two models, right on about these shares of the images, that find the same ones hard."""
    hardness = random.random(n) + random.normal(scale=0.05, size=(2, n))
    return run(hardness[0] < first), run(hardness[1] < second)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize(("first", "second"), [(0.9, 0.92), (0.5, 0.52), (0.6, 0.95)])
def test_the_interval_of_a_difference_holds_the_truth(first, second, rounds):
    random = np.random.default_rng(1)
    one, other = correlated(random, 1_000_000, first, second)
    truth = other.accuracy - one.accuracy
    held = 0
    for _ in range(rounds):
        share = compare_pair(*correlated(random, 2000, first, second)).accuracy.share
        held += share.low <= truth <= share.high
    low, high = bounds(rounds)
    assert low <= held <= high


def equal_models(random):
    return compare_pair(*correlated(random, 1000, 0.92, 0.92))


def equal_settings(random):
    ones, others = random.normal(0.93, 0.004, (2, 5))
    return compare_groups(seeds(ones, "a", 10_000), seeds(others, "b", 10_000))


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("compare", [equal_models, equal_settings])
def test_equals_are_seldom_called_different(compare, rounds):
    random = np.random.default_rng(2)
    said = sum(compare(random).accuracy.is_evident for _ in range(rounds))
    assert 0 < said <= bounds(rounds, 0.05)[1]
