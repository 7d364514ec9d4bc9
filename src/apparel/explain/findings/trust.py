"""Rules about how far accuracy and confidence can be trusted, on these and on worse images."""

import math

from apparel.core.messages import count
from apparel.core.records import CorruptionCurve, Evidence, Finding, Interval, Reliability
from apparel.evaluation.intervals import Z_95
from apparel.explain.findings.wording import percent, points

# The accuracies in docs/performance.md span 2.5 points from the least to the most accurate model; a
# wider interval tells hardly any two of them apart.
WIDE_INTERVAL = 0.04
# The precision that a larger test set could aim at: 1 point.
FINE = 0.01
# A perfect result on 381 images or more: the true accuracy is then above this.
HARDLY_CREDIBLE = 0.99
# A temperature leaves less than 2 % on most data sets of C. Guo et al., "On Calibration of Modern
# Neural Networks", 2017, arXiv 1706.04599, table 1, and hardly a decision depends on 2 %.
LARGE_CALIBRATION_ERROR = 0.02
# A temperature is a single number; more images than this hardly change it.
ENOUGH_TO_CALIBRATE = 1000
# Share of the accuracy lost to a corruption, as the mean over its mildest and its middle strength.
# It is four times the 2.5 points above, so no choice of model would make up for it.
LARGE_LOSS = 0.10


def small_test_set(evidence: Evidence) -> Finding | None:
    """Report that the test set is too small for a precise accuracy.

    Weight: half the width of the accuracy's interval, the share of images that chance decides.
    """
    evaluation = evidence.evaluation
    accuracy, images = evaluation.metrics["accuracy"], len(evaluation.true)
    if not _is_wide(accuracy):
        return None
    chance, share = 1 / len(evaluation.class_names), accuracy.value
    text = (
        f"On {count(images, 'test image')}, the accuracy is only known to lie between "
        f"{percent(accuracy.low)} and {percent(accuracy.high)}"
    )
    if accuracy.low <= chance <= accuracy.high and chance < 1:
        text += f", which includes the {percent(chance)} of random guessing"
    advice = f"Test on {4 * images:,} images, 4 times as many, to halve that interval"
    # The normal interval's half width is z √(p (1 - p) / n). At a share of 0 or 1, that is 0.
    enough = math.ceil(Z_95**2 * share * (1 - share) / FINE**2)
    if enough > 4 * images:
        hundreds = 100 * math.ceil(enough / 100)
        advice += f", or on about {hundreds:,} to know the accuracy to 1 point"
    return Finding(
        topic="test_size",
        text=f"{text}.",
        advice=f"{advice}.",
        weight=(accuracy.high - accuracy.low) / 2,
    )


def _is_wide(accuracy: Interval) -> bool:
    return accuracy.high - accuracy.low > WIDE_INTERVAL


def guessing(evidence: Evidence) -> Finding | None:
    """Report that the model is no better than random guessing, on a large enough test set.

    Weight: the share of misclassified test images.
    """
    accuracy = evidence.evaluation.metrics["accuracy"]
    chance = 1 / len(evidence.evaluation.class_names)
    if _is_wide(accuracy) or not accuracy.low <= chance < 1:
        return None
    return Finding(
        topic="guessing",
        text=f"The model is not clearly better than random guessing ({percent(chance)}): its "
        f"accuracy lies between {percent(accuracy.low)} and {percent(accuracy.high)}.",
        advice="Check that each label belongs to its image.",
        weight=1 - accuracy.value,
    )


def perfect_result(evidence: Evidence) -> Finding | None:
    """Report that a result is too good to be true.

    Weight: 1, all test images, because a leak would void the result.
    """
    accuracy = evidence.evaluation.metrics["accuracy"]
    if accuracy.value < 1 or accuracy.low <= HARDLY_CREDIBLE:
        return None
    return Finding(
        topic="perfect_result",
        text=f"Not one of {len(evidence.evaluation.true):,} test images is misclassified, which is "
        "rare unless the model has seen them before.",
        advice="Check for a leak: no test image may be a training image.",
        weight=1.0,
    )


def confidence(evidence: Evidence) -> Finding | None:
    """Report that confidence and accuracy clearly differ.

    Weight: the expected calibration error, the share of images by which the two differ.
    """
    error = evidence.evaluation.reliability.expected_calibration_error
    if error.low <= LARGE_CALIBRATION_ERROR:
        return None
    low, high = (f"{100 * bound:.1f}" for bound in (error.low, error.high))
    return Finding(
        topic="confidence",
        text=f"Confidence and accuracy lie {points(error.value)} apart on average "
        f"({low} to {high} with 95 % confidence): all in all, confidence is "
        f"{_direction(evidence.evaluation.reliability)}.",
        advice=_calibrate(evidence.evaluation.calibration.n_images),
        weight=error.value,
    )


def _direction(reliability: Reliability) -> str:
    """The amount by which confidence is too high or too low, as a mean over all images."""
    bins = reliability.bins
    n_images = sum(held.n_images for held in bins)
    excess = sum(held.n_images * (held.confidence - held.accuracy.value) for held in bins)
    return f"{points(excess / n_images)} too {'high' if excess > 0 else 'low'}"


def _calibrate(n_validation: int) -> str:
    """Advice on confidence, from the number of images that the temperature was fitted on."""
    if n_validation == 0:
        return "Hold out validation images (validation_split) to fit a temperature on."
    if n_validation < ENOUGH_TO_CALIBRATE:
        return (
            "Hold out more validation images (validation_split): the temperature was fitted on "
            f"only {n_validation:,}."
        )
    return (
        f"Compare test and training images: the temperature was fitted on {n_validation:,} "
        "validation images, which the test images no longer seem to resemble."
    )


def weak_robustness(evidence: Evidence) -> Finding | None:
    """Name the corruption that costs the most accuracy.

    The accuracy under attack is given beside it but is no finding itself, as every model fails
    that was not trained against it (I. Goodfellow et al., "Explaining and Harnessing Adversarial
    Examples", 2015, arXiv 1412.6572).

    Weight: the share of the test images lost at the mildest strength, as the strength in use is
    unknown.
    """
    found = evidence.robustness
    if found is None or not found.curves:
        return None
    accuracy, attack = found.accuracy, found.attack
    worst = max(found.curves, key=lambda curve: _loss(curve, accuracy.value))
    mildest, middle = 0, _middle(worst)
    # Beyond chance: the intervals with and without the corruption do not overlap.
    beyond_chance = worst.accuracies[middle].high < accuracy.low
    if _loss(worst, accuracy.value) <= LARGE_LOSS or not beyond_chance:
        return None
    left = " and ".join(
        f"{percent(worst.accuracies[i].value)} at {worst.strengths[i]:g}"
        for i in sorted({mildest, middle})
    )
    return Finding(
        topic="robustness",
        text=f"Of all corruptions, {worst.name} costs the most: it changes the accuracy from "
        f"{percent(accuracy.value)} to {left} ({worst.unit}). An attack that changes pixels by "
        f"{percent(attack.epsilon)} of their range leaves {percent(attack.accuracy.value)}, which "
        "is common in models not trained against it.",
        advice=f"Train on images with the same corruption ({worst.name}), if you expect it in use.",
        weight=max(accuracy.value - worst.accuracies[mildest].value, 0.0),
    )


def _middle(curve: CorruptionCurve) -> int:
    return (len(curve.accuracies) - 1) // 2


def _loss(curve: CorruptionCurve, accuracy: float) -> float:
    """The share of an accuracy lost, as the mean over the mildest and the middle strength."""
    left = (curve.accuracies[0].value + curve.accuracies[_middle(curve)].value) / 2
    return 1 - left / accuracy if accuracy else 0.0
