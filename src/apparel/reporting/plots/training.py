"""Figures of training: learning curves, and the trials of a search."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from apparel.core.messages import count
from apparel.core.records import History, Trial, best_trial
from apparel.reporting.plots._style import (
    BLUE,
    FAINT,
    GREY,
    VERMILLION,
    percent,
    percent_ticks,
)

# Share of all accuracies below the visible range: first epochs of poor trials would squeeze the
# others to a thin line at the top.
BELOW = 0.1


def history_figure(history: History) -> Figure:
    """Draw training and validation accuracy and loss over the epochs.

    Args:
        history: the training history; without validation, or without any epoch, the figure shows
            what there is.

    Returns:
        A Figure of two Axes, accuracy and loss.
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle(_history_title(history))
    for ax, metric in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        draw_curves(history, metric, ax=ax)
    return figure


def _history_title(history: History) -> str:
    interrupted = "interrupted after " if history.interrupted else ""
    title = f"Training, {interrupted}{count(history.epochs, 'epoch')}"
    if history.restored_epoch:
        return f"{title}; the weights of epoch {history.restored_epoch} were kept"
    if history.best_epoch is None:
        return title
    return f"{title}; best by validation loss: epoch {history.best_epoch}"


def draw_curves(history: History, metric: str, *, ax: Axes) -> None:
    """Draw a metric of training and validation over the epochs.

    Args:
        history: the training history.
        metric: a name in `history.history`, such as "accuracy"; the validation metric has
            "val_" before it.
        ax: the Axes to draw on.
    """
    epochs = np.arange(1, history.epochs + 1)
    ax.set(title=metric.capitalize(), xlabel="epoch", ylabel=metric)
    ax.set_xlim(0.5, max(history.epochs, 1) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(alpha=0.3)
    if metric == "accuracy":
        percent_ticks(ax.yaxis)
    for key, label, colour, style in (
        (metric, "training", BLUE, "-o"),
        (f"val_{metric}", "validation", VERMILLION, "--s"),
    ):
        if history.history.get(key):
            (line,) = ax.plot(epochs, history.history[key], style, color=colour, label=label)
            line.set(markersize=4, markevery=math.ceil(history.epochs / 20))
    marked = history.restored_epoch or history.best_epoch
    if marked is not None:
        label = f"{'kept' if history.restored_epoch else 'best'} epoch: {marked}"
        ax.axvline(marked, color=GREY, linestyle=":", linewidth=1.8, label=label)
    _legend_or_nothing(ax)


def trials_figure(trials: Sequence[Trial]) -> Figure:
    """Draw the validation accuracy of each trial over its training time.

    Args:
        trials: the trials of a search; those without a finished epoch are left out.

    Returns:
        A Figure of one Axes.
    """
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    ax = figure.subplots()
    drawn = [trial for trial in trials if trial.accuracies]
    best = best_trial(tuple(trials))
    labelled: set[str] = set()
    for trial in drawn:
        label, colour, style, marker, order = _trial_style(trial, best)
        times = np.cumsum(trial.seconds)
        (line,) = ax.plot(times, trial.accuracies, style, color=colour, zorder=order, linewidth=1.4)
        line.set_label("_" if label in labelled else label)
        line.set(marker=marker, markevery=[len(times) - 1], markersize=8, markerfacecolor=colour)
        labelled.add(label)
    ended = [trial for trial in drawn if trial.state == "complete"]
    ax.set_title(
        f"{len(drawn)} trials, {len(ended)} of them complete"
        + (f"; best: {percent(best.accuracies[-1])}" if best else "")
    )
    ax.set(xlabel="training time in seconds", ylabel="accuracy on the validation images")
    percent_ticks(ax.yaxis)
    ax.grid(alpha=0.3)
    if drawn:
        accuracies = np.concatenate([trial.accuracies for trial in drawn])
        low, high = float(np.quantile(accuracies, BELOW)), float(accuracies.max())
        margin = max(0.06 * (high - low), 0.002)
        ax.set_ylim(low - margin, high + margin)
        ax.set_xlim(left=0)
    _legend_or_nothing(ax)
    return figure


def _legend_or_nothing(ax: Axes) -> None:
    """Add a legend, or say that there is nothing to draw."""
    if ax.get_lines():
        ax.legend()
    else:
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color=GREY)


def _trial_style(trial: Trial, best: Trial | None) -> tuple[str, str, str, str, int]:
    """Label, colour, line style, end marker and drawing order."""
    if trial is best:
        name = "best, the default setting" if trial.number == 0 else "best"
        return name, VERMILLION, "-", "*", 5
    if trial.number == 0:
        return "default setting", "black", "--", "s", 4
    if trial.state == "complete":
        return "complete", BLUE, "-", "o", 3
    if trial.state == "stopped":
        return "stopped early", FAINT, "-", "X", 2
    return "interrupted", FAINT, ":", "v", 1
