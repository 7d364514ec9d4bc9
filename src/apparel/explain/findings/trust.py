"""Rules about how far the figures and the confidences can be trusted."""

import math

from apparel.core.records import Evidence, Finding, Interval, Reliability
from apparel.evaluation.intervals import Z_95
from apparel.explain.findings.wording import count, percent, points

# The accuracies in docs/performance.md, from the least to the most accurate model, span 2.5 points;
# an interval wider than this tells hardly any two of them apart.
WIDE_INTERVAL = 0.04
# What a larger test set could aim at: 1 point.
FINE = 0.01
# A perfect result on 381 images or more: the true accuracy is then above this.
HARDLY_CREDIBLE = 0.99
# A temperature leaves less than 2 % on most data sets of C. Guo et al., "On Calibration of Modern
# Neural Networks", 2017, arXiv 1706.04599, table 1; and who would act on 90 % would on 88 %.
LARGE_CALIBRATION_ERROR = 0.02
# A temperature is a single number; beyond so many images others hardly change it.
ENOUGH_TO_CALIBRATE = 1000


def small_test_set(evidence: Evidence) -> Finding | None:
    """Say that the test set is too small to know the accuracy well.

    Weight: half the width of the accuracy's interval, the share of images that chance decides on.
    """
    evaluation = evidence.evaluation
    accuracy, images = evaluation.metrics["accuracy"], len(evaluation.true)
    if not _is_wide(accuracy):
        return None
    chance, share = 1 / len(evaluation.class_names), accuracy.value
    text = (
        f"On {count(images, 'test image')} the accuracy is known only to lie between "
        f"{percent(accuracy.low)} and {percent(accuracy.high)}"
    )
    if accuracy.low <= chance <= accuracy.high and chance < 1:
        text += f", which holds the {percent(chance)} of blind guessing"
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
    """Say that a test set that is large enough finds no more than blind guessing.

    Weight: the share of the test images named wrongly.
    """
    accuracy = evidence.evaluation.metrics["accuracy"]
    chance = 1 / len(evidence.evaluation.class_names)
    if _is_wide(accuracy) or not accuracy.low <= chance < 1:
        return None
    return Finding(
        topic="guessing",
        text=f"The model is not clearly better than blind guessing, which names {percent(chance)} "
        f"correctly: its accuracy lies between {percent(accuracy.low)} and "
        f"{percent(accuracy.high)}.",
        advice="Check that each label belongs to its image.",
        weight=1 - accuracy.value,
    )


def perfect_result(evidence: Evidence) -> Finding | None:
    """Say that a result is too good.

    Weight: 1, all test images, for a leak would void the result.
    """
    accuracy = evidence.evaluation.metrics["accuracy"]
    if accuracy.value < 1 or accuracy.low <= HARDLY_CREDIBLE:
        return None
    return Finding(
        topic="perfect_result",
        text=f"Not one of {len(evidence.evaluation.true):,} test images is named wrongly, which "
        "is rare unless the model has seen them before.",
        advice="Look for a leak: check that no test image was trained on.",
        weight=1.0,
    )


def confidence(evidence: Evidence) -> Finding | None:
    """Say that confidences are clearly not what they promise.

    Weight: the expected calibration error; so many more or fewer of all images are right than
    their confidences say.
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
    """Say by how much confidence is too high or too low, as a mean over all images."""
    bins = reliability.bins
    n_images = sum(held.n_images for held in bins)
    excess = sum(held.n_images * (held.confidence - held.accuracy.value) for held in bins)
    return f"{points(excess / n_images)} too {'high' if excess > 0 else 'low'}"


def _calibrate(n_validation: int) -> str:
    """Advise on confidences, from the number of images that a temperature was chosen on."""
    if n_validation == 0:
        return "Hold out validation images (validation_split), on which to choose a temperature."
    if n_validation < ENOUGH_TO_CALIBRATE:
        return (
            "Hold out more validation images (validation_split): the temperature was chosen on "
            f"only {n_validation:,}."
        )
    return (
        "Compare test and training images: the temperature was chosen on "
        f"{n_validation:,} validation images, of which the test images seem to be no more."
    )
