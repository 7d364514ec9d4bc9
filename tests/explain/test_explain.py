"""All rules together: what is said of a healthy result, and in which order of any other."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from apparel.core.records import Evidence, Finding, Interval, Topic
from apparel.explain.findings import RULES, explain
from tests.explain.made import (
    LEVEL,
    TYPICAL,
    confidences,
    curve,
    evaluation,
    evidence,
    falling,
    history,
    robustness,
    suspects,
)

TEN = "abcdefghij"
VERBS = ("Add", "Check", "Compare", "Hold", "Let", "Look", "Lower", "Merge", "Test", "Train", "Use")


def healthy():
    """10,000 images of ten classes, 95 % named correctly, everything known and as it should be."""
    confusion = np.full((10, 10), 5)
    np.fill_diagonal(confusion, 0)
    np.fill_diagonal(confusion, 1000 - confusion.sum(axis=1))
    result = replace(
        evaluation(confusion, TEN),
        reliability=confidences(Interval(0.015, 0.012, 0.018), (10_000, 0.965, 0.955)),
    )
    return Evidence(
        evaluation=result,
        history=LEVEL,
        images_per_class=[5400] * 10,
        label_issues=(suspects("train", 60_000, (300, 0, 1)), suspects("test", 10_000, (60, 0, 1))),
        robustness=robustness(curve("rotation", 0.89, 0.85, 0.80, 0.3, 0.1)),
    )


def test_nothing_is_found_in_a_healthy_result():
    known = healthy()
    assert known.evaluation.metrics["accuracy"].value == 0.955
    assert explain(known) == ()


def test_nothing_is_found_where_all_but_the_result_is_unknown():
    assert explain(Evidence(evaluation=healthy().evaluation)) == ()


def test_what_matters_most_comes_first():
    known = replace(
        evidence(TYPICAL, history=history(falling(4), [0.5, 0.5, 0.4, 0.3])),
        label_issues=(suspects("test", 300, (12, 0, 1)),),
    )
    found = explain(known)
    assert [finding.topic for finding in found] == [
        "hardest_class", "short_training", "suspicious_labels", "test_size",
    ]  # fmt: skip
    assert [round(finding.weight, 3) for finding in found] == [0.1, 0.053, 0.04, 0.039]


def test_of_equal_weights_the_earlier_rule_comes_first(monkeypatch):
    def rule(topic, weight):
        finding = Finding(topic=topic, text="", advice="", weight=weight)
        return lambda known: finding

    rules = (rule("gap", 0.5), lambda known: None, rule("imbalance", 1.0), rule("guessing", 0.5))
    monkeypatch.setattr("apparel.explain.findings.RULES", rules)
    assert [f.topic for f in explain(healthy())] == ["imbalance", "gap", "guessing"]


losses = st.floats(0, 10) | st.sampled_from([float("nan"), float("inf")])
shares = st.floats(0, 1) | st.just(float("nan"))


@st.composite
def anything_known(draw):
    """Any confusion matrix with an image, and any course of training or none."""
    k = draw(st.integers(1, 5))
    numbers = st.integers(0, 3) | st.integers(0, 400)
    confusion = np.array(draw(st.lists(numbers, min_size=k * k, max_size=k * k))).reshape(k, k)
    confusion[0, draw(st.integers(0, k - 1))] += not confusion.any()
    epochs = draw(st.integers(0, 6))

    def an_epoch(values):
        return tuple(draw(st.lists(values, min_size=epochs, max_size=epochs)))

    course = history(an_epoch(losses), an_epoch(losses), interrupted=draw(st.booleans()))
    if epochs:
        course = replace(
            course,
            history={
                **course.history,
                "accuracy": an_epoch(shares),
                "val_accuracy": an_epoch(shares),
            },
            restored_epoch=draw(st.none() | st.integers(1, epochs)),
            harder=draw(st.booleans()),
        )
    return Evidence(
        evaluation=evaluation(confusion, TEN, n_valid=draw(st.integers(0, 2000))),
        history=draw(st.none() | st.just(course)),
        images_per_class=draw(st.none() | st.lists(st.integers(0, 1000), min_size=k, max_size=k)),
    )


@given(anything_known())
def test_whatever_is_known_the_findings_are_ranked_sentences(known):
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
