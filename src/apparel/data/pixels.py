"""Arrays of other people's making → uint8 pixels and labels as text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.data.arrays import CHANNELS
from apparel.errors import DataError

MAX_PIXEL = 255
_GREY, _COLOUR = 3, 4


def as_pixels(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Bring images into the form that a Dataset has.

    Args:
        values: shape (n, h, w) or (n, h, w, c) with 1 or 3 channels: whole numbers of 0 to 255,
            or floating-point numbers of 0 to 1, which are rounded to 256 levels.
        what: the array is called, for people.

    Returns:
        Shape (n, h, w, c).

    Raises:
        DataError: the array has another shape, or a value lies outside.
    """
    fits = values.ndim == _GREY or (values.ndim == _COLOUR and values.shape[-1] in CHANNELS)
    if not fits or 0 in values.shape:
        raise DataError(
            f"{what} must hold images of shape (n, height, width) or (n, height, width, channels) "
            f"with 1 or 3 channels, but has shape {values.shape}. Reshape it first."
        )
    whole = np.issubdtype(values.dtype, np.integer)
    if not whole and not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{what} must hold numbers, but holds {values.dtype}. Convert it first.")
    top = MAX_PIXEL if whole else 1
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # also true for NaN
        raise DataError(
            f"{what} holds {values.dtype} from {low} to {high}, but pixels must lie in 0 to {top}. "
            "Give whole numbers of 0 to 255, or floating-point numbers of 0 to 1."
        )
    scaled = values if whole else np.rint(values * MAX_PIXEL)
    pixels = scaled.astype(np.uint8)
    return pixels[..., np.newaxis] if values.ndim == _GREY else pixels


def as_labels(values: NDArray[Any], what: str, *, n_images: int) -> list[str]:
    """Turn labels into text.

    Args:
        values: shape (n,) or (n, 1), whole numbers or text.
        what: the array is called, for people.
        n_images: how many there must be.

    Raises:
        DataError: there is not one label an image, or they are neither numbers nor text.
    """
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values  # noqa: PLR2004  # Keras's CIFAR-10
    if flat.shape != (n_images,):
        raise DataError(
            f"{what} must hold one label an image, shape ({n_images},), but has shape "
            f"{values.shape}."
        )
    if not np.issubdtype(flat.dtype, np.integer) and flat.dtype.kind != "U":
        raise DataError(
            f"{what} must hold whole numbers or text, but holds {flat.dtype}. Convert it first."
        )
    return [str(label) for label in flat.tolist()]
