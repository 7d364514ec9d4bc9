"""How far confidences can be trusted: measured, mended by a temperature, used for abstaining.

Reliability: images are put into 15 bins of equal width by their confidence, the probability of
the predicted class; the expected calibration error is the mean distance between a bin's confidence
and its accuracy, weighted by its images (C. Guo et al., "On Calibration of Modern Neural
Networks", 2017, arXiv 1706.04599), as is the temperature that mends it.
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
# A temperature beyond these says more about a small validation set than about the model.
TEMPERATURES = (0.25, 4.0)
SLOPES = (1.0, 10.0)
KNEES = (-5.0, 5.0)
# The chi-squared distribution's 95 % quantile for each number of degrees of freedom.
CHI_SQUARED_95 = {freedom: float(chi2.ppf(0.95, freedom)) for freedom in (1, 2, 3)}
BISECTIONS = 60
_SMALLEST = float(np.finfo(np.float32).tiny)


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Reliability:
    """Compare confidence with accuracy.

    Args:
        probabilities: shape (n, k), rows sum to 1, n at least 1.
        labels: shape (n,), 0 to k - 1.

    Returns:
        The bins that hold an image, by rising confidence, and the expected calibration error.
    """
    confidence, correct = _confidence_and_correctness(probabilities, labels)
    # Bins are open below and closed above: 1.0 belongs to the last.
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
    """Choose what calibrates the model, and a threshold, on validation data.

    Label smoothing holds the logits of wrong classes together, however unlikely the class is. A
    temperature alone leaves a model that learnt that way too sure of its middling answers; for it,
    the logits below a knee are stretched as well.

    Args:
        probabilities: of validation images, shape (n, k), rows sum to 1.
        labels: shape (n,), 0 to k - 1.
        target_accuracy: of the images that are answered, 0 to 1.
        smoothed: whether the model was trained on smoothed labels.

    Returns:
        Temperature and slope 1 where no other is better beyond chance, threshold None where none
        will do. All three where there is no image, or training broke down and gives no numbers.
    """
    n_images = len(labels)
    found = replace(UNCALIBRATED, target_accuracy=target_accuracy, n_images=n_images)
    if not (n_images and np.isfinite(probabilities).all()):
        return found
    temperature, slope, knee = _most_likely(probabilities, labels, smoothed=smoothed)
    found = replace(found, temperature=temperature, slope=slope, knee=knee)
    threshold = _lowest_threshold(calibrated(probabilities, found), labels, target_accuracy)
    return replace(found, threshold=threshold)


def _most_likely(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], *, smoothed: bool
) -> tuple[float, float, float]:
    """The temperature, slope and knee of the lowest log loss.

    What a likelihood ratio test does not find better than nothing, or than the temperature alone,
    is left out.
    """
    centred = _centred_logits(probabilities)
    rows = np.arange(len(labels))

    def loss(log_temperature: float, log_slope: float = 0.0, knee: float = 0.0) -> float:
        """Twice the negative log-likelihood."""
        logits = _bent(centred, knee, np.exp(log_slope)) * np.exp(-log_temperature)
        return float(2 * (logsumexp(logits, axis=1) - logits[rows, labels]).sum())

    least, best = loss(0.0), (1.0, 1.0, 0.0)
    bounds = np.log(TEMPERATURES)
    alone = minimize_scalar(loss, bounds=bounds, method="bounded")
    if least - alone.fun > CHI_SQUARED_95[1]:
        least, best = float(alone.fun), (float(np.exp(alone.x)), 1.0, 0.0)
    if smoothed:
        bent = minimize(
            lambda x: loss(*x),
            (alone.x, np.log(2), 0.0),
            method="Nelder-Mead",
            bounds=(bounds, np.log(SLOPES), KNEES),
        )
        added = 3 if best[0] == 1 else 2
        if least - bent.fun > CHI_SQUARED_95[added]:
            temperature, slope = (float(value) for value in np.exp(bent.x[:2]))
            best = temperature, slope, float(bent.x[2])
    return best


def calibrated(probabilities: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Bend and divide the logits of a model.

    Args:
        probabilities: of the model before that, shape (n, k), rows sum to 1.
        calibration: gives temperature, knee and slope.

    Returns:
        Shape (n, k), rows sum to 1, in the same order.
    """
    centred = _centred_logits(probabilities)
    logits = _bent(centred, calibration.knee, calibration.slope) / calibration.temperature
    return np.asarray(softmax(logits, axis=1), np.float32)


def uncalibrated(
    probabilities: NDArray[np.float32], calibration: Calibration
) -> NDArray[np.float32]:
    """Undo `calibrated`: what the model would say without its calibration.

    Args:
        probabilities: of the calibrated model, shape (n, k), rows sum to 1.
        calibration: gives temperature, knee and slope.

    Returns:
        Shape (n, k), rows sum to 1, in the same order.
    """
    bent = _centred_logits(probabilities) * calibration.temperature
    if calibration.slope == 1:
        return np.asarray(softmax(bent, axis=1), np.float32)
    # Logits are known up to a number each: that at which the straightened ones have mean 0. Their
    # mean rises with it, and some logit lies on either side of the mean.
    low = calibration.knee - bent.max(axis=1, keepdims=True)
    high = calibration.knee - bent.min(axis=1, keepdims=True)
    reach = abs(calibration.knee) * max(calibration.slope, 1 / calibration.slope)
    low, high = low - reach, high + reach
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        straight = _straight(bent + middle, calibration.knee, calibration.slope)
        below = straight.mean(axis=1, keepdims=True) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    straight = _straight(bent + low, calibration.knee, calibration.slope)
    return np.asarray(softmax(straight, axis=1), np.float32)


def _centred_logits(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits relative to their mean over the classes."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    return np.asarray(logits - logits.mean(axis=1, keepdims=True))


def _bent(logits: NDArray[np.float64], knee: float, slope: float) -> NDArray[np.float64]:
    """Stretch the distance from the knee below it."""
    return knee + np.where(logits > knee, 1, slope) * (logits - knee)


def _straight(logits: NDArray[np.float64], knee: float, slope: float) -> NDArray[np.float64]:
    """Undo `_bent`."""
    return _bent(logits, knee, 1 / slope)


def _lowest_threshold(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], target_accuracy: float
) -> float | None:
    """The lowest confidence from which on answers are as accurate as wanted; None if none is."""
    confidence, correct = _confidence_and_correctness(probabilities, labels)
    thresholds, accuracy = _answered(confidence, correct)[:2]
    enough = np.flatnonzero(accuracy >= target_accuracy)
    if not len(enough):
        return None
    last = enough[-1]
    # All are answered, so any confidence will do.
    return 0.0 if last == len(thresholds) - 1 else float(thresholds[last])


def abstain(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], calibration: Calibration
) -> Abstention:
    """Say what is gained by leaving out images that the model is not sure of.

    Args:
        probabilities: of test images, shape (n, k), rows sum to 1, n at least 1.
        labels: shape (n,), 0 to k - 1.
        calibration: the threshold, from validation data.
    """
    confidence, correct = _confidence_and_correctness(probabilities, labels)
    thresholds, accuracy, answered = _answered(confidence, correct)
    if calibration.threshold is None:
        coverage = answered_accuracy = None
    else:
        sure = confidence >= calibration.threshold
        coverage = wilson_interval(int(sure.sum()), len(labels))
        answered_accuracy = wilson_interval(int(correct[sure].sum()), int(sure.sum()))
    return Abstention(
        thresholds=thresholds,
        coverages=answered / len(labels),
        accuracies=accuracy,
        coverage=coverage,
        accuracy=answered_accuracy,
    )


def _answered(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Each distinct confidence, falling; accuracy and number of the images at least as sure."""
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last_of_equals = np.append(ordered[1:] != ordered[:-1], True)
    answered = np.arange(1, len(order) + 1)[last_of_equals]
    return ordered[last_of_equals], correct[order].cumsum()[last_of_equals] / answered, answered


def _confidence_and_correctness(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of the predicted class, and whether that is the true one."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, probabilities.argmax(axis=1) == labels
