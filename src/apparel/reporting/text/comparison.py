"""Comparisons of runs → lines."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from apparel.core.records import Difference, GroupComparison, PairComparison

if TYPE_CHECKING:  # predictions are written by a command that starts at once
    import numpy as np
    from numpy.typing import NDArray

# Positions of test images in a line.
MOST_POSITIONS = 10


def comparison(comparisons: Sequence[PairComparison | GroupComparison]) -> str:
    """Say of each comparison which side is better, and by how much."""
    return "\n\n".join(
        _pair(compared) if isinstance(compared, PairComparison) else _groups(compared)
        for compared in comparisons
    )


def _pair(pair: PairComparison) -> str:
    """Both accuracies, the verdict, who alone is right, and each class."""
    first, second = pair.first, pair.second
    width = max(map(len, pair.per_class))
    classes = "\n".join(
        f"  {name:<{width}}  {_points(difference)}" for name, difference in pair.per_class.items()
    )
    return (
        f"A  {first.accuracy:.2%}  {first.name}\n"
        f"B  {second.accuracy:.2%}  {second.name}\n"
        f"on the same {len(first.true):,} test images. {_verdict(pair.accuracy)} "
        "McNemar's exact test.\n\n"
        f"Only A is right on {_positions(pair.only_first)}.\n"
        f"Only B is right on {_positions(pair.only_second)}.\n\n"
        f"Recall of each class, B minus A, in points:\n{classes}"
    )


def _groups(groups: GroupComparison) -> str:
    """Each run's accuracy and the verdict."""
    lines = [
        f"{side}  {run.accuracy:.2%}  {run.name}"
        for side, runs in (("A", groups.first), ("B", groups.second))
        for run in runs
    ]
    images = len(groups.first[0].true)
    return "\n".join(
        [*lines, f"on the same {images:,} test images. {_verdict(groups.accuracy)} Welch's t-test."]
    )


def _verdict(difference: Difference) -> str:
    """Which side is better, with the difference in points, the 95 % interval and p."""
    chance = "p < 0.0001" if difference.p_value < 0.0001 else f"p = {difference.p_value:.4f}"  # noqa: PLR2004
    if not difference.is_evident:
        return f"No evidence of a difference: B minus A is {_points(difference)}, {chance},"
    if difference.share.value > 0:
        return f"B is better: {_points(difference)}, {chance},"
    share = difference.share
    turned = replace(share, value=-share.value, low=-share.high, high=-share.low)
    return f"A is better: {_points(replace(difference, share=turned))}, {chance},"


def _points(difference: Difference) -> str:
    """Percentage points with the 95 % interval, as +0.8 points (0.4 to 1.2)."""
    share = difference.share
    value, low, high = (100 * bound for bound in (share.value, share.low, share.high))
    return f"{value:+.1f} points ({low:.1f} to {high:.1f})"


def _positions(positions: "NDArray[np.int64]") -> str:
    """How many test images, and which, as far as they are few."""
    if not len(positions):
        return "no image"
    count = f"{len(positions):,} image{'' if len(positions) == 1 else 's'}"
    shown = ", ".join(map(str, positions[:MOST_POSITIONS]))
    return f"{count}: {shown}{', …' if len(positions) > MOST_POSITIONS else ''}"
