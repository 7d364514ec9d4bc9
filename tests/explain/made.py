"""Hand-made results, for which the right sentences are known."""

from dataclasses import replace

import numpy as np

from apparel.core.records import (
    Attack,
    ClassScores,
    CorruptionCurve,
    Evaluation,
    Evidence,
    History,
    Interval,
    LabelIssues,
    Reliability,
    ReliabilityBin,
    Robustness,
)
from apparel.evaluation.intervals import wilson_interval
from tests.conftest import UNSURE

UNKNOWN = Interval(0.0, 0.0, 1.0)


def evaluation(confusion, names=("Shirt", "Coat", "Bag", "Dress"), *, accuracy=None, n_valid=6000):
    """A result with Wilson's intervals, or with another of the accuracy."""
    confusion = np.array(confusion, dtype=np.int64)
    names = tuple(names[: len(confusion)])
    true, predicted = np.repeat(np.argwhere(confusion >= 0), confusion.ravel(), axis=0).T
    support, right = confusion.sum(axis=1), np.diag(confusion)
    return Evaluation(
        true=true,
        predicted=predicted,
        probabilities=np.eye(len(names), dtype=np.float32)[predicted],
        class_names=names,
        confusion=confusion,
        metrics={"accuracy": accuracy or wilson_interval(int(right.sum()), int(support.sum()))},
        per_class=tuple(
            ClassScores(
                name=name,
                precision=UNKNOWN,
                recall=wilson_interval(int(hits), int(n)),
                f1=UNKNOWN,
                support=int(n),
            )
            for name, n, hits in zip(names, support, right, strict=True)
        ),
        report="",
        **UNSURE | {"calibration": replace(UNSURE["calibration"], n_images=n_valid)},
    )


def evidence(confusion, *names, accuracy=None, **known):
    return Evidence(evaluation=evaluation(confusion, *names, accuracy=accuracy), **known)


def history(loss, val_loss=None, accuracy=0.91, val_accuracy=0.9, **rest):
    n = len(loss)
    metrics = {"loss": tuple(loss), "accuracy": (accuracy,) * n} if n else {}
    if val_loss is not None:
        metrics |= {"val_loss": tuple(val_loss), "val_accuracy": (val_accuracy,) * n}
    return History(history=metrics, seconds=(1.0,) * n, dtype="float32", **rest)


def falling(n):
    return [1 / (i + 1) for i in range(n)]


def confidences(error, *bins):
    """A reliability of bins, each a number of images, their confidence and their accuracy."""
    return Reliability(
        bins=tuple(
            ReliabilityBin(
                low=0.0, high=1.0, n_images=n, confidence=sure, accuracy=Interval(right, 0.0, 1.0)
            )
            for n, sure, right in bins
        ),
        expected_calibration_error=error,
    )


def issues(split, n_images, *mistakes):
    """Labels that are probably wrong: how many were given one class and look like another."""
    given, suggested = (
        np.repeat([mistake[i] for mistake in mistakes], [m[0] for m in mistakes]).astype(np.int64)
        for i in (1, 2)
    )
    return LabelIssues(
        split=split,
        n_images=n_images,
        class_names=("Shirt", "Coat", "Bag"),
        indices=np.arange(len(given)),
        given=given,
        suggested=suggested,
        label_quality=np.linspace(0.0, 0.5, len(given)),
    )


def curve(name, *accuracies, unit="degrees"):
    """Accuracies of 10,000 images at strengths 1, 2, …"""
    return CorruptionCurve(
        name=name,
        unit=unit,
        strengths=tuple(float(i + 1) for i in range(len(accuracies))),
        accuracies=tuple(wilson_interval(round(10_000 * share), 10_000) for share in accuracies),
    )


def robustness(*curves, accuracy=None):
    return Robustness(
        n_images=10_000,
        accuracy=accuracy or wilson_interval(9_000, 10_000),
        curves=curves,
        attack=Attack(epsilon=0.1, steps=10, n_images=10_000, accuracy=Interval(0.01, 0.0, 0.02)),
    )


TYPICAL = [[70, 20, 10], [10, 90, 0], [0, 0, 100]]
PERFECT = [[5, 0, 0], [0, 5, 0], [0, 0, 5]]
LEVEL = history(falling(5), [0.5, 0.3, 0.31, 0.32, 0.31])
