"""How far confidences can be trusted: measured, mended by a temperature, used for abstaining.

Reliability: images are put into 15 bins of equal width by their confidence, the probability of
the predicted class; the expected calibration error is the mean distance between a bin's confidence
and its accuracy, weighted by its images (C. Guo et al., "On Calibration of Modern Neural
Networks", 2017, arXiv 1706.04599), as is the temperature that mends it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from apparel.intervals import Z_95, wilson_interval
from apparel.records import Abstention, Calibration, Interval, Reliability, ReliabilityBin

N_BINS = 15
# A temperature beyond these says more about a small validation set than about the model.
TEMPERATURES = (0.25, 4.0)
# The chi-squared distribution's 95 % quantile, one degree of freedom.
CHI_SQUARED_95 = Z_95**2
N_DRAWS = 2000
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
        expected_calibration_error=_error_interval(count[held], hits[held], confidences[held]),
    )


def _error_interval(
    count: NDArray[np.int64], hits: NDArray[np.float64], confidences: NDArray[np.float64]
) -> Interval:
    """The expected calibration error and its 95 % interval, from each bin's sums.

    Chance alone makes the error greater than 0, so resampling images would only add to it. The
    interval therefore holds every multiple of the observed distances under which the observed
    error lies in the middle 95 % of what chance would give (J. Neyman, "Outline of a Theory of
    Statistical Estimation", 1937); the sum of a bin's images is taken to be normal. It is widened
    to hold the observed error itself.
    """
    n_images = count.sum()
    distances = np.abs(hits - confidences) / n_images
    share = (hits + 1) / (count + 2)  # not 0 or 1 where a bin holds one image
    deviations = np.sqrt(count * share * (1 - share)) / n_images
    noise = np.random.default_rng(0).standard_normal((N_DRAWS, len(count))) * deviations
    observed = float(distances.sum())

    def multiple(quantile: float) -> float:
        """The multiple at which a quantile of the error is the observed one; 0 if none is."""

        def at(factor: float) -> float:
            return float(np.quantile(np.abs(factor * distances + noise).sum(axis=1), quantile))

        low, high = 0.0, 1.0
        if observed == 0 or at(low) >= observed:
            return 0.0
        while at(high) < observed:
            high *= 2
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if at(middle) < observed else (low, middle)
        return high

    low, high = (observed * multiple(quantile) for quantile in (0.975, 0.025))
    return Interval(observed, min(low, observed), min(max(high, observed), 1.0))


def fit(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    target_accuracy: float,
) -> Calibration:
    """Choose temperature and threshold on validation data.

    Args:
        probabilities: of validation images, shape (n, k), rows sum to 1.
        labels: shape (n,), 0 to k - 1.
        target_accuracy: of the images that are answered, 0 to 1.

    Returns:
        Temperature 1 where no other is better beyond chance, threshold None where none will do.
        Both where there is no image, or training broke down and gives no numbers.
    """
    if not (len(labels) and np.isfinite(probabilities).all()):
        return Calibration(
            temperature=1.0, target_accuracy=target_accuracy, threshold=None, n_images=len(labels)
        )
    temperature = _best_temperature(probabilities, labels)
    mended = with_temperature(probabilities, temperature)
    return Calibration(
        temperature=temperature,
        target_accuracy=target_accuracy,
        threshold=_lowest_threshold(mended, labels, target_accuracy),
        n_images=len(labels),
    )


def _best_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature of the lowest log loss; 1 unless a likelihood ratio test rules that out."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    own = logits[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        """Twice the negative log-likelihood."""
        factor = np.exp(-log_temperature)
        return float(2 * (np.logaddexp.reduce(factor * logits, axis=1) - factor * own).sum())

    best = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(best.x)) if loss(0.0) - best.fun > CHI_SQUARED_95 else 1.0


def with_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Divide logits by a temperature: above 1, the probabilities become more equal.

    Args:
        probabilities: shape (n, k), rows sum to 1.
        temperature: above 0.

    Returns:
        Shape (n, k), rows sum to 1, in the same order.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


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
