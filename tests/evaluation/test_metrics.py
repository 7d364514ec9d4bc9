"""Metrics equal scikit-learn's; their intervals equal formulas written out here."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    classification_report,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    top_k_accuracy_score,
)

from apparel.core.errors import DataError
from apparel.core.records import Calibration
from apparel.evaluation.intervals import mean_interval, wilson_interval
from apparel.evaluation.metrics import count_confusions, evaluate

NAMES = ("ant", "bee", "cat", "dog")


def made_up(n=400, n_classes=4, seed=0, skill=1.5):
    """Probabilities that are often right, and the labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, n_classes, n)
    logits = random.normal(size=(n, n_classes)) + skill * np.eye(n_classes)[labels]
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), labels


def certain(predicted):
    return np.eye(len(NAMES), dtype=np.float32)[predicted]


def assert_equals_scikit_learn(result):
    true, predicted = result.true, result.predicted
    classes = range(len(result.class_names))
    asked = {"labels": classes, "zero_division": 0}
    expected = precision_recall_fscore_support(true, predicted, **asked)
    found = [[s.precision.value, s.recall.value, s.f1.value, s.support] for s in result.per_class]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12)
    macro = precision_recall_fscore_support(true, predicted, average="macro", **asked)[:3]
    metrics = {name: interval.value for name, interval in result.metrics.items()}
    np.testing.assert_allclose(
        [metrics[name] for name in ("precision", "recall", "f1")], macro, rtol=1e-12
    )
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, predicted), rel=1e-12)
    recall = recall_score(true, predicted, labels=np.unique(true), average="macro")
    assert metrics["balanced_accuracy"] == pytest.approx(recall)
    assert result.report == classification_report(
        true, predicted, target_names=result.class_names, digits=4, **asked
    )
    np.testing.assert_array_equal(
        result.confusion, confusion_matrix(true, predicted, labels=classes)
    )


def test_an_evaluation_has_every_metric_in_its_order():
    probabilities, labels = made_up()
    result = evaluate(probabilities, labels, NAMES)
    assert list(result.metrics) == [
        "accuracy", "balanced_accuracy", "precision", "recall", "f1", "top_2_accuracy", "log_loss",
        "brier_score", "expected_calibration_error",
    ]  # fmt: skip
    assert [scores.name for scores in result.per_class] == list(NAMES)
    assert result.probabilities is probabilities
    again = evaluate(probabilities, labels, NAMES)
    assert (again.metrics, again.per_class) == (result.metrics, result.per_class)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(2, 40), st.integers(0, 2**32 - 1), st.floats(0, 6))
def test_metrics_equal_scikit_learns(n, n_classes, seed, skill):
    probabilities, labels = made_up(n, n_classes, seed, skill)
    names = tuple(f"class {k}" for k in range(n_classes))
    result = evaluate(probabilities, labels, names)
    doubles = probabilities.astype(np.float64)
    doubles /= doubles.sum(axis=1, keepdims=True)
    asked = {"labels": range(n_classes)}
    brier = brier_score_loss(labels, doubles, **asked, scale_by_half=False)
    assert result.metrics["brier_score"].value == pytest.approx(brier, abs=1e-6)
    loss = log_loss(labels, doubles, **asked)
    assert result.metrics["log_loss"].value == pytest.approx(loss, rel=1e-5, abs=1e-6)
    top = top_k_accuracy_score(labels, probabilities, k=2, **asked) if n_classes > 2 else 1.0
    assert result.metrics["top_2_accuracy"] == wilson_interval(round(top * n), n)
    assert_equals_scikit_learn(result)


def test_every_value_carries_its_interval():
    """Wilson's, or that of a mean; `test_coverage` simulates the bootstrap."""
    probabilities, labels = made_up()
    result = evaluate(probabilities, labels, NAMES)
    right = result.confusion.diagonal()
    for k, scores in enumerate(result.per_class):
        assert scores.recall == wilson_interval(right[k], (labels == k).sum())
        assert scores.precision == wilson_interval(right[k], (result.predicted == k).sum())
        assert 0 <= scores.f1.low < scores.f1.value < scores.f1.high <= 1
    assert result.metrics["accuracy"] == wilson_interval(right.sum(), len(labels))
    truth = np.eye(4)[labels]
    losses = mean_interval(-np.log((probabilities * truth).sum(axis=1)))
    squares = mean_interval(((probabilities - truth) ** 2).sum(axis=1))
    for name, expected in (("log_loss", losses), ("brier_score", squares)):
        found = result.metrics[name]
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_of_equal_probabilities_the_first_class_counts():
    metrics = evaluate(np.full((2, 4), 0.25, np.float32), np.array([1, 2]), NAMES).metrics
    assert (metrics["accuracy"].value, metrics["top_2_accuracy"].value) == (0, 0.5)


def test_the_error_before_calibration_is_that_of_the_uncalibrated_probabilities():
    probabilities, labels = made_up()
    calibration = Calibration(temperature=2.0, target_accuracy=0.9, threshold=0.5, n_images=10)
    result = evaluate(probabilities, labels, NAMES, calibration=calibration)
    squares = probabilities.astype(np.float64) ** 2
    squares /= squares.sum(axis=1, keepdims=True)
    expected = evaluate(squares.astype(np.float32), labels, NAMES).metrics
    before = result.reliability_before.expected_calibration_error
    assert before.value == pytest.approx(expected["expected_calibration_error"].value, abs=1e-6)
    after = result.reliability.expected_calibration_error
    assert result.metrics["expected_calibration_error"] == after
    assert result.calibration is calibration
    answered = probabilities.max(axis=1) >= 0.5
    assert result.abstention.coverage == wilson_interval(answered.sum(), len(labels))


# -- further accuracies ------------------------------------------------------------------


def test_averaged_probabilities_add_an_accuracy_and_change_no_other_metric():
    probabilities, labels = made_up()
    averaged = np.roll(probabilities, 100, axis=0)
    metrics = dict(evaluate(probabilities, labels, NAMES, averaged={"flip": averaged}).metrics)
    right = int((averaged.argmax(axis=1) == labels).sum())
    assert metrics.pop("accuracy_flip_averaged") == wilson_interval(right, len(labels))
    assert metrics == evaluate(probabilities, labels, NAMES).metrics


def test_balanced_accuracy_leads_where_classes_differ_in_size():
    names = list(evaluate(*made_up(), NAMES, imbalanced=True).metrics)
    assert names[:2] == ["balanced_accuracy", "accuracy"]


def test_the_accuracy_without_leaks_is_that_of_the_other_images():
    probabilities, labels = made_up()
    leaked = np.arange(400) % 5 == 0
    metrics = evaluate(probabilities, labels, NAMES, leaked=leaked).metrics
    right = probabilities.argmax(axis=1) == labels
    assert metrics["accuracy_without_leaks"] == wilson_interval(int(right[~leaked].sum()), 320)
    assert metrics["accuracy"].value == right.mean()
    for all_alike in (np.zeros(400, bool), np.ones(400, bool)):
        metrics = evaluate(probabilities, labels, NAMES, leaked=all_alike).metrics
        assert "accuracy_without_leaks" not in metrics


def test_a_true_class_of_probability_zero_costs_a_finite_loss():
    loss = evaluate(certain([0, 1]), np.array([1, 1]), NAMES).metrics["log_loss"]
    smallest = 126 * math.log(2)  # the smallest normal float32 is 2 ** -126
    assert (loss.value, loss.low) == (pytest.approx(smallest / 2), 0)


# -- confusion matrix -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ([0, 1], [0, 1, 1]),
        ([], []),
        ([0, 3], [0, 1]),
        ([0, 1], [-1, 1]),
        ([0.0, 1.0], [0, 1]),
        ([[0, 1]], [[0, 1]]),
    ],
)
def test_labels_that_are_no_classes_are_refused(true, predicted):
    with pytest.raises(DataError, match=r"must be whole numbers of 0 to 2, two arrays"):
        count_confusions(true, predicted, 3)
