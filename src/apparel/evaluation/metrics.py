"""Evaluate probabilities against labels, with a 95 % interval on every metric.

Shares of images (accuracy, top-2 accuracy, precision and recall of a class) carry Wilson's
interval; means over images (log loss, Brier score) the normal one. F1 and all averages over the
classes carry the percentile bootstrap within each class: they depend on the confusion matrix only,
so drawing its rows from multinomial distributions equals resampling each class's images, and takes
milliseconds. `intervals` describes the interval of the calibration error.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import classification_report, confusion_matrix

from apparel.core.errors import ApparelError, DataError
from apparel.core.records import UNCALIBRATED, Calibration, ClassScores, Evaluation, Interval
from apparel.evaluation.calibration import (
    SMALLEST_PROBABILITY,
    abstain,
    reliability,
    uncalibrated,
)
from apparel.evaluation.intervals import (
    mean_interval,
    percentile_interval,
    share_interval,
    wilson_interval,
)

N_RESAMPLES = 2000
# The error of float32 sums over a thousand classes, and of bfloat16 softmaxes, stays below this.
LARGEST_SUM_ERROR = 0.01


def evaluate(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    *,
    averaged: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
    calibration: Calibration = UNCALIBRATED,
    leaked: NDArray[np.bool_] | None = None,
    imbalanced: bool = False,
) -> Evaluation:
    """Evaluate probabilities against labels.

    Args:
        probabilities: shape (n, k), rows sum to 1, from the calibrated model.
        labels: shape (n,), 0 to k - 1.
        class_names: k names.
        averaged: probabilities averaged over changed copies of the images, by the kind of change;
            each adds an accuracy.
        calibration: the calibration fitted on validation images.
        leaked: shape (n,), whether each image is also a training image; adds the accuracy on the
            others.
        imbalanced: whether training classes differed much in size. Then balanced accuracy, which
            says more, comes first.

    Returns:
        Every metric with its interval. A class never predicted has precision 0, as in
        scikit-learn with `zero_division=0`.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the values are not probabilities.
    """
    check_probabilities(probabilities, labels, len(class_names))
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    confusion = count_confusions(labels, predicted, len(class_names))
    per_class, averages = _scores(confusion, class_names)
    found = reliability(probabilities, labels)
    metrics = {
        "accuracy": _accuracy(probabilities, labels),
        **averages,
        "top_2_accuracy": share_interval(_is_in_top_2(probabilities, labels)),
        "log_loss": mean_interval(_log_losses(probabilities, labels)),
        "brier_score": mean_interval(_brier_scores(probabilities, labels)),
        "expected_calibration_error": found.expected_calibration_error,
    }
    if imbalanced:
        metrics = {"balanced_accuracy": metrics["balanced_accuracy"], **metrics}
    for name, means in averaged.items():
        metrics[f"accuracy_{name}_averaged"] = _accuracy(means, labels)
    if leaked is not None and leaked.any() and not leaked.all():
        metrics["accuracy_without_leaks"] = _accuracy(probabilities[~leaked], labels[~leaked])
    return Evaluation(
        true=labels,
        predicted=predicted,
        probabilities=probabilities,
        class_names=class_names,
        confusion=confusion,
        metrics=metrics,
        per_class=per_class,
        report=classification_report(
            labels,
            predicted,
            labels=range(len(class_names)),
            target_names=class_names,
            digits=4,
            zero_division=0,
        ),
        calibration=calibration,
        reliability=found,
        reliability_before=reliability(uncalibrated(probabilities, calibration), labels),
        abstention=abstain(probabilities, labels, calibration),
    )


def check_probabilities(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int
) -> None:
    """Check that each label has a probability for every class.

    Args:
        probabilities: expected shape (n, n_classes), finite, at least 0, rows that sum to 1.
        labels: shape (n,), expected 0 to `n_classes` - 1, n at least 1.
        n_classes: number of classes.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the values are not probabilities.
    """
    if len(labels) == 0 or probabilities.shape != (len(labels), n_classes):
        raise DataError(
            f"{len(labels)} labels of {n_classes} classes need probabilities of shape "
            f"({len(labels)}, {n_classes}), but they have shape {probabilities.shape}."
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels must be whole numbers of 0 to {n_classes - 1}, one for each class, but go "
            f"from {labels.min()} to {labels.max()}."
        )
    if not np.isfinite(probabilities).all():
        raise ApparelError(
            "the model gives probabilities that are not finite numbers: training diverged. "
            "Train again with a smaller learning rate."
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    off = int(np.abs(sums - 1).argmax())
    if abs(sums[off] - 1) > LARGEST_SUM_ERROR or probabilities.min() < 0:
        raise ApparelError(
            "the model gives no probabilities: those of an image must be at least 0 and sum to 1, "
            f"but those of image {off} sum to {sums[off]:.4g} and the least of all is "
            f"{probabilities.min():.4g}. Use a model that ends in softmax."
        )


def count_confusions(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Compute a confusion matrix.

    Args:
        true: shape (n,), 0 to `n_classes` - 1.
        predicted: shape (n,), likewise.
        n_classes: number of classes.

    Returns:
        Shape (n_classes, n_classes); row: true class, column: predicted class.

    Raises:
        DataError: the two have different shapes, or values that are not classes.
    """
    pair = np.asarray(true), np.asarray(predicted)
    for labels in pair:
        fits = labels.ndim == 1 and labels.shape == pair[0].shape and len(labels)
        whole = np.issubdtype(labels.dtype, np.integer)
        if not (fits and whole and labels.min() >= 0 and labels.max() < n_classes):
            raise DataError(
                "true and predicted classes must be whole numbers of 0 to "
                f"{n_classes - 1}, two arrays of one shape (n,), but are {pair[0].dtype} of shape "
                f"{pair[0].shape} and {pair[1].dtype} of shape {pair[1].shape}."
            )
    return confusion_matrix(*pair, labels=np.arange(n_classes)).astype(np.int64)  # type: ignore[no-any-return]  # scikit-learn publishes no types


def _accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Interval:
    return share_interval(probabilities.argmax(axis=1) == labels)


def _scores(
    confusion: NDArray[np.int64], class_names: tuple[str, ...]
) -> tuple[tuple[ClassScores, ...], dict[str, Interval]]:
    """Scores of each class and their averages from a (k, k) confusion matrix."""
    hits, called, support = counts = _class_counts(confusion)
    resampled = _resampled_class_counts(confusion)
    values, samples = _precision_recall_f1(*counts), _precision_recall_f1(*resampled)
    per_class = tuple(
        ClassScores(
            name=name,
            precision=wilson_interval(int(hits[k]), int(called[k])),
            recall=wilson_interval(int(hits[k]), int(support[k])),
            f1=percentile_interval(float(values[2][k]), samples[2][:, k]),
            support=int(support[k]),
        )
        for k, name in enumerate(class_names)
    )
    averages = {
        "balanced_accuracy": percentile_interval(
            float(_balanced(values[1], support)), _balanced(samples[1], support)
        )
    }
    for name, value, sample in zip(("precision", "recall", "f1"), values, samples, strict=True):
        averages[name] = percentile_interval(float(value.mean()), sample.mean(axis=-1))
    return per_class, averages


def _class_counts(confusion: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Correct predictions, predictions and images of each class."""
    return confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)


def _resampled_class_counts(confusion: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """`_class_counts` with each class's images resampled `N_RESAMPLES` times: shapes (…, k)."""
    random = np.random.default_rng(0)
    shape = (N_RESAMPLES, len(confusion))
    hits, called = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for true, row in enumerate(confusion):
        # With a thousand classes, nearly all pairs are empty.
        taken_for = np.flatnonzero(row)
        if len(taken_for):
            images = row.sum()
            drawn = random.multinomial(images, row[taken_for] / images, N_RESAMPLES)
            called[:, taken_for] += drawn
            hits[:, true] = drawn[:, taken_for == true].sum(axis=1)
    return hits, called, np.broadcast_to(confusion.sum(axis=1), shape)


def _balanced(recall: NDArray[np.float64], support: NDArray[np.int64]) -> Any:
    """The mean recall of the classes that have images, over the last axis."""
    return recall.sum(axis=-1) / np.count_nonzero(support)


def _precision_recall_f1(
    hits: NDArray[np.int64], called: NDArray[np.int64], support: NDArray[np.int64]
) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F1 of each class, shapes (…, k)."""
    return _ratio(hits, called), _ratio(hits, support), _ratio(2 * hits, called + support)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """The quotient, 0 where the divisor is 0."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _is_in_top_2(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Test whether each image's true class is among the two most probable."""
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return np.asarray((top == labels[:, None]).any(axis=1))


def _log_losses(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The negative log probability of each image's true class."""
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(likelihood, SMALLEST_PROBABILITY))


def _brier_scores(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The squared distance of each image's probabilities from the truth, 0 to 2.

    G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return np.asarray(np.square(probabilities - truth).sum(axis=1))
