"""The trials of a search."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from apparel.core.records import Trial, best_trial
from apparel.reporting.plots.style import BLUE, FAINT, GREY, VERMILLION, new_axes, percent

# Of all measured accuracies, the share that lies below the picture: first epochs of poor trials
# would leave the rest a thin line at the top.
BELOW = 0.1


def trials_figure(trials: Sequence[Trial]) -> Figure:
    """Draw the validation accuracy of each trial over its training time.

    Args:
        trials: of a search; those without a finished epoch are left out.

    Returns:
        A Figure of one Axes.
    """
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    draw_trials(trials, ax=figure.subplots())
    return figure


def draw_trials(trials: Sequence[Trial], *, ax: Axes | None = None) -> Axes:
    """Draw a line for each trial; see `trials_figure`.

    Args:
        trials: of a search.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((8.5, 4.8)) if ax is None else ax
    drawn = [trial for trial in trials if trial.accuracies]
    best = best_trial(tuple(trials))
    labelled: set[str] = set()
    for trial in drawn:
        label, colour, style, marker, order = _look(trial, best)
        times = np.cumsum(trial.seconds)
        (line,) = ax.plot(times, trial.accuracies, style, color=colour, zorder=order, linewidth=1.4)
        line.set_label("_" if label in labelled else label)
        line.set(marker=marker, markevery=[len(times) - 1], markersize=8, markerfacecolor=colour)
        labelled.add(label)
    ended = [trial for trial in drawn if trial.state == "complete"]
    ax.set_title(
        f"{len(drawn)} trials, {len(ended)} of them to their end"
        + (f"; best: {percent(best.accuracies[-1])}" if best else "")
    )
    ax.set(xlabel="training time in seconds", ylabel="accuracy on the validation images")
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.grid(alpha=0.3)
    if drawn:
        accuracies = np.concatenate([trial.accuracies for trial in drawn])
        low, high = float(np.quantile(accuracies, BELOW)), float(accuracies.max())
        margin = max(0.06 * (high - low), 0.002)
        ax.set_ylim(low - margin, high + margin)
        ax.set_xlim(left=0)
        ax.legend(loc="lower right")
    else:
        ax.text(0.5, 0.5, "nothing on record", transform=ax.transAxes, ha="center", color=GREY)
    return ax


def _look(trial: Trial, best: Trial | None) -> tuple[str, str, str, str, int]:
    """Label, colour, line style, marker of its end, and which lines it lies over."""
    if trial is best:
        name = "best, the default setting" if trial.number == 0 else "best"
        return name, VERMILLION, "-", "*", 5
    if trial.number == 0:
        return "default setting", "black", "--", "s", 4
    if trial.state == "complete":
        return "trained to its end", BLUE, "-", "o", 3
    if trial.state == "stopped":
        return "stopped early", FAINT, "-", "X", 2
    return "broken off", FAINT, ":", "v", 1
