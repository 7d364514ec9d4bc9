"""Figures of images: predictions, mistakes with their saliency, and label issues."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray
from apparel.core.records import Images, LabelIssues, Prediction, Saliency
from apparel.reporting.plots._style import (
    BLUE,
    FAINT,
    GREY,
    VERMILLION,
    percent,
    short,
    text_figure,
)

RIGHT, WRONG = "✓", "✗"
# With more classes, the most probable ones and the true one have a bar.
MOST_BARS = 20
MISTAKE_COLUMNS = 3
ISSUE_COLUMNS, ISSUE_ROWS = 5, 5
# Opacity of a saliency map over its image.
OPACITY = 0.55


def predictions_figure(predictions: Sequence[Prediction]) -> Figure:
    """Draw images with their predicted and true class and the confidence in every class.

    Args:
        predictions: at least one; those without an image get the bars only.

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
    """Draw the image, framed in the colour of right or wrong, and the confidences."""
    sign, colour = _verdict(prediction)
    true = "unknown" if prediction.true is None else prediction.class_names[prediction.true]
    part.suptitle(
        f"{sign} predicted: {short(prediction.label, 20)} · true: {short(true, 20)}".strip(),
        color=colour,
        fontsize=10.5,
        fontweight="bold",
        parse_math=False,
    )
    if prediction.image is None:
        named = bars_ax = part.subplots()
    else:
        named, bars_ax = part.subplots(1, 2, width_ratios=(1, 1.5))
        _draw_pixels(prediction.image, named)
        for spine in named.spines.values():
            spine.set(color=colour, linewidth=3)
    _draw_confidences(prediction, colour, bars_ax)
    named.set_xlabel(short(prediction.name), parse_math=False)


def _draw_confidences(prediction: Prediction, colour: str, ax: Axes) -> None:
    """Draw a bar for the confidence in each class, the true class marked."""
    shown = _shown_classes(prediction)
    names = [short(prediction.class_names[k]) for k in shown]
    colours = [colour if k == prediction.predicted else FAINT for k in shown]
    bars = ax.barh(range(len(names)), 100 * prediction.probabilities[shown], color=colours)
    values = [percent(float(share)) for share in prediction.probabilities[shown]]
    ax.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    if prediction.true is not None:
        true = shown.index(prediction.true)
        values[true] += " ◀ true"
        ax.get_yticklabels()[true].set_fontweight("bold")
    ax.bar_label(bars, values, padding=3, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlim(0, 150)  # room for "100.0 % ◀ true" after a full bar
    ax.set_xticks([])
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def _shown_classes(prediction: Prediction) -> list[int]:
    """The classes with a bar: all in their order, or of many the most probable first."""
    if len(prediction.class_names) <= MOST_BARS:
        return list(range(len(prediction.class_names)))
    order: list[int] = prediction.probabilities.argsort()[::-1].tolist()
    first = order[:MOST_BARS]
    if prediction.true is not None and prediction.true not in first:
        first[-1] = prediction.true
    return first


def _verdict(prediction: Prediction) -> tuple[str, str]:
    """Sign and colour of right, wrong or unknown."""
    if prediction.true is None:
        return "", GREY
    return (RIGHT, BLUE) if prediction.true == prediction.predicted else (WRONG, VERMILLION)


def mistakes_figure(mistakes: Sequence[Prediction], saliency: Saliency) -> Figure:
    """Draw each misclassified image beside its two saliency maps.

    Args:
        mistakes: predictions with an image and a true class, in the order of the maps.
        saliency: maps of the predicted classes.

    Returns:
        A Figure with a SubFigure of three Axes for each mistake; with a line of text where there
        is none.
    """
    if not mistakes:
        return text_figure("The model made no mistake.")
    columns = min(len(mistakes), MISTAKE_COLUMNS)
    rows = math.ceil(len(mistakes) / columns)
    figure = Figure(figsize=(4.6 * columns, 2.1 * rows), layout="constrained")
    parts = figure.subfigures(rows, columns, squeeze=False)
    for part, mistake, grad_cam, occlusion in zip(
        parts.flat, mistakes, saliency.grad_cam, saliency.occlusion, strict=False
    ):
        true = "unknown" if mistake.true is None else mistake.class_names[mistake.true]
        part.suptitle(
            f"{short(true, 18)} → {short(mistake.label, 18)} ({percent(mistake.confidence)})",
            fontsize=9.5,
            parse_math=False,
        )
        for ax, name, heat in zip(
            part.subplots(1, 3),
            (short(mistake.name), "Grad-CAM", "occlusion"),
            (None, grad_cam, occlusion),
            strict=True,
        ):
            _draw_pixels(mistake.image, ax, heat)
            ax.set_xlabel(name, fontsize=8)
    return figure


def label_issues_figure(issues: LabelIssues, images: ImageArray) -> Figure:
    """Draw the most suspicious images of a split, each with its label and the suggested class.

    Args:
        issues: of the split.
        images: the whole split, shape (n, h, w, c).

    Returns:
        A Figure of an Axes for each image, at most 25; with a line of text where there is none.
    """
    count = len(issues.indices)
    shown = min(count, ISSUE_COLUMNS * ISSUE_ROWS)
    if not shown:
        return text_figure("No label is suspicious.")
    columns = min(shown, ISSUE_COLUMNS)
    rows = math.ceil(shown / columns)
    layout = ConstrainedLayoutEngine(h_pad=0.12)  # inches: an index is not the next one's title
    figure = Figure(figsize=(max(2.2 * columns, 5), 2.75 * rows + 0.5), layout=layout)
    figure.suptitle(
        f"{count:,} of {issues.n_images:,} {issues.split_name} labels may be wrong"
        + (f"; the first {shown}" if count > shown else ""),
        fontsize=11,
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, index, given, suggested in zip(
        axes.flat, issues.indices, issues.given, issues.suggested, strict=False
    ):
        _draw_pixels(images[index], ax)
        label, other = (short(issues.class_names[k], 18) for k in (given, suggested))
        ax.set_title(f"{label}\n→ {other}?", fontsize=9, parse_math=False)
        ax.set_xlabel(str(index), fontsize=8)
    for ax in axes.flat[shown:]:
        ax.remove()
    return figure


def _draw_pixels(image: "Images | None", ax: Axes, heat: NDArray[np.float32] | None = None) -> None:
    """Draw an image of 1, 3 or 4 channels, and over it a saliency map, 0 to 1."""
    pixels = np.asarray(image)
    full = 255 if pixels.dtype == np.uint8 else 1
    ax.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=full)
    if heat is not None:
        ax.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=OPACITY)
    ax.set(xticks=[], yticks=[])
