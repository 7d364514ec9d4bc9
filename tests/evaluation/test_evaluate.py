import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
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

from apparel.core.errors import ApparelError, DataError
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


def shown(scores):
    return [[s.precision.value, s.recall.value, s.f1.value, s.support] for s in scores]


def assert_equals_scikit_learn(result):
    classes = range(len(result.class_names))
    asked = {"labels": classes, "zero_division": 0}
    expected = precision_recall_fscore_support(result.true, result.predicted, **asked)
    np.testing.assert_allclose(shown(result.per_class), np.transpose(expected), rtol=1e-12)
    macro = precision_recall_fscore_support(
        result.true, result.predicted, average="macro", **asked
    )[:3]
    found = [result.metrics[name].value for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(found, macro, rtol=1e-12)
    accuracy = accuracy_score(result.true, result.predicted)
    assert result.metrics["accuracy"].value == pytest.approx(accuracy, rel=1e-12)
    assert result.report == classification_report(
        result.true,
        result.predicted,
        target_names=result.class_names,
        digits=4,
        **asked,
    )
    np.testing.assert_array_equal(
        result.confusion, confusion_matrix(result.true, result.predicted, labels=classes)
    )


def assert_intervals_hold_their_values(result):
    every = [*result.metrics.values()]
    every += [i for s in result.per_class for i in (s.precision, s.recall, s.f1)]
    assert all(0 <= i.low <= i.value <= i.high for i in every)
    above_one = {"log_loss", "brier_score"}
    assert all(i.high <= 1 for name, i in result.metrics.items() if name not in above_one)


def test_every_figure_equals_scikit_learns():
    probabilities, labels = made_up()
    result = evaluate(probabilities, labels, NAMES)
    assert_equals_scikit_learn(result)
    assert_intervals_hold_their_values(result)
    assert list(result.metrics) == [
        "accuracy", "balanced_accuracy", "precision", "recall", "f1", "top_2_accuracy", "log_loss",
        "brier_score", "expected_calibration_error",
    ]  # fmt: skip
    assert [scores.name for scores in result.per_class] == list(NAMES)
    np.testing.assert_array_equal(result.predicted, probabilities.argmax(axis=1))
    assert result.probabilities is probabilities


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(2, 60), st.integers(0, 2**32 - 1), st.floats(0, 6))
def test_figures_of_probabilities_equal_scikit_learns(n, n_classes, seed, skill):
    probabilities, labels = made_up(n, n_classes, seed, skill)
    names = tuple(f"class {k}" for k in range(n_classes))
    result = evaluate(probabilities, labels, names)
    doubles = probabilities.astype(np.float64)
    doubles /= doubles.sum(axis=1, keepdims=True)
    asked = {"labels": range(n_classes)}
    brier = brier_score_loss(labels, doubles, **asked, scale_by_half=False)
    assert result.metrics["brier_score"].value == pytest.approx(brier, abs=1e-6)
    top = 1.0
    if n_classes > 2:
        top = top_k_accuracy_score(labels, probabilities, k=2, **asked)
    assert result.metrics["top_2_accuracy"] == wilson_interval(round(top * n), n)
    loss = log_loss(labels, doubles, **asked)
    assert result.metrics["log_loss"].value == pytest.approx(loss, rel=1e-5, abs=1e-6)
    present = np.unique(labels)
    recall = recall_score(labels, result.predicted, labels=present, average="macro")
    assert result.metrics["balanced_accuracy"].value == pytest.approx(recall)
    assert_equals_scikit_learn(result)
    assert_intervals_hold_their_values(result)


def test_the_brier_score_carries_the_normal_interval_of_a_mean():
    probabilities, labels = made_up()
    truth = np.eye(4)[labels]
    distances = [((row - one) ** 2).sum() for row, one in zip(probabilities, truth, strict=True)]
    found = evaluate(probabilities, labels, NAMES).metrics["brier_score"]
    expected = mean_interval(distances)
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high), rel=1e-6
    )


def test_balanced_accuracy_leaves_out_classes_without_images():
    result = evaluate(certain([0, 1, 2, 2]), np.array([0, 1, 2, 0]), NAMES)
    assert result.metrics["balanced_accuracy"].value == pytest.approx((0.5 + 1 + 1) / 3)


def test_of_equal_probabilities_the_first_class_counts():
    equal = np.full((2, 4), 0.25, np.float32)
    metrics = evaluate(equal, np.array([1, 2]), NAMES).metrics
    assert metrics["accuracy"].value == 0
    assert metrics["top_2_accuracy"].value == 0.5


def test_a_thousand_classes_are_scored():
    names = tuple(str(k) for k in range(1000))
    probabilities, labels = made_up(n=3000, n_classes=1000, skill=8)
    result = evaluate(probabilities, labels, names)
    assert_equals_scikit_learn(result)
    assert_intervals_hold_their_values(result)


def test_the_error_without_the_temperature_is_that_of_the_sharper_probabilities():
    probabilities, labels = made_up()
    calibration = Calibration(temperature=2.0, target_accuracy=0.9, threshold=0.5, n_images=10)
    result = evaluate(probabilities, labels, NAMES, calibration=calibration)
    squares = probabilities.astype(np.float64) ** 2
    squares /= squares.sum(axis=1, keepdims=True)
    expected = evaluate(squares.astype(np.float32), labels, NAMES).reliability
    found = result.reliability_before
    assert found.expected_calibration_error.value == pytest.approx(
        expected.expected_calibration_error.value, abs=1e-6
    )
    assert result.metrics["expected_calibration_error"] == (
        result.reliability.expected_calibration_error
    )
    assert result.calibration is calibration
    answered = probabilities.max(axis=1) >= 0.5
    assert result.abstention.coverage == wilson_interval(answered.sum(), len(labels))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_any_mixture_of_right_and_wrong_equals_scikit_learn(pairs):
    true, predicted = np.array(pairs).T
    assert_equals_scikit_learn(evaluate(certain(predicted), true, NAMES))


def test_averaged_probabilities_give_an_accuracy_more_and_change_no_other_figure():
    probabilities, labels = made_up()
    averaged = np.roll(probabilities, 100, axis=0)
    result = evaluate(probabilities, labels, NAMES, averaged={"flip": averaged})
    metrics = dict(result.metrics)
    accuracy = metrics.pop("accuracy_flip_averaged")
    assert accuracy.value == accuracy_score(labels, averaged.argmax(axis=1))
    assert accuracy == wilson_interval(int(accuracy.value * len(labels) + 0.5), len(labels))
    assert metrics == evaluate(probabilities, labels, NAMES).metrics


def test_a_class_never_predicted_has_precision_zero():
    result = evaluate(certain([0, 0, 1, 2]), np.array([0, 3, 1, 2]), NAMES)
    dog = result.per_class[3]
    assert (dog.precision.value, dog.recall.value, dog.f1.value, dog.support) == (0, 0, 0, 1)
    assert (dog.precision.low, dog.precision.high) == (0, 1)  # nothing was tried
    assert_equals_scikit_learn(result)


def test_a_class_with_no_images_has_recall_zero_and_counts_in_the_averages():
    result = evaluate(certain([0, 1, 2]), np.array([0, 1, 2]), NAMES)
    dog = result.per_class[3]
    assert (dog.recall.value, dog.recall.low, dog.recall.high, dog.support) == (0, 0, 1, 0)
    assert result.metrics["recall"].value == 0.75
    assert_equals_scikit_learn(result)


@pytest.mark.parametrize(("predicted", "right"), [(2, True), (1, False)])
def test_a_single_image_can_be_scored(predicted, right):
    result = evaluate(certain([predicted]), np.array([2]), NAMES)
    accuracy = result.metrics["accuracy"]
    assert accuracy.value == right
    # Wilson's interval of 1 of 1 begins at 1 / (1 + z²); 0 of 1 mirrors it.
    edge = 1 / (1 + 1.959964**2)
    expected = (edge, 1) if right else (0, 1 - edge)
    assert (accuracy.low, accuracy.high) == pytest.approx(expected, abs=1e-6)
    assert_equals_scikit_learn(result)


def test_a_perfect_result_is_one_everywhere():
    labels = np.repeat(range(4), 25)
    result = evaluate(certain(labels), labels, NAMES)
    assert shown(result.per_class) == [[1, 1, 1, 25]] * 4
    for name in ("precision", "recall", "f1"):
        interval = result.metrics[name]
        assert (interval.value, interval.low, interval.high) == (1, 1, 1)
    assert result.metrics["log_loss"].value == 0
    assert result.metrics["accuracy"].high == 1
    assert result.metrics["accuracy"].low == pytest.approx(0.9630, abs=1e-4)


# -- intervals -------------------------------------------------------------------------


def test_recall_precision_and_accuracy_carry_wilsons_interval():
    probabilities, labels = made_up()
    result = evaluate(probabilities, labels, NAMES)
    right = result.confusion.diagonal()
    for k, scores in enumerate(result.per_class):
        assert scores.recall == wilson_interval(right[k], (labels == k).sum())
        assert scores.precision == wilson_interval(right[k], (result.predicted == k).sum())
    assert result.metrics["accuracy"] == wilson_interval(right.sum(), len(labels))


def bootstrap_over_images(true, predicted, n_classes, n_resamples=4000):
    """Scores of each class, shape (3, n_resamples, k), from each class's images drawn anew."""
    random = np.random.default_rng(1)
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(true == k), (n_resamples, (true == k).sum()))
         for k in range(n_classes)],
        axis=1,
    )  # fmt: skip
    true, predicted = true[chosen], predicted[chosen]
    scores = []
    for k in range(n_classes):
        both = ((true == k) & (predicted == k)).sum(axis=1)
        precision = both / (predicted == k).sum(axis=1)
        recall = both / (true == k).sum(axis=1)
        scores.append((precision, recall, 2 * precision * recall / (precision + recall)))
    return np.transpose(scores, (1, 2, 0))


def test_bootstrap_intervals_equal_those_from_drawing_images():
    probabilities, labels = made_up(n=300)
    result = evaluate(probabilities, labels, NAMES)
    samples = bootstrap_over_images(result.true, result.predicted, len(NAMES))
    quantiles = (0.025, 0.975)
    for name, sample in zip(("precision", "recall", "f1"), samples, strict=True):
        interval = result.metrics[name]
        expected = np.quantile(sample.mean(axis=1), quantiles)
        assert (interval.low, interval.high) == pytest.approx(expected, abs=0.006)
    for k, scores in enumerate(result.per_class):
        expected = np.quantile(samples[2][:, k], quantiles)
        assert (scores.f1.low, scores.f1.high) == pytest.approx(expected, abs=0.012)


def test_the_same_result_has_the_same_intervals():
    probabilities, labels = made_up()
    first, second = (evaluate(probabilities, labels, NAMES) for _ in range(2))
    assert first.metrics == second.metrics
    assert first.per_class == second.per_class


# -- log loss --------------------------------------------------------------------------


def test_log_loss_equals_scikit_learns_with_its_normal_interval():
    probabilities, labels = made_up()
    loss = evaluate(probabilities, labels, NAMES).metrics["log_loss"]
    doubles = probabilities.astype(np.float64)
    doubles /= doubles.sum(axis=1, keepdims=True)
    assert loss.value == pytest.approx(log_loss(labels, doubles), rel=1e-6)
    losses = [-math.log(row[label]) for row, label in zip(doubles, labels, strict=True)]
    expected = stats.norm.interval(0.95, np.mean(losses), np.std(losses) / math.sqrt(400))
    assert (loss.low, loss.high) == pytest.approx(expected, rel=1e-6)


def test_a_true_class_of_probability_zero_costs_a_finite_loss():
    loss = evaluate(certain([0, 1]), np.array([1, 1]), NAMES).metrics["log_loss"]
    smallest = 126 * math.log(2)  # the smallest normal float32 is 2 ** -126
    assert loss.value == pytest.approx(smallest / 2)
    assert loss.low == 0


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_probabilities_that_are_not_finite_are_refused(value):
    probabilities = certain([0, 1])
    probabilities[1, 2] = value
    with pytest.raises(ApparelError, match="not finite numbers: training diverged"):
        evaluate(probabilities, np.array([0, 1]), NAMES)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.1, 0.1, 0.1], "those of image 1 sum to 0.8"),
        ([2.0, 1.0, 1.0, 1.0], "those of image 1 sum to 5"),
        ([1.2, -0.2, 0.0, 0.0], "the least of all is -0.2"),
    ],
)
def test_what_is_no_probability_is_refused(row, message):
    probabilities = np.array([[0.25] * 4, row], np.float32)
    with pytest.raises(ApparelError, match=message):
        evaluate(probabilities, np.array([0, 1]), NAMES)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3), (2, 5), (2,), (2, 4, 1), (0, 4)])
def test_probabilities_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"need probabilities of shape \(2, 4\)"):
        evaluate(np.zeros(shape, np.float32), np.array([0, 1]), NAMES)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="0 labels"):
        evaluate(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), NAMES)


def test_confusions_are_counted_by_true_row_and_predicted_column():
    counts = count_confusions([0, 0, 0, 2, 1], [0, 2, 2, 1, 1], 3)
    assert counts.tolist() == [[1, 0, 2], [0, 1, 0], [0, 1, 0]]
    assert counts.dtype == np.int64


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ([0, 1], [0, 1, 1]),
        ([0, 1, 1], [0, 1]),
        ([], []),
        ([0, 3], [0, 1]),
        ([0, 1], [0, 3]),
        ([0, -1], [0, 1]),
        ([0, 1], [-1, 1]),
        ([0.0, 1.0], [0, 1]),
        ([0, 1], [0.5, 1]),
        (["0", "1"], [0, 1]),
        ([[0, 1]], [[0, 1]]),
        ([0, 1], [[0, 1]]),
        (1, 1),
    ],
)
def test_labels_that_are_no_classes_are_refused(true, predicted):
    with pytest.raises(DataError, match=r"must be whole numbers of 0 to 2, two arrays"):
        count_confusions(true, predicted, 3)


# -- classes of different size, and leaks ------------------------------------------------


@pytest.mark.parametrize("imbalanced", [False, True])
def test_balanced_accuracy_leads_where_classes_differ_in_size(imbalanced):
    result = evaluate(*made_up(), NAMES, imbalanced=imbalanced)
    leading, *others = result.metrics
    assert leading == ("balanced_accuracy" if imbalanced else "accuracy")
    assert ("accuracy" if imbalanced else "balanced_accuracy") in others


def test_the_accuracy_without_leaks_is_that_of_the_other_images():
    probabilities, labels = made_up()
    leaked = np.arange(400) % 5 == 0
    result = evaluate(probabilities, labels, NAMES, leaked=leaked)
    right = probabilities.argmax(axis=1) == labels
    expected = wilson_interval(int(right[~leaked].sum()), 320)
    assert result.metrics["accuracy_without_leaks"] == expected
    assert result.metrics["accuracy"].value == right.mean()


@pytest.mark.parametrize("leaked", [None, np.zeros(400, bool), np.ones(400, bool)])
def test_without_leaks_or_with_nothing_else_there_is_one_accuracy(leaked):
    assert "accuracy_without_leaks" not in evaluate(*made_up(), NAMES, leaked=leaked).metrics
