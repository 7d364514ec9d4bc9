"""The curves of training."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from apparel.core.records import History
from apparel.reporting.plots.style import BLUE, GREY, VERMILLION, new_axes


def history_figure(history: History) -> Figure:
    """Draw accuracy and loss of every epoch, of training and validation.

    Args:
        history: what training did; without validation curves, or without any epoch, it draws
            what there is.

    Returns:
        A Figure of two Axes, accuracy and loss.
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle(_history_title(history))
    for ax, measure in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        draw_curves(history, measure, ax=ax)
    return figure


def _history_title(history: History) -> str:
    count, interrupted = history.epochs, "interrupted after " if history.interrupted else ""
    title = f"Training, {interrupted}{count} {'epoch' if count == 1 else 'epochs'}"
    if history.restored_epoch:
        return f"{title}; the weights of epoch {history.restored_epoch} were kept"
    if history.best_epoch is None:
        return title
    return f"{title}; best by validation loss: epoch {history.best_epoch}"


def draw_curves(history: History, measure: str, *, ax: Axes | None = None) -> Axes:
    """Draw one measure of training and validation over the epochs.

    Args:
        history: what training did.
        measure: a name in `history.history`, such as "accuracy"; its twin has "val_" before it.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((5.5, 4)) if ax is None else ax
    epochs = np.arange(1, history.epochs + 1)
    ax.set(title=measure.capitalize(), xlabel="epoch", ylabel=measure)
    ax.set_xlim(0.5, max(history.epochs, 1) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(alpha=0.3)
    if measure == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    for key, label, colour, style in (
        (measure, "training", BLUE, "-o"),
        (f"val_{measure}", "validation", VERMILLION, "--s"),
    ):
        if history.history.get(key):
            (line,) = ax.plot(epochs, history.history[key], style, color=colour, label=label)
            line.set(markersize=4, markevery=math.ceil(history.epochs / 20))
    marked = history.restored_epoch or history.best_epoch
    if marked is not None:
        label = f"{'kept' if history.restored_epoch else 'best'} epoch: {marked}"
        ax.axvline(marked, color=GREY, linestyle=":", linewidth=1.8, label=label)
    if ax.get_lines():
        ax.legend()
    else:
        ax.text(0.5, 0.5, "nothing on record", transform=ax.transAxes, ha="center", color=GREY)
    return ax
