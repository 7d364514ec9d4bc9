"""Figures of a test result: confusion matrix, calibration, robustness."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from apparel.core.messages import count
from apparel.core.records import CorruptionCurve, Evaluation, Interval, Robustness
from apparel.reporting.plots._style import (
    BLUE,
    FAINT,
    GREY,
    VERMILLION,
    percent,
    percent_ticks,
    short,
)

# With more classes, a cell has no room for its count, and not every class for its name.
MOST_ANNOTATED = 40
# Curves in a row of the robustness figure.
COLUMNS = 4


def confusion_matrix_figure(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: in each cell the count and its share of the true class.

    With more than 40 classes, cells are coloured only, and class names are thinned out.

    Args:
        confusion: int64, shape (k, k), counts; row: true class, column: predicted class.
        class_names: k names.

    Returns:
        A Figure whose first Axes is the heatmap, and whose second is its colour bar.
    """
    annotated = len(class_names) <= MOST_ANNOTATED
    # Inches: a cell has room for "1,000" above "100.0 %". Cells come out square by this size, as
    # seaborn's square=True let the layout clip "true class".
    side = 0.8 * max(len(class_names), 4) if annotated else 12.0
    figure = Figure(figsize=(side + 3, side + 1.8), layout="constrained")
    ax = figure.subplots()
    shares = row_shares(confusion)
    sns.heatmap(
        shares,
        ax=ax,
        annot=_cells(confusion, shares) if annotated else False,
        fmt="",
        annot_kws={"fontsize": 10},
        cmap="Blues",
        # The square root lets 3 % differ visibly from 0 %; the colour bar shows the scale.
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        linewidths=0.5 if annotated else 0,
        # One by one, the cells of a thousand classes would take minutes.
        rasterized=not annotated,
        linecolor="#DDDDDD",
        cbar_kws={
            "label": "share of the true class",
            "format": PercentFormatter(1, symbol=" %"),
            "fraction": 0.04,
            "aspect": 30,
            "pad": 0.02,
        },
    )
    if annotated:
        for text, number in zip(ax.texts, confusion.flat, strict=True):
            if not number:
                text.set_color(FAINT)
    step = math.ceil(len(class_names) / MOST_ANNOTATED)
    names = [short(name) for name in class_names[::step]]
    centres = np.arange(len(class_names))[::step] + 0.5
    ax.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    ax.set_yticks(centres, names, rotation=0, parse_math=False)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.set_title(f"Confusion matrix of {count(confusion.sum(), 'image')}", pad=12)
    return figure


def row_shares(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each count as a share of its row, 0 in an empty row; shape (k, k) like `confusion`."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.zeros(confusion.shape)
    np.divide(confusion, totals, out=shares, where=totals > 0)
    return shares


def _cells(confusion: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.object_]:
    """The text of each cell."""
    cells = [
        f"{number:,}\n{percent(share)}" if number else "0"
        for number, share in zip(confusion.flat, shares.flat, strict=True)
    ]
    return np.reshape(np.array(cells, dtype=object), confusion.shape)


def calibration_figure(evaluation: Evaluation) -> Figure:
    """Draw reliability, and accuracy over the share of images answered.

    Returns:
        A Figure of two Axes.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_reliability(evaluation, ax=left)
    draw_abstention(evaluation, ax=right)
    return figure


def draw_reliability(evaluation: Evaluation, *, ax: Axes) -> None:
    """Draw a reliability diagram, beside that before calibration where there was one."""
    bins, before = evaluation.reliability.bins, evaluation.reliability_before
    images = np.array([b.n_images for b in bins])
    ax.bar(
        [b.low for b in bins],
        images / images.sum(),
        width=[b.high - b.low for b in bins],
        align="edge",
        color=FAINT,
        alpha=0.35,
        label="share of the images",
    )
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="perfect calibration")
    if evaluation.calibration.is_needed:
        ax.plot(
            [b.confidence for b in before.bins],
            [b.accuracy.value for b in before.bins],
            "--s",
            color=VERMILLION,
            markersize=4,
            linewidth=1,
            label=f"before calibration, error {before.expected_calibration_error.value:.3f}",
        )
    error = evaluation.reliability.expected_calibration_error.value
    _error_bars(
        ax,
        [b.confidence for b in bins],
        [b.accuracy for b in bins],
        fmt="-o",
        color=BLUE,
        markersize=5,
        capsize=2,
        label=f"accuracy, error {error:.3f}",
    )
    ax.set(title="Reliability", xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    percent_ticks(ax.xaxis, ax.yaxis)
    ax.grid(alpha=0.3)
    ax.legend(loc="upper left", fontsize=8)


def draw_abstention(evaluation: Evaluation, *, ax: Axes) -> None:
    """Draw the accuracy of the most confident images over their share."""
    abstention, target = evaluation.abstention, evaluation.calibration.target_accuracy
    ax.plot(abstention.coverages, abstention.accuracies, color=BLUE, label="accuracy of answers")
    if abstention.coverage and abstention.accuracy:
        coverage, accuracy = abstention.coverage.value, abstention.accuracy
        ax.axhline(target, color=GREY, linestyle=":", label=f"asked for: {percent(target)}")
        _error_bars(
            ax,
            [coverage],
            [accuracy],
            fmt="s",
            color=VERMILLION,
            capsize=3,
            label=f"answers {percent(coverage)}, {percent(accuracy.value)} correctly",
        )
    ax.set(title="Abstaining", xlabel="share of the images answered", ylabel="accuracy")
    ax.set_xlim(0, 1)
    ax.set_ylim(None, max(1.002, ax.get_ylim()[1]))
    percent_ticks(ax.xaxis, ax.yaxis)
    ax.grid(alpha=0.3)
    ax.legend(loc="lower left", fontsize=8)


def _error_bars(ax: Axes, x: list[float], intervals: list[Interval], **style: Any) -> None:
    """Draw values with their intervals."""
    values = [interval.value for interval in intervals]
    below = [interval.value - interval.low for interval in intervals]
    above = [interval.high - interval.value for interval in intervals]
    ax.errorbar(x, values, yerr=[below, above], **style)


def robustness_figure(robustness: Robustness) -> Figure:
    """Draw a curve for each corruption.

    Returns:
        A Figure of an Axes for each curve, four in a row.
    """
    curves, attack = robustness.curves, robustness.attack
    rows = -(-len(curves) // COLUMNS)
    figure = Figure(figsize=(11, 2.6 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False)
    for ax, curve in zip(axes.flat, curves, strict=False):
        draw_corruption(curve, robustness.accuracy, ax=ax)
    for ax in axes.flat[len(curves) :]:
        ax.remove()
    for row in axes:
        row[0].set_ylabel("accuracy")
    figure.suptitle(
        f"{percent(robustness.accuracy.value)} on unchanged images (dotted); "
        f"{percent(attack.accuracy.value)} where every pixel may be changed by {attack.epsilon:g} "
        "to mislead the model",
        fontsize=10.5,
    )
    return figure


def draw_corruption(curve: CorruptionCurve, unchanged: Interval, *, ax: Axes) -> None:
    """Draw accuracy over the strength of a corruption, with the 95 % interval.

    Args:
        curve: accuracy at each strength.
        unchanged: the accuracy on unchanged images.
        ax: the Axes to draw on.
    """
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
    percent_ticks(ax.yaxis)
    ax.grid(alpha=0.3)
