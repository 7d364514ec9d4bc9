"""Which classes are taken for which."""

import math
from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from apparel.reporting.plots.style import FAINT, new_axes, percent, short

# With more, a cell has no room for its count, and not every class for its name.
MOST_ANNOTATED = 40


def confusion_matrix_figure(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Draw which classes are taken for which.

    Args:
        confusion: int64, shape (k, k), counts; row: true class, column: predicted class.
        class_names: k names.

    Returns:
        A Figure whose first Axes is the heatmap, and whose second is its colour bar.
    """
    figure = Figure(figsize=_matrix_size(len(class_names)), layout="constrained")
    ax = draw_confusion_matrix(confusion, class_names, ax=figure.subplots())
    images = confusion.sum()
    ax.set_title(f"Confusion matrix of {images:,} {'image' if images == 1 else 'images'}", pad=12)
    return figure


def draw_confusion_matrix(
    confusion: NDArray[np.int64], class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draw a confusion matrix: in each cell the count and its share of the true class.

    Of more than 40 classes, cells have their colour alone, and as many classes a name as have room.

    Args:
        confusion: int64, shape (k, k), counts; row: true class, column: predicted class.
        class_names: k names.
        ax: where to draw, or None for a new figure that is large enough to read.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes(_matrix_size(len(class_names))) if ax is None else ax
    shares = row_shares(confusion)
    annotated = len(class_names) <= MOST_ANNOTATED
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
        for text, count in zip(ax.texts, confusion.flat, strict=True):
            if not count:
                text.set_color(FAINT)
    _name_both_axes(ax, class_names)
    return ax


def row_shares(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each count as a share of its row, 0 in a row of none; shape (k, k) as `confusion`."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.zeros(confusion.shape)
    np.divide(confusion, totals, out=shares, where=totals > 0)
    return shares


def _cells(confusion: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.object_]:
    """The text of each cell."""
    cells = [
        f"{count:,}\n{percent(share)}" if count else "0"
        for count, share in zip(confusion.flat, shares.flat, strict=True)
    ]
    return np.reshape(np.array(cells, dtype=object), confusion.shape)


def _name_both_axes(ax: Axes, class_names: Sequence[str]) -> None:
    step = math.ceil(len(class_names) / MOST_ANNOTATED)
    names = [short(name) for name in class_names[::step]]
    centres = np.arange(len(class_names))[::step] + 0.5
    ax.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    ax.set_yticks(centres, names, rotation=0, parse_math=False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")


def _matrix_size(classes: int) -> tuple[float, float]:
    """Return inches: a cell has room for "1,000" above "100.0 %"."""
    # Cells come out square by this size: seaborn's square=True let the layout clip "true class".
    side = 0.8 * max(classes, 4) if classes <= MOST_ANNOTATED else 12.0
    return side + 3, side + 1.8
