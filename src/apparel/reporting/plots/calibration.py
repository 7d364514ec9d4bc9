"""How far confidences can be trusted, and what is gained by not answering."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from apparel.core.records import Abstention, Calibration, Evaluation, Reliability
from apparel.reporting.plots.style import BLUE, FAINT, GREY, VERMILLION, new_axes, percent


def calibration_figure(evaluation: Evaluation) -> Figure:
    """Draw reliability, and accuracy over the share of images that is answered.

    Returns:
        A Figure of two Axes.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    before = evaluation.reliability_before if evaluation.calibration.is_needed else None
    draw_reliability(evaluation.reliability, before, ax=left)
    draw_abstention(evaluation.abstention, evaluation.calibration, ax=right)
    return figure


def draw_reliability(
    reliability: Reliability, before: Reliability | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the accuracy of images of about the same confidence, and how many there are.

    Args:
        reliability: of the model.
        before: of the model without its temperature; None leaves it out.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((5.5, 4.8)) if ax is None else ax
    bins = reliability.bins
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
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="as accurate as confident")
    if before is not None:
        ax.plot(
            [b.confidence for b in before.bins],
            [b.accuracy.value for b in before.bins],
            "--s",
            color=VERMILLION,
            markersize=4,
            linewidth=1,
            label=f"before, error {before.expected_calibration_error.value:.3f}",
        )
    accuracy = np.array([b.accuracy.value for b in bins])
    ax.errorbar(
        [b.confidence for b in bins],
        accuracy,
        yerr=[
            accuracy - [b.accuracy.low for b in bins],
            [b.accuracy.high for b in bins] - accuracy,
        ],
        fmt="-o",
        color=BLUE,
        markersize=5,
        capsize=2,
        label=f"accuracy, error {reliability.expected_calibration_error.value:.3f}",
    )
    ax.set(title="Reliability", xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    _as_percentages(ax)
    ax.legend(loc="upper left", fontsize=8)
    return ax


def draw_abstention(
    abstention: Abstention, calibration: Calibration, *, ax: Axes | None = None
) -> Axes:
    """Draw the accuracy of the surest images over their share.

    Args:
        abstention: what is gained by leaving images out.
        calibration: the accuracy asked for, and the threshold.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((5.5, 4.8)) if ax is None else ax
    ax.plot(abstention.coverages, abstention.accuracies, color=BLUE, label="accuracy of answers")
    if abstention.coverage and abstention.accuracy:
        target, reached = calibration.target_accuracy, abstention.accuracy
        ax.axhline(target, color=GREY, linestyle=":", label=f"asked for: {percent(target)}")
        ax.errorbar(
            [abstention.coverage.value],
            [reached.value],
            yerr=[[reached.value - reached.low], [reached.high - reached.value]],
            fmt="s",
            color=VERMILLION,
            capsize=3,
            label=f"answers {percent(abstention.coverage.value)}, "
            f"{percent(reached.value)} correctly",
        )
    ax.set(title="Abstaining", xlabel="share of the images answered", ylabel="accuracy")
    ax.set_xlim(0, 1)
    ax.set_ylim(None, max(1.002, ax.get_ylim()[1]))
    _as_percentages(ax)
    ax.legend(loc="lower left", fontsize=8)
    return ax


def _as_percentages(ax: Axes) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.grid(alpha=0.3)
