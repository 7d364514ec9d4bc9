"""Arrays of other people's making → uint8 pixels and labels as text."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.data.arrays import CHANNELS

MAX_PIXEL = 255
_GREY, _COLOUR = 3, 4
# Of floating-point numbers that are rounded: a copy of all would take eight bytes a pixel.
_VALUES_AT_ONCE = 1 << 20


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
    with np.errstate(invalid="ignore"):  # of numbers that are none, which are told below
        low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # also true for NaN
        raise DataError(
            f"{what} holds {values.dtype} from {low} to {high}, but pixels must lie in 0 to {top}. "
            "Give whole numbers of 0 to 255, or floating-point numbers of 0 to 1."
        )
    pixels = values.astype(np.uint8) if whole else _rounded(values)
    return pixels[..., np.newaxis] if values.ndim == _GREY else pixels


def _rounded(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Round numbers of 0 to 1 to 256 levels, some images at a time."""
    pixels = np.empty(values.shape, np.uint8)
    step = max(_VALUES_AT_ONCE // values[0].size, 1)
    for start in range(0, len(values), step):
        pixels[start : start + step] = np.rint(values[start : start + step] * MAX_PIXEL)
    return pixels


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
    if flat.dtype.kind == "U" and flat.dtype.itemsize:
        letters = flat.astype(flat.dtype.newbyteorder("=")).view(np.uint32)
        if letters.max() > sys.maxunicode:  # of which Python makes no text, and says so oddly
            raise DataError(
                f"{what} holds {letters.max():,} as a letter, and text has letters up to "
                f"{sys.maxunicode:,}. Write it again."
            )
    return [str(label) for label in flat.tolist()]
