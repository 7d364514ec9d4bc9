"""A search's trials and what came of it → lines."""

from collections.abc import Sequence

from apparel.core.records import Trial

_HEADER = ("trial", "validation", "model", "width", "step size", "batch", "smoothing", "flip",
           "shift", "erase", "epochs", "seconds", "")  # fmt: skip


def trial_table(trials: Sequence[Trial]) -> str:
    """A table of trials: those that came to their end first, the best at the top."""
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
    """Say of the best setting and the default, both trained in full, which validated better.

    Args:
        best: accuracy on the validation images.
        default: likewise.
        n_images: how many these are.
    """
    figures = (
        f"best setting {best:.2%}, default {default:.2%} on the {n_images:,} validation images, "
        "after the same training time"
    )
    if best > default:
        return f"On validation, the best setting is ahead: {figures}."
    if best == default:
        return f"On validation, the best setting is level with the default: {figures}."
    return f"On validation, the search did not find a better setting than the default: {figures}."
