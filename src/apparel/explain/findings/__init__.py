"""Describe a result in plain language: a headline, then what stands out.

Every sentence is computed from the records in an `Evidence`. A rule takes one and returns a
Finding, or None where there is nothing to say; its docstring defines the weight.
"""

from collections.abc import Callable

import numpy as np

from apparel.core.messages import count
from apparel.core.records import Evaluation, Evidence, Finding
from apparel.explain.findings.classes import confused_pair, hardest_class
from apparel.explain.findings.data import imbalance, suspicious_labels, untested_classes
from apparel.explain.findings.training import gap, training_problem
from apparel.explain.findings.trust import (
    confidence,
    guessing,
    perfect_result,
    small_test_set,
    weak_robustness,
)
from apparel.explain.findings.wording import one_in, percent

# Of findings of equal weight, that of the earlier rule comes first.
RULES: tuple[Callable[[Evidence], Finding | None], ...] = (
    perfect_result,
    training_problem,
    guessing,
    suspicious_labels,
    untested_classes,
    hardest_class,
    confused_pair,
    gap,
    imbalance,
    confidence,
    weak_robustness,
    small_test_set,
)


def explain(evidence: Evidence) -> tuple[Finding, ...]:
    """Find what stands out, the most important first; nothing in a healthy result.

    Args:
        evidence: everything known about the model and its data.
    """
    findings = [finding for rule in RULES if (finding := rule(evidence))]
    return tuple(sorted(findings, key=lambda finding: finding.weight, reverse=True))


def headline(evaluation: Evaluation) -> str:
    """State the accuracy and its uncertainty in a sentence or two.

    Args:
        evaluation: the result on at least one test image.
    """
    accuracy, images = evaluation.metrics["accuracy"], len(evaluation.true)
    wrong = images - int(np.trace(evaluation.confusion))
    tested, chance = count(images, "test image"), 1 / len(evaluation.class_names)
    if wrong in {0, images}:
        which = "the only test image" if images == 1 else f"all {tested}"
        text = f"The model {'misclassifies' if wrong else 'correctly classifies'} {which}."
    else:
        right_is_rare = accuracy.value < 0.5  # noqa: PLR2004
        rarer = accuracy.value if right_is_rare else 1 - accuracy.value
        text = (
            f"The model classifies {percent(accuracy.value)} of {tested} correctly: "
            f"about {one_in(rarer)} {'right' if right_is_rare else 'wrong'}."
        )
    if next(iter(evaluation.metrics)) == "balanced_accuracy":
        balanced = evaluation.metrics["balanced_accuracy"]
        text = (
            "Averaged over the classes, which differ much in size, the model classifies "
            f"{percent(balanced.value)} of a class's images correctly. {text}"
        )
    text += (
        " With 95 % confidence, its true accuracy lies between "
        f"{percent(accuracy.low)} and {percent(accuracy.high)}"
    )
    if accuracy.low <= chance < 1:
        text += f": random guessing, at {percent(chance)}, is not clearly worse"
    return f"{text}."
