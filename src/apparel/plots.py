"""Draw a record as a matplotlib Figure; never compute a metric, never show a window.

Figures are made without pyplot: no global state, no display, and nothing to close.
Colours are from the colour-blind-safe palette of Okabe and Ito (2008); what a colour
says, a line style, marker, sign or word says too.
"""

import math
from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from apparel.records import History, Prediction

BLUE, VERMILLION, GREY, FAINT = "#0072B2", "#D55E00", "#595959", "#9A9A9A"
RIGHT, WRONG = "✓", "✗"


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
    ax = _new_axes((5.5, 4)) if ax is None else ax
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

    Args:
        confusion: int64, shape (k, k), counts; row: true class, column: predicted class.
        class_names: k names.
        ax: where to draw, or None for a new figure that is large enough to read.

    Returns:
        The Axes drawn on.
    """
    ax = _new_axes(_matrix_size(len(class_names))) if ax is None else ax
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    cells = [
        f"{count:,}\n{_percent(share)}" if count else "0"
        for count, share in zip(confusion.flat, shares.flat, strict=True)
    ]
    sns.heatmap(
        shares,
        ax=ax,
        annot=np.reshape(np.array(cells, dtype=object), confusion.shape),
        fmt="",
        annot_kws={"fontsize": 10},
        cmap="Blues",
        # The square root lets 3 % differ visibly from 0 %; the colour bar shows the scale.
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        linewidths=0.5,
        linecolor="#DDDDDD",
        cbar_kws={
            "label": "share of the true class",
            "format": PercentFormatter(1, symbol=" %"),
            "fraction": 0.04,
            "aspect": 30,
            "pad": 0.02,
        },
    )
    for text, count in zip(ax.texts, confusion.flat, strict=True):
        if not count:
            text.set_color(FAINT)
    _name_both_axes(ax, class_names)
    return ax


def _name_both_axes(ax: Axes, class_names: Sequence[str]) -> None:
    names = [_short(name) for name in class_names]
    centres = np.arange(len(names)) + 0.5
    ax.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    ax.set_yticks(centres, names, rotation=0, parse_math=False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")


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
    classes = max(len(prediction.class_names) for prediction in predictions)
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
    label, true = _short(prediction.label, 20), _short(true, 20)
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
    ax = _new_axes((3, 3)) if ax is None else ax
    _, colour = _verdict(prediction)
    pixels = np.asarray(prediction.image)
    full = 255 if pixels.dtype == np.uint8 else 1
    if pixels.shape[-1] == 1:
        ax.imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=full)
    else:
        ax.imshow(pixels)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(_short(prediction.name), parse_math=False)
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=3)
    return ax


def draw_confidences(prediction: Prediction, *, ax: Axes | None = None) -> Axes:
    """Draw a bar for the confidence in each class, the true class marked.

    Args:
        prediction: what a model says of one image.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    names, true = [_short(name) for name in prediction.class_names], prediction.true
    ax = _new_axes((5, 1 + 0.25 * len(names))) if ax is None else ax
    _, colour = _verdict(prediction)
    colours = [colour if i == prediction.predicted else FAINT for i in range(len(names))]
    bars = ax.barh(range(len(names)), 100 * prediction.probabilities, color=colours)
    values = [_percent(float(share)) for share in prediction.probabilities]
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
        ax.set_xlabel(_short(prediction.name), parse_math=False)
    return ax


def _verdict(prediction: Prediction) -> tuple[str, str]:
    """Return sign and colour of right, wrong or unknown."""
    if prediction.true is None:
        return "", GREY
    return (RIGHT, BLUE) if prediction.true == prediction.predicted else (WRONG, VERMILLION)


def _new_axes(size: tuple[float, float]) -> Axes:
    return Figure(figsize=size, layout="constrained").subplots()


def _matrix_size(classes: int) -> tuple[float, float]:
    """Return inches: a cell has room for "1,000" above "100.0 %"."""
    # Cells come out square by this size: seaborn's square=True let the layout clip "true class".
    side = 0.8 * max(classes, 4)
    return side + 3, side + 1.8


def _percent(share: float) -> str:
    """Write a share, 0 to 1; '<0.1 %' and '>99.9 %' for what is not quite none or all."""
    if 0 < share < 0.0005:  # noqa: PLR2004  # would be rounded to 0.0
        return "<0.1 %"
    return ">99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"  # noqa: PLR2004


def _short(name: str, longest: int = 24) -> str:
    """Shorten a name in its middle: an endless label would leave no room for the drawing."""
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2]}…{name[1 - longest // 2 :]}"
