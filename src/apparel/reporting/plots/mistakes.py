"""Images that a model named wrongly, with the pixels that made it do so."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from apparel.core.records import Images, Prediction, Saliency
from apparel.reporting.plots.style import new_axes, percent, short

COLUMNS = 3
# Of a map over its image.
OPACITY = 0.55


def mistakes_figure(mistakes: Sequence[Prediction], saliency: Saliency) -> Figure:
    """Draw each image beside its two maps.

    Args:
        mistakes: predictions with an image and a true class, in the order of the maps.
        saliency: which pixels speak for the predicted class.

    Returns:
        A Figure with a SubFigure of three Axes for each mistake; with a line of text where there
        is none.
    """
    if not mistakes:
        figure = Figure(figsize=(6, 1))
        figure.text(0.5, 0.5, "The model made no mistake.", ha="center", va="center")
        return figure
    columns = min(len(mistakes), COLUMNS)
    rows = math.ceil(len(mistakes) / columns)
    figure = Figure(figsize=(4.6 * columns, 2.1 * rows), layout="constrained")
    parts = figure.subfigures(rows, columns, squeeze=False)
    for part, mistake, grad_cam, occlusion in zip(
        parts.flat, mistakes, saliency.grad_cam, saliency.occlusion, strict=False
    ):
        part.suptitle(_heading(mistake), fontsize=9.5, parse_math=False)
        plain, *mapped = part.subplots(1, 3)
        draw_map(mistake.image, None, ax=plain).set_xlabel(short(mistake.name), fontsize=8)
        for ax, name, values in zip(
            mapped, ("Grad-CAM", "occlusion"), (grad_cam, occlusion), strict=True
        ):
            draw_map(mistake.image, values, ax=ax).set_xlabel(name, fontsize=8)
    return figure


def draw_map(
    image: "Images | None", values: NDArray[np.float32] | None, *, ax: Axes | None = None
) -> Axes:
    """Draw an image, and over it how much each pixel matters.

    Args:
        image: shape (h, w, c), of 1 channel or of 3 or 4.
        values: shape (h, w), 0 to 1, or None for the image alone.
        ax: where to draw, or None for a new figure.

    Returns:
        The Axes drawn on.
    """
    ax = new_axes((3, 3)) if ax is None else ax
    pixels = np.asarray(image)
    grey = pixels.shape[-1] == 1
    full = 255 if pixels.dtype == np.uint8 else 1
    ax.imshow(pixels[..., 0] if grey else pixels, cmap="gray", vmin=0, vmax=full)
    if values is not None:
        ax.imshow(values, cmap="inferno", vmin=0, vmax=1, alpha=OPACITY)
    ax.set(xticks=[], yticks=[])
    return ax


def _heading(mistake: Prediction) -> str:
    """True and predicted class and the confidence."""
    true = "unknown" if mistake.true is None else short(mistake.class_names[mistake.true], 18)
    return f"{true} → {short(mistake.label, 18)} ({percent(mistake.confidence)})"
