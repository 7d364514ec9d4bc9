"""The headline, and all rules together: their order, and silence about a healthy result."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apparel.core.records import Evidence, Interval, Topic
from apparel.explain.findings import RULES, explain, headline
from apparel.explain.findings.wording import listed
from tests.explain.made import (
    LEVEL,
    PERFECT,
    TYPICAL,
    confidences,
    curve,
    evaluation,
    evidence,
    falling,
    history,
    issues,
    robustness,
)

TEN = "abcdefghij"
VERBS = ("Add", "Check", "Compare", "Hold", "Let", "Look", "Lower", "Merge", "Test", "Train", "Use")


# -- headline ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confusion", "interval", "start", "end"),
    [
        (
            [[6, 4, 0], [0, 6, 4], [4, 0, 6]],
            (0.42, 0.75),
            "The model classifies 60.0 % of 30 test images correctly: about 4 images in 10 are "
            "wrong.",
            "42.0 % and 75.0 %.",
        ),
        (
            [[1, 9, 0], [9, 1, 0], [0, 9, 1]],
            (0.02, 0.27),
            "The model classifies 10.0 % of 30 test images correctly: about 1 image in 10 is "
            "right.",
            "2.0 % and 27.0 %: random guessing, at 33.3 %, is not clearly worse.",
        ),
        (PERFECT, (0.8, 1), "The model correctly classifies all 15 test images.", " 100.0 %."),
        ([[0, 3], [3, 0]], (0, 0.4), "The model misclassifies all 6 test images.", " worse."),
        ([[1, 0], [0, 0]], (0.6, 1), "The model correctly classifies the only test image.", ""),
    ],
)
def test_a_result_in_a_sentence_or_two(confusion, interval, start, end):
    value = evaluation(confusion).metrics["accuracy"].value
    text = headline(evaluation(confusion, accuracy=Interval(value, *interval)))
    assert text.startswith(f"{start} With 95 % confidence, its true accuracy lies between ")
    assert text.endswith(end)


def test_one_error_in_many_is_not_rounded_away_and_one_class_is_not_guessed():
    text = headline(evaluation([[9_999, 1], [0, 10_000]]))
    assert "99.995 % of 20,000 test images correctly: about 1 image in 20,000 is" in text
    assert "guessing" not in headline(evaluation([[3]]))


def test_where_classes_differ_in_size_the_balanced_accuracy_comes_first():
    result = evaluation([[90, 0], [5, 5]])
    balanced = {"balanced_accuracy": Interval(0.75, 0.6, 0.9)}
    text = headline(replace(result, metrics={**balanced, **result.metrics}))
    assert text.startswith(
        "Averaged over the classes, which differ much in size, the model classifies 75.0 % of a "
        "class's images correctly. The model classifies 95.0 % of 100 test images correctly: "
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [("a", "a"), ("ab", "a and b"), ("abcdef", "a, b, c, d, e and f"),
     ("abcdefg", "a, b, c, d, e and 2 others")],
)  # fmt: skip
def test_a_list_has_its_first_few_names(names, text):
    assert listed(list(names)) == text


# -- all rules together ------------------------------------------------------------------


def healthy():
    """10,000 images of ten classes, 95 % classified correctly, everything as it should be."""
    confusion = np.full((10, 10), 5)
    np.fill_diagonal(confusion, 955)
    result = replace(
        evaluation(confusion, TEN),
        reliability=confidences(Interval(0.015, 0.012, 0.018), (10_000, 0.965, 0.955)),
    )
    return Evidence(
        evaluation=result,
        history=LEVEL,
        images_per_class=[5400] * 10,
        label_issues=(issues("train", 60_000, (300, 0, 1)), issues("test", 10_000, (60, 0, 1))),
        robustness=robustness(curve("rotation", 0.89, 0.85, 0.80, 0.3, 0.1)),
    )


def test_nothing_is_found_in_a_healthy_result():
    assert explain(healthy()) == ()
    assert explain(Evidence(evaluation=healthy().evaluation)) == ()


def test_the_most_important_finding_comes_first():
    known = evidence(
        TYPICAL,
        history=history(falling(4), [0.5, 0.5, 0.4, 0.3]),
        label_issues=(issues("test", 300, (12, 0, 1)),),
    )
    assert [(finding.topic, round(finding.weight, 3)) for finding in explain(known)] == [
        ("hardest_class", 0.1),
        ("short_training", 0.053),
        ("suspicious_labels", 0.04),
        ("test_size", 0.039),
    ]


losses = st.floats(0, 10) | st.sampled_from([float("nan"), float("inf")])
shares = st.floats(0, 1) | st.just(float("nan"))


@st.composite
def anything_known(draw):
    """Any confusion matrix with an image, and any training history or none."""
    k = draw(st.integers(1, 5))
    numbers = st.integers(0, 3) | st.integers(0, 400)
    confusion = np.array(draw(st.lists(numbers, min_size=k * k, max_size=k * k))).reshape(k, k)
    confusion[0, draw(st.integers(0, k - 1))] += not confusion.any()
    epochs = draw(st.integers(0, 6))

    def values(kind):
        return tuple(draw(st.lists(kind, min_size=epochs, max_size=epochs)))

    trained = history(values(losses), values(losses), interrupted=draw(st.booleans()))
    if epochs:
        accuracies = {"accuracy": values(shares), "val_accuracy": values(shares)}
        trained = replace(
            trained,
            history={**trained.history, **accuracies},
            restored_epoch=draw(st.none() | st.integers(1, epochs)),
            harder=draw(st.booleans()),
        )
    return Evidence(
        evaluation=evaluation(confusion, TEN, n_valid=draw(st.integers(0, 2000))),
        history=draw(st.none() | st.just(trained)),
        images_per_class=draw(st.none() | st.lists(st.integers(0, 1000), min_size=k, max_size=k)),
    )


@given(anything_known())
def test_from_any_evidence_findings_are_ranked_sentences(known):
    found = explain(known)
    weights = [finding.weight for finding in found]
    assert weights == sorted(weights, reverse=True)
    assert all(0 <= weight <= 1 for weight in weights)
    topics = [finding.topic for finding in found]
    assert len(set(topics)) == len(topics) <= len(RULES)
    assert set(topics) <= set(get_args(Topic))
    for finding in found:
        assert 1 <= len(re.findall(r"[.](?:\s|$)", finding.text)) <= 2
        assert finding.text.endswith(".")
        assert finding.advice.split()[0] in VERBS
        assert len(re.findall(r"[.](?:\s|$)", finding.advice)) == 1
        assert not re.search(r"nan|inf\b|[{}]", finding.text + finding.advice)
