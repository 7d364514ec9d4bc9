"""Images whose labels are probably wrong."""

import math

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from apparel.core.image_array import ImageArray
from apparel.core.records import LabelIssues
from apparel.reporting.plots.mistakes import draw_map
from apparel.reporting.plots.style import short

COLUMNS, ROWS = 5, 5


def suspects_figure(suspects: LabelIssues, images: ImageArray) -> Figure:
    """Draw the most suspicious images of a split, each with its label and what models say.

    Args:
        suspects: of the split.
        images: the whole split, shape (n, h, w, c).

    Returns:
        A Figure of an Axes for each image, at most 25; with a line of text where there is none.
    """
    shown = min(len(suspects.indices), COLUMNS * ROWS)
    if not shown:
        figure = Figure(figsize=(6, 1))
        figure.text(0.5, 0.5, "No label is suspicious.", ha="center", va="center")
        return figure
    columns = min(shown, COLUMNS)
    rows = math.ceil(shown / columns)
    layout = ConstrainedLayoutEngine(h_pad=0.12)  # inches: an index is not the next one's title
    figure = Figure(figsize=(max(2.2 * columns, 5), 2.75 * rows + 0.5), layout=layout)
    count = len(suspects.indices)
    figure.suptitle(
        f"{count:,} of {suspects.n_images:,} {suspects.split_name} labels may be wrong"
        + (f"; the first {shown}" if count > shown else ""),
        fontsize=11,
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, index, given, suggested in zip(
        axes.flat, suspects.indices, suspects.given, suspects.suggested, strict=False
    ):
        draw_map(images[index], None, ax=ax)
        label, other = (short(suspects.class_names[k], 18) for k in (given, suggested))
        ax.set_title(f"{label}\n→ {other}?", fontsize=9, parse_math=False)
        ax.set_xlabel(str(index), fontsize=8)
    for ax in axes.flat[shown:]:
        ax.remove()
    return figure
