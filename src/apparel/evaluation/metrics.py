"""Probabilities and labels → Evaluation, with a 95 % interval on every figure.

Shares of images (accuracy, also among the first two classes, precision and recall of a class)
carry Wilson's interval, means over images (log loss, Brier score) the normal one. F1 and all
averages over the classes carry the percentile bootstrap within each class: they depend on the
confusion matrix alone, so drawing its rows from multinomial distributions is the same as drawing
each class's images anew, and takes milliseconds. The interval of the calibration error is
described in `intervals`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import classification_report, confusion_matrix

from apparel.core.errors import DataError
from apparel.core.records import UNCALIBRATED, Calibration, ClassScores, Evaluation, Interval
from apparel.evaluation.calibration import abstain, reliability, uncalibrated
from apparel.evaluation.intervals import (
    mean_interval,
    percentile_interval,
    share_interval,
    wilson_interval,
)
from apparel.evaluation.probabilities import check_probabilities

N_RESAMPLES = 2000
_SMALLEST = float(np.finfo(np.float32).tiny)


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
    """Score probabilities against labels.

    Args:
        probabilities: shape (n, k), rows sum to 1.
        labels: shape (n,), 0 to k - 1.
        class_names: k names.
        averaged: probabilities averaged over changed copies of the images, by what they are
            averaged over; each gives an accuracy more.
        calibration: what was chosen on validation images; the probabilities are those of the
            calibrated model.
        leaked: shape (n,), which images are among the training images as well; they give an
            accuracy more, that of the others.
        imbalanced: whether classes differed much in size in training; then balanced accuracy,
            which says more, comes first.

    Returns:
        Every figure with its interval. A class never predicted has precision 0, as in
        scikit-learn with `zero_division=0`.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the probabilities are none.
    """
    check_probabilities(probabilities, labels, len(class_names))
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    classes = np.arange(len(class_names))
    confusion = count_confusions(labels, predicted, len(class_names))
    per_class, averages = _scores(confusion, class_names)
    found = reliability(probabilities, labels)
    return Evaluation(
        true=labels,
        predicted=predicted,
        probabilities=probabilities,
        class_names=class_names,
        confusion=confusion,
        metrics={
            **_leading(_accuracy(probabilities, labels), averages, imbalanced),
            "top_2_accuracy": share_interval(_among_first_two(probabilities, labels)),
            "log_loss": mean_interval(_log_losses(probabilities, labels)),
            "brier_score": mean_interval(_brier_scores(probabilities, labels)),
            "expected_calibration_error": found.expected_calibration_error,
            **{
                f"accuracy_{name}_averaged": _accuracy(means, labels)
                for name, means in averaged.items()
            },
            **_without_leaks(probabilities, labels, leaked),
        },
        per_class=per_class,
        report=classification_report(
            labels, predicted, labels=classes, target_names=class_names, digits=4, zero_division=0
        ),
        calibration=calibration,
        reliability=found,
        reliability_before=reliability(uncalibrated(probabilities, calibration), labels),
        abstention=abstain(probabilities, labels, calibration),
    )


def _leading(
    accuracy: Interval, averages: Mapping[str, Interval], imbalanced: bool
) -> dict[str, Interval]:
    """Put the figure first that says most."""
    leading = {"accuracy": accuracy, **averages}
    if imbalanced:
        return {"balanced_accuracy": averages["balanced_accuracy"], **leading}
    return leading


def _without_leaks(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    leaked: NDArray[np.bool_] | None,
) -> dict[str, Interval]:
    """The accuracy on images that were not trained on, where some were and others not."""
    if leaked is None or not leaked.any() or leaked.all():
        return {}
    return {"accuracy_without_leaks": _accuracy(probabilities[~leaked], labels[~leaked])}


def _accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Interval:
    return share_interval(probabilities.argmax(axis=1) == labels)


def count_confusions(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count how often each class was taken for each.

    Args:
        true: shape (n,), 0 to `n_classes` - 1.
        predicted: shape (n,), likewise.
        n_classes: how many classes there are.

    Returns:
        Shape (n_classes, n_classes); row: true class, column: predicted class.

    Raises:
        DataError: the two have different shapes, or hold something else than classes.
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


def _scores(
    confusion: NDArray[np.int64], class_names: tuple[str, ...]
) -> tuple[tuple[ClassScores, ...], dict[str, Interval]]:
    """Scores of each class and their averages from a (k, k) confusion matrix."""
    counts, resampled = _class_counts(confusion), _resampled_class_counts(confusion)
    values, samples = _precision_recall_f1(*counts), _precision_recall_f1(*resampled)
    hits, called, support = counts
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
            float(_mean_of_tested(values[1], support)), _mean_of_tested(samples[1], resampled[2])
        )
    } | {
        metric: percentile_interval(float(value.mean()), sample.mean(axis=-1))
        for metric, value, sample in zip(
            ("precision", "recall", "f1"), values, samples, strict=True
        )
    }
    return per_class, averages


def _class_counts(confusion: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """How many images of each class were named rightly, were called it, and are it."""
    return confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)


def _resampled_class_counts(confusion: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """`_class_counts` of images drawn anew from each class, `N_RESAMPLES` times: shapes (…, k)."""
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


def _mean_of_tested(recall: NDArray[np.float64], support: NDArray[np.int64]) -> Any:
    """The mean recall of the classes that have images, over the last axis."""
    return recall.sum(axis=-1) / (support > 0).sum(axis=-1)


def _precision_recall_f1(
    hits: NDArray[np.int64], called: NDArray[np.int64], support: NDArray[np.int64]
) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F1 of each class, shapes (…, k)."""
    return _ratio(hits, called), _ratio(hits, support), _ratio(2 * hits, called + support)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, with 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _log_losses(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The negative log probability of each image's true class."""
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(likelihood, _SMALLEST))


def _brier_scores(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The squared distance of each image's probabilities from the truth, 0 to 2.

    G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return np.asarray(np.square(probabilities - truth).sum(axis=1))


def _among_first_two(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each image's true class is one of the two most probable."""
    first = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return np.asarray((first == labels[:, None]).any(axis=1))
