"""Images with what a model says of them."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from apparel.core.records import Prediction
from apparel.reporting.plots.style import BLUE, FAINT, GREY, VERMILLION, new_axes, percent, short

RIGHT, WRONG = "✓", "✗"
# With more, the most probable are shown, and the true one.
MOST_BARS = 20


def predictions_figure(predictions: Sequence[Prediction]) -> Figure:
    """Draw images with their predicted and true class and the confidence in every class.

    Args:
        predictions: at least one; those without an image get the bars alone.

    Returns:
        A Figure with a SubFigure for each prediction, row by row.

    Raises:
        ValueError: there is no prediction.
    """
    if not predictions:
        raise ValueError("There is nothing to draw: expected at least one prediction, got none.")
    columns = min(len(predictions), 2 if len(predictions) <= 8 else 3)  # noqa: PLR2004
    rows = math.ceil(len(predictions) / columns)
    classes = max(len(_shown_classes(prediction)) for prediction in predictions)
    height = 1.0 + 0.2 * max(classes, 7)
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)  # inches, between the parts
    figure = Figure(figsize=(6 * columns, height * rows), layout=layout)
    parts = figure.subfigures(rows, columns, squeeze=False)
    for part, prediction in zip(parts.flat, predictions, strict=False):
        _draw_prediction(prediction, part)
    return figure


def _draw_prediction(prediction: Prediction, part: SubFigure) -> None:
    sign, colour = _verdict(prediction)
    true = "unknown" if prediction.true is None else prediction.class_names[prediction.true]
    label, true = short(prediction.label, 20), short(true, 20)
    part.suptitle(
        f"{sign} predicted: {label} · true: {true}".strip(),
        color=colour,
        fontsize=10.5,
        fontweight="bold",
        parse_math=False,
    )
    if prediction.image is None:
        draw_confidences(prediction, ax=part.subplots())
    else:
        image_ax, bars_ax = part.subplots(1, 2, width_ratios=(1, 1.5))
        draw_image(prediction, ax=image_ax)
        draw_confidences(prediction, ax=bars_ax)


def draw_image(prediction: Prediction, *, ax: Axes | None = None) -> Axes:
    """Draw the image of a prediction, framed in the colour of right or wrong.

    Args:
        prediction: one that has an image, of 1 channel or of 3 or 4.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((3, 3)) if ax is None else ax
    _, colour = _verdict(prediction)
    pixels = np.asarray(prediction.image)
    full = 255 if pixels.dtype == np.uint8 else 1
    if pixels.shape[-1] == 1:
        ax.imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=full)
    else:
        ax.imshow(pixels)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(short(prediction.name), parse_math=False)
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=3)
    return ax


def draw_confidences(prediction: Prediction, *, ax: Axes | None = None) -> Axes:
    """Draw a bar for the confidence in each class, the true class marked.

    Of more than 20 classes, the most probable and the true one are drawn, the most probable first.

    Args:
        prediction: what a model says of one image.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    shown = _shown_classes(prediction)
    names = [short(prediction.class_names[k]) for k in shown]
    ax = new_axes((5, 1 + 0.25 * len(names))) if ax is None else ax
    _, colour = _verdict(prediction)
    colours = [colour if k == prediction.predicted else FAINT for k in shown]
    bars = ax.barh(range(len(names)), 100 * prediction.probabilities[shown], color=colours)
    values = [percent(float(share)) for share in prediction.probabilities[shown]]
    true = None if prediction.true is None else shown.index(prediction.true)
    if true is not None:
        values[true] += " ◀ true"
    ax.bar_label(bars, values, padding=3, fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    if true is not None:
        ax.get_yticklabels()[true].set_fontweight("bold")
    ax.invert_yaxis()
    ax.set_xlim(0, 150)  # room for "100.0 % ◀ true" after a full bar
    ax.set_xticks([])
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    if prediction.image is None:
        ax.set_xlabel(short(prediction.name), parse_math=False)
    return ax


def _shown_classes(prediction: Prediction) -> list[int]:
    """The classes that have a bar: all in their order, or of many the most probable first."""
    if len(prediction.class_names) <= MOST_BARS:
        return list(range(len(prediction.class_names)))
    order: list[int] = prediction.probabilities.argsort()[::-1].tolist()
    first = order[:MOST_BARS]
    if prediction.true is not None and prediction.true not in first:
        first[-1] = prediction.true
    return first


def _verdict(prediction: Prediction) -> tuple[str, str]:
    """Return sign and colour of right, wrong or unknown."""
    if prediction.true is None:
        return "", GREY
    return (RIGHT, BLUE) if prediction.true == prediction.predicted else (WRONG, VERMILLION)
