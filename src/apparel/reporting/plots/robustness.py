"""Accuracy on images that were made worse."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from apparel.core.records import CorruptionCurve, Interval, Robustness
from apparel.reporting.plots.style import BLUE, GREY, new_axes, percent

COLUMNS = 4


def robustness_figure(robustness: Robustness) -> Figure:
    """Draw a curve for each way of making images worse.

    Returns:
        A Figure of an Axes for each curve, four in a row.
    """
    curves = robustness.curves
    rows = -(-len(curves) // COLUMNS)
    figure = Figure(figsize=(11, 2.6 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False)
    for ax, curve in zip(axes.flat, curves, strict=False):
        draw_corruption(curve, robustness.accuracy, ax=ax)
    for ax in axes.flat[len(curves) :]:
        ax.remove()
    for row in axes:
        row[0].set_ylabel("accuracy")
    attack = robustness.attack
    figure.suptitle(
        f"{percent(robustness.accuracy.value)} on the images as they are (dotted); "
        f"{percent(attack.accuracy.value)} where every pixel may be changed by {attack.epsilon:g} "
        "to mislead the model",
        fontsize=10.5,
    )
    return figure


def draw_corruption(curve: CorruptionCurve, unchanged: Interval, *, ax: Axes | None = None) -> Axes:
    """Draw accuracy over strength, with the 95 % interval.

    Args:
        curve: of one way of making images worse.
        unchanged: the accuracy on the images as they are.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((4, 3)) if ax is None else ax
    ax.fill_between(
        curve.strengths,
        [accuracy.low for accuracy in curve.accuracies],
        [accuracy.high for accuracy in curve.accuracies],
        color=BLUE,
        alpha=0.25,
        linewidth=0,
    )
    values = [accuracy.value for accuracy in curve.accuracies]
    ax.plot(curve.strengths, values, "-o", color=BLUE, markersize=4)
    ax.axhline(unchanged.value, color=GREY, linestyle=":")
    ax.set_title(curve.name, fontsize=10)
    ax.set_xlabel(curve.unit, fontsize=9)
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.grid(alpha=0.3)
    return ax
