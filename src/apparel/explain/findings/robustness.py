"""The rule about images made worse."""

from apparel.core.records import CorruptionCurve, Evidence, Finding
from apparel.explain.findings.wording import percent

# Of what is right on the images as they are, the mean of what the mildest and the middle strength
# of a change cost. That is four times the 2.5 points between the models in docs/performance.md, so
# no choice among them would make up for it.
LARGE_LOSS = 0.10


def weak_robustness(evidence: Evidence) -> Finding | None:
    """Say which way of making images worse costs the model most.

    An attack is told beside it but is no finding itself, as every model fails that was not
    trained against it (I. Goodfellow et al., "Explaining and Harnessing Adversarial Examples",
    2015, arXiv 1412.6572).

    Weight: the share of the test images that is lost at the mildest strength; nobody knows how
    many images in use will be worse, and how much.
    """
    found = evidence.robustness
    if found is None or not found.curves:
        return None
    accuracy, attack = found.accuracy, found.attack
    worst = max(found.curves, key=lambda curve: _loss(curve, accuracy.value))
    mildest, middle = 0, _middle(worst)
    # Beyond chance: the intervals with and without the change do not meet.
    beyond_chance = worst.accuracies[middle].high < accuracy.low
    if _loss(worst, accuracy.value) <= LARGE_LOSS or not beyond_chance:
        return None
    left = " and ".join(
        f"{percent(worst.accuracies[i].value)} at {worst.strengths[i]:g}"
        for i in sorted({mildest, middle})
    )
    return Finding(
        topic="robustness",
        text=f"Of all ways in which images were made worse, {worst.name} costs most: it leaves an "
        f"accuracy of {left} ({worst.unit}), of {percent(accuracy.value)} without. An attack that "
        f"changes pixels by {percent(attack.epsilon)} of their range leaves "
        f"{percent(attack.accuracy.value)}, which is common in models not trained against it.",
        advice=f"Train on images changed in the same way ({worst.name}), if such are to come.",
        weight=max(accuracy.value - worst.accuracies[mildest].value, 0.0),
    )


def _middle(curve: CorruptionCurve) -> int:
    return (len(curve.accuracies) - 1) // 2


def _loss(curve: CorruptionCurve, accuracy: float) -> float:
    """The share of an accuracy that is lost at the mildest and the middle strength, on average."""
    left = (curve.accuracies[0].value + curve.accuracies[_middle(curve)].value) / 2
    return 1 - left / accuracy if accuracy else 0.0
