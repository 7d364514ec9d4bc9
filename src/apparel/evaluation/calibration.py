"""Calibrate confidences, measure how far they can be trusted, and abstain where they are low.

Reliability: images are put into 15 bins of equal width by their confidence, the probability of
the predicted class. The expected calibration error is the mean distance between a bin's confidence
and its accuracy, weighted by its images (C. Guo et al., "On Calibration of Modern Neural
Networks", 2017, arXiv 1706.04599). Temperature scaling is from the same paper.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp, softmax
from scipy.stats import chi2

from apparel.core.records import UNCALIBRATED, Abstention, Calibration, Reliability, ReliabilityBin
from apparel.evaluation.intervals import calibration_error_interval, wilson_interval

N_BINS = 15
# A temperature outside these bounds says more about a small validation set than about the model.
TEMPERATURES = (0.25, 4.0)
SLOPES = (1.0, 10.0)
KNEES = (-5.0, 5.0)
# The chi-squared distribution's 95 % quantile for each number of degrees of freedom.
CHI_SQUARED_95 = {freedom: float(chi2.ppf(0.95, freedom)) for freedom in (1, 2, 3)}
BISECTIONS = 60
# Keeps logarithms finite: the smallest normal float32.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Reliability:
    """Compare confidence with accuracy.

    Args:
        probabilities: shape (n, k), rows sum to 1, n at least 1.
        labels: shape (n,), 0 to k - 1.

    Returns:
        The bins that hold an image, by ascending confidence, and the expected calibration error.
    """
    confidence, correct = _confidence_and_correctness(probabilities, labels)
    # Bins exclude their lower edge and include their upper: 1.0 belongs to the last.
    bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    count = np.bincount(bins, minlength=N_BINS)
    hits = np.bincount(bins, correct, minlength=N_BINS).astype(np.float64)
    confidences = np.bincount(bins, confidence, minlength=N_BINS).astype(np.float64)
    held = np.flatnonzero(count)
    return Reliability(
        bins=tuple(
            ReliabilityBin(
                low=float(k / N_BINS),
                high=float((k + 1) / N_BINS),
                n_images=int(count[k]),
                confidence=float(confidences[k] / count[k]),
                accuracy=wilson_interval(int(hits[k]), int(count[k])),
            )
            for k in held
        ),
        expected_calibration_error=calibration_error_interval(
            count[held], hits[held], confidences[held]
        ),
    )


def fit(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    target_accuracy: float,
    smoothed: bool = False,
) -> Calibration:
    """Fit a calibration and an abstention threshold on validation data.

    Label smoothing pulls the logits of all wrong classes together, however unlikely the class is.
    A temperature alone leaves such a model overconfident in the middle range; its logits below a
    knee are therefore scaled up as well.

    Args:
        probabilities: of validation images, shape (n, k), rows sum to 1.
        labels: shape (n,), 0 to k - 1.
        target_accuracy: accuracy asked for on the images that are answered, 0 to 1.
        smoothed: whether the model was trained on smoothed labels.

    Returns:
        Temperature and slope are 1 where no others are significantly better; the threshold is None
        where none reaches the target. Both apply where there are no images, or where training
        diverged.
    """
    n_images = len(labels)
    found = replace(UNCALIBRATED, target_accuracy=target_accuracy, n_images=n_images)
    if not (n_images and np.isfinite(probabilities).all()):
        return found
    temperature, slope, knee = _fit_logit_scaling(probabilities, labels, smoothed=smoothed)
    found = replace(found, temperature=temperature, slope=slope, knee=knee)
    threshold = _lowest_threshold(calibrated(probabilities, found), labels, target_accuracy)
    return replace(found, threshold=threshold)


def _fit_logit_scaling(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], *, smoothed: bool
) -> tuple[float, float, float]:
    """The temperature, slope and knee of the lowest log loss.

    A likelihood ratio test must find the temperature better than none, and slope and knee better
    than the temperature alone; otherwise they are left out.
    """
    centred = _centred_logits(probabilities)
    rows = np.arange(len(labels))

    def loss(log_temperature: float, log_slope: float = 0.0, knee: float = 0.0) -> float:
        """Twice the negative log-likelihood."""
        logits = _scaled_below_knee(centred, knee, np.exp(log_slope)) * np.exp(-log_temperature)
        return float(2 * (logsumexp(logits, axis=1) - logits[rows, labels]).sum())

    least, best = loss(0.0), (1.0, 1.0, 0.0)
    bounds = np.log(TEMPERATURES)
    alone = minimize_scalar(loss, bounds=bounds, method="bounded")
    if least - alone.fun > CHI_SQUARED_95[1]:
        least, best = float(alone.fun), (float(np.exp(alone.x)), 1.0, 0.0)
    if smoothed:
        piecewise = minimize(
            lambda x: loss(*x),
            (alone.x, np.log(2), 0.0),
            method="Nelder-Mead",
            bounds=(bounds, np.log(SLOPES), KNEES),
        )
        freedom = 3 if best[0] == 1 else 2
        if least - piecewise.fun > CHI_SQUARED_95[freedom]:
            temperature, slope = (float(value) for value in np.exp(piecewise.x[:2]))
            best = temperature, slope, float(piecewise.x[2])
    return best


def calibrated(probabilities: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Apply a calibration.

    Args:
        probabilities: of the uncalibrated model, shape (n, k), rows sum to 1.
        calibration: gives temperature, knee and slope.

    Returns:
        Shape (n, k), rows sum to 1, in the same order.
    """
    centred = _centred_logits(probabilities)
    logits = _scaled_below_knee(centred, calibration.knee, calibration.slope)
    return np.asarray(softmax(logits / calibration.temperature, axis=1), np.float32)


def uncalibrated(
    probabilities: NDArray[np.float32], calibration: Calibration
) -> NDArray[np.float32]:
    """Invert `calibrated`.

    Args:
        probabilities: of the calibrated model, shape (n, k), rows sum to 1.
        calibration: gives temperature, knee and slope.

    Returns:
        Shape (n, k), rows sum to 1, in the same order.
    """
    scaled = _centred_logits(probabilities) * calibration.temperature
    if calibration.slope == 1:
        return np.asarray(softmax(scaled, axis=1), np.float32)
    # Probabilities give logits up to a constant per image. The right constant makes the original
    # logits have mean 0. Their mean rises with it, so bisection finds it.
    low = calibration.knee - scaled.max(axis=1, keepdims=True)
    high = calibration.knee - scaled.min(axis=1, keepdims=True)
    reach = abs(calibration.knee) * max(calibration.slope, 1 / calibration.slope)
    low, high = low - reach, high + reach
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        original = _scaled_below_knee(scaled + middle, calibration.knee, 1 / calibration.slope)
        below = original.mean(axis=1, keepdims=True) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    original = _scaled_below_knee(scaled + low, calibration.knee, 1 / calibration.slope)
    return np.asarray(softmax(original, axis=1), np.float32)


def _centred_logits(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits relative to their mean over the classes."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    return np.asarray(logits - logits.mean(axis=1, keepdims=True))


def _scaled_below_knee(
    logits: NDArray[np.float64], knee: float, slope: float
) -> NDArray[np.float64]:
    """A piecewise-linear function with a slope below the knee and 1 above; 1 / slope inverts it."""
    return knee + np.where(logits > knee, 1, slope) * (logits - knee)


def _lowest_threshold(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], target_accuracy: float
) -> float | None:
    """The lowest confidence at and above which the target accuracy is reached; None if none is."""
    thresholds, accuracies, _ = _coverage_curve(probabilities, labels)
    reached = np.flatnonzero(accuracies >= target_accuracy)
    if not len(reached):
        return None
    last = reached[-1]
    # All images are answered, so any confidence will do.
    return 0.0 if last == len(thresholds) - 1 else float(thresholds[last])


def abstain(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], calibration: Calibration
) -> Abstention:
    """Measure the accuracy gained by not answering images of low confidence.

    Args:
        probabilities: of test images, shape (n, k), rows sum to 1, n at least 1.
        labels: shape (n,), 0 to k - 1.
        calibration: gives the threshold, from validation data.
    """
    thresholds, accuracies, answered = _coverage_curve(probabilities, labels)
    coverage = accuracy = None
    if calibration.threshold is not None:
        confidence, correct = _confidence_and_correctness(probabilities, labels)
        sure = confidence >= calibration.threshold
        coverage = wilson_interval(int(sure.sum()), len(labels))
        accuracy = wilson_interval(int(correct[sure].sum()), int(sure.sum()))
    return Abstention(
        thresholds=thresholds,
        coverages=answered / len(labels),
        accuracies=accuracies,
        coverage=coverage,
        accuracy=accuracy,
    )


def _coverage_curve(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Each distinct confidence, descending; accuracy and number of images at or above it."""
    confidence, correct = _confidence_and_correctness(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last_of_equals = np.append(ordered[1:] != ordered[:-1], True)
    answered = np.arange(1, len(order) + 1)[last_of_equals]
    return ordered[last_of_equals], correct[order].cumsum()[last_of_equals] / answered, answered


def _confidence_and_correctness(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of the predicted class, and whether it is the true one."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, probabilities.argmax(axis=1) == labels
