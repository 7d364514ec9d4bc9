"""Lines about several runs: comparisons, seeds, and the trials of a search."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from apparel.core.messages import count
from apparel.core.records import (
    Difference,
    GroupComparison,
    PairComparison,
    SeedsResult,
    TestedRun,
    Trial,
)
from apparel.reporting.text.evaluation import METRIC_NAMES

if TYPE_CHECKING:  # predictions are written by a command that starts at once
    import numpy as np
    from numpy.typing import NDArray

# Number of positions of test images in a line.
MOST_POSITIONS = 10
_HEADER = ("trial", "validation", "model", "width", "learning rate", "batch", "smoothing", "flip",
           "shift", "erase", "epochs", "seconds", "")  # fmt: skip


def comparison(comparisons: Sequence[PairComparison | GroupComparison]) -> str:
    """Report the better side of each comparison and the difference."""
    return "\n\n".join(
        _pair(compared) if isinstance(compared, PairComparison) else _groups(compared)
        for compared in comparisons
    )


def _pair(pair: PairComparison) -> str:
    """Both accuracies, the verdict, the images that only one gets right, and each class."""
    width = max(map(len, pair.per_class))
    classes = "\n".join(
        f"  {name:<{width}}  {_points(difference)}" for name, difference in pair.per_class.items()
    )
    return (
        f"{_sides((pair.first,), (pair.second,), pair.accuracy)} McNemar's exact test.\n\n"
        f"Only A is right on {_positions(pair.only_first)}.\n"
        f"Only B is right on {_positions(pair.only_second)}.\n\n"
        f"Recall of each class, B minus A, in points:\n{classes}"
    )


def _groups(groups: GroupComparison) -> str:
    return f"{_sides(groups.first, groups.second, groups.accuracy)} Welch's t-test."


def _sides(
    first: tuple[TestedRun, ...], second: tuple[TestedRun, ...], difference: Difference
) -> str:
    """Each run's accuracy, and the verdict."""
    runs = [
        f"{side}  {run.accuracy:.2%}  {run.name}\n"
        for side, group in (("A", first), ("B", second))
        for run in group
    ]
    return f"{''.join(runs)}on the same {len(first[0].true):,} test images. {_verdict(difference)}"


def _verdict(difference: Difference) -> str:
    """The better side, with the difference in points, its 95 % interval and p."""
    chance = "p < 0.0001" if difference.p_value < 0.0001 else f"p = {difference.p_value:.4f}"  # noqa: PLR2004
    if not difference.is_evident:
        return f"No evidence of a difference: B minus A is {_points(difference)}, {chance},"
    if difference.share.value > 0:
        return f"B is better: {_points(difference)}, {chance},"
    share = difference.share
    negated = replace(share, value=-share.value, low=-share.high, high=-share.low)
    return f"A is better: {_points(replace(difference, share=negated))}, {chance},"


def _points(difference: Difference) -> str:
    """Percentage points with the 95 % interval, as +0.8 points (0.4 to 1.2)."""
    share = difference.share
    value, low, high = (100 * bound for bound in (share.value, share.low, share.high))
    return f"{value:+.1f} points ({low:.1f} to {high:.1f})"


def _positions(positions: "NDArray[np.int64]") -> str:
    """The number of test images, and the first positions."""
    if not len(positions):
        return "no image"
    shown = ", ".join(map(str, positions[:MOST_POSITIONS]))
    more = ", …" if len(positions) > MOST_POSITIONS else ""
    return f"{count(len(positions), 'image')}: {shown}{more}"


def seeds_lines(result: SeedsResult) -> str:
    """List each seed's accuracy, then the mean, interval and deviation of every metric."""
    accuracies = zip(result.seeds, result.metrics["accuracy"].values, strict=True)
    each = "\n".join(f"seed {seed:<13} {value:.4f}" for seed, value in accuracies)
    rows = "\n".join(
        f"{METRIC_NAMES.get(name, name):<18} {spread.mean.value:.4f}  "
        f"(95 % interval of the mean {spread.mean.low:.4f} to {spread.mean.high:.4f}, "
        f"from seed to seed +/- {spread.deviation:.4f})"
        for name, spread in result.metrics.items()
    )
    return (
        f"Accuracy of each of {len(result.seeds)} seeds on {result.n_images:,} test images\n{each}"
        f"\n\nMeans over the seeds\n{rows}"
    )


def trial_table(trials: Sequence[Trial]) -> str:
    """List trials in columns: complete ones first, the best at the top."""
    ordered = sorted(trials, key=lambda t: (t.state != "complete", -(t.accuracy or 0), t.number))
    rows = [_HEADER, *(_row(trial) for trial in ordered)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADER))]
    lines = (
        "  ".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False))
        + f"  {row[-1]}"
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(trial: Trial) -> tuple[str, ...]:
    """The cells of a trial."""
    recipe = trial.recipe
    notes: list[str] = ["default"] if trial.number == 0 else []
    if trial.state != "complete":
        notes.append(trial.state)
    return (
        str(trial.number),
        "-" if trial.accuracy is None else f"{trial.accuracy:.2%}",
        recipe["model_name"],
        str(recipe["width"] or "-"),
        f"{recipe['learning_rate']:g}",
        str(recipe["batch_size"]),
        f"{recipe['label_smoothing']:g}",
        "yes" if recipe["flip"] else "no",
        str(recipe["shift"]),
        f"{recipe['erase']:g}",
        str(len(trial.seconds)),
        f"{sum(trial.seconds):.0f}",
        ", ".join(notes),
    )


def validation_verdict(best: float, default: float, n_images: int) -> str:
    """Report whether the best or the default setting validated better, both trained in full.

    Args:
        best: validation accuracy of the best setting.
        default: that of the default setting.
        n_images: number of validation images.
    """
    if best > default:
        verdict = "the best setting is ahead"
    elif best == default:
        verdict = "the best setting is level with the default"
    else:
        verdict = "the search did not find a better setting than the default"
    return (
        f"On validation, {verdict}: best setting {best:.2%}, default {default:.2%} on the "
        f"{n_images:,} validation images, after the same training time."
    )
