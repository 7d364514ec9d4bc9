"""Probabilities and labels → Evaluation, with a 95 % interval on every figure.

Shares of images (accuracy, precision and recall of a class) carry Wilson's interval
(E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927).
F1 and the macro averages carry the percentile bootstrap (B. Efron, "Bootstrap Methods",
1979): they depend on the confusion matrix alone, so drawing a new matrix from a multinomial
distribution is the same as drawing images anew, and takes milliseconds.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import classification_report, confusion_matrix

from apparel.errors import ApparelError, DataError
from apparel.records import ClassScores, Evaluation, Interval

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile
N_RESAMPLES = 2000
_SMALLEST = float(np.finfo(np.float32).tiny)


def evaluate(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    *,
    averaged: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
) -> Evaluation:
    """Score probabilities against labels.

    Args:
        probabilities: shape (n, k), rows sum to 1.
        labels: shape (n,), 0 to k - 1.
        class_names: k names.
        averaged: probabilities averaged over changed copies of the images, by what they are
            averaged over; each gives an accuracy more.

    Returns:
        Every figure with its interval. A class never predicted has precision 0, as in
        scikit-learn with `zero_division=0`.

    Raises:
        DataError: the shapes do not fit.
        ApparelError: a probability is not a finite number.
    """
    n_classes = len(class_names)
    if len(labels) == 0 or probabilities.shape != (len(labels), n_classes):
        raise DataError(
            f"{len(labels)} labels of {n_classes} classes need probabilities of shape "
            f"({len(labels)}, {n_classes}), but they have shape {probabilities.shape}."
        )
    if not np.isfinite(probabilities).all():
        raise ApparelError(
            "the model gives probabilities that are not finite numbers: training diverged. "
            "Train again with a smaller learning rate."
        )
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    classes = np.arange(n_classes)
    confusion = count_confusions(labels, predicted, n_classes)
    per_class, macro = _scores(confusion, class_names)
    correct = int(np.trace(confusion))
    accuracies = {
        f"accuracy_{name}_averaged": wilson_interval(
            int((means.argmax(axis=1) == labels).sum()), len(labels)
        )
        for name, means in averaged.items()
    }
    return Evaluation(
        true=labels,
        predicted=predicted,
        probabilities=probabilities,
        class_names=class_names,
        confusion=confusion,
        metrics={
            "accuracy": wilson_interval(correct, len(labels)),
            **macro,
            "log_loss": _log_loss(probabilities, labels),
            **accuracies,
        },
        per_class=per_class,
        report=classification_report(
            labels, predicted, labels=classes, target_names=class_names, digits=4, zero_division=0
        ),
    )


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


def wilson_interval(successes: int, trials: int) -> Interval:
    """A share and its 95 % Wilson score interval; 0 in [0, 1] where nothing was tried."""
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    share, z2 = successes / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / 4 / trials**2)
    # Rounding may carry a bound past the share itself at 0 and 1.
    low, high = min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)
    return Interval(share, float(low), float(high))


def _scores(
    confusion: NDArray[np.int64], class_names: tuple[str, ...]
) -> tuple[tuple[ClassScores, ...], dict[str, Interval]]:
    """Scores of each class and their macro averages from a (k, k) confusion matrix."""
    total = confusion.sum()
    resampled = (
        np.random.default_rng(0)
        .multinomial(total, confusion.ravel() / total, size=N_RESAMPLES)
        .reshape(N_RESAMPLES, *confusion.shape)
    )
    values, samples = _precision_recall_f1(confusion), _precision_recall_f1(resampled)
    hits, called, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    per_class = tuple(
        ClassScores(
            name=name,
            precision=wilson_interval(int(hits[k]), int(called[k])),
            recall=wilson_interval(int(hits[k]), int(support[k])),
            f1=_percentile_interval(float(values[2][k]), samples[2][:, k]),
            support=int(support[k]),
        )
        for k, name in enumerate(class_names)
    )
    macro = {
        metric: _percentile_interval(float(value.mean()), sample.mean(axis=-1))
        for metric, value, sample in zip(
            ("precision", "recall", "f1"), values, samples, strict=True
        )
    }
    return per_class, macro


def _precision_recall_f1(confusion: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F1 of each class, shape (…, k), from matrices (…, k, k)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    called, support = confusion.sum(axis=-2), confusion.sum(axis=-1)
    return (
        _ratio(hits, called),
        _ratio(hits, support),
        _ratio(2 * hits, called + support),
    )


def _ratio(part: NDArray[np.float64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, with 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _percentile_interval(value: float, samples: NDArray[np.float64]) -> Interval:
    """The middle 95 % of bootstrap samples around a value."""
    low, high = np.quantile(samples, (0.025, 0.975))
    return Interval(value, float(low), float(high))


def _log_loss(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Interval:
    """Mean negative log probability of the true class, with its normal interval."""
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.maximum(likelihood, _SMALLEST))
    mean = float(losses.mean())
    half = Z_95 * float(losses.std()) / np.sqrt(len(losses))
    return Interval(mean, max(mean - half, 0.0), mean + half)
