"""A result in a sentence or two."""

import numpy as np

from apparel.core.records import Evaluation
from apparel.explain.findings.wording import count, one_in, percent


def headline(evaluation: Evaluation) -> str:
    """Say how good the model is, and how sure that is.

    Args:
        evaluation: the result on at least one test image.
    """
    accuracy, images = evaluation.metrics["accuracy"], len(evaluation.true)
    wrong = images - int(np.trace(evaluation.confusion))
    tested, chance = count(images, "test image"), 1 / len(evaluation.class_names)
    if wrong in {0, images}:
        which = "the only test image" if images == 1 else f"all {tested}"
        text = f"The model names {which} {'wrongly' if wrong else 'correctly'}."
    else:
        right_is_rare = accuracy.value < 0.5  # noqa: PLR2004
        rarer = accuracy.value if right_is_rare else 1 - accuracy.value
        text = (
            f"The model names {percent(accuracy.value)} of {tested} correctly: "
            f"about {one_in(rarer)} named {'correctly' if right_is_rare else 'wrongly'}."
        )
    if next(iter(evaluation.metrics)) == "balanced_accuracy":
        balanced = evaluation.metrics["balanced_accuracy"]
        text = (
            "Averaged over the classes, which differ much in size, the model names "
            f"{percent(balanced.value)} of a class's images correctly. {text}"
        )
    text += (
        " With 95 % confidence, its true accuracy lies between "
        f"{percent(accuracy.low)} and {percent(accuracy.high)}"
    )
    if accuracy.low <= chance < 1:
        text += f": blind guessing, at {percent(chance)}, is not clearly worse"
    return f"{text}."
