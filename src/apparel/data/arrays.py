"""From plain arrays to a Dataset with a hash of its content."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apparel.errors import DataError
from apparel.records import Dataset

GREY, COLOUR = 3, 4  # dimensions: n, h, w and n, h, w, c


def from_arrays(
    train_images: ArrayLike,
    train_labels: ArrayLike,
    test_images: ArrayLike,
    test_labels: ArrayLike,
    *,
    class_names: Sequence[str],
    source: str,
) -> Dataset:
    """Make a Dataset of arrays.

    Args:
        train_images: uint8, shape (n, h, w) or (n, h, w, c), 0 to 255.
        train_labels: any integer dtype, shape (n,), an index into `class_names`.
        test_images: uint8, shape (m, h, w) or (m, h, w, c), of the same height, width and
            channels.
        test_labels: any integer dtype, shape (m,).
        class_names: one name a class, all different.
        source: where the data came from, for people.

    Returns:
        Images with the channel axis and int64 labels. The arrays are not copied where they
        already have that form.

    Raises:
        DataError: the arrays or names are not of that form, or do not fit together.
    """
    names = _checked_names(class_names)
    arrays = (
        _checked_images("train", train_images),
        _checked_labels("train", train_labels),
        _checked_images("test", test_images),
        _checked_labels("test", test_labels),
    )
    train_shape, test_shape = arrays[0].shape[1:], arrays[2].shape[1:]
    if train_shape != test_shape:
        raise DataError(
            "Train and test images must have the same height, width and channels, but have "
            f"{train_shape} and {test_shape}. Resize one of them."
        )
    return Dataset(
        train_images=arrays[0],
        train_labels=arrays[1],
        test_images=arrays[2],
        test_labels=arrays[3],
        class_names=names,
        sha256=content_hash(arrays, names),
        test_sha256=content_hash(arrays[2:], names),
        source=source,
    )


def content_hash(arrays: Sequence[NDArray[np.generic]], class_names: Sequence[str]) -> str:
    """Hash shapes, dtypes, bytes and class names.

    Args:
        arrays: of any shape and dtype, in an order that matters.
        class_names: one name a class.

    Returns:
        SHA-256 in hexadecimal, the same on little- and big-endian machines.
    """
    digest = hashlib.sha256(json.dumps(list(class_names)).encode())
    for array in arrays:
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        # The shape goes first: without it, (2, 3) and (3, 2) would look alike.
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.data)
    return digest.hexdigest()


def _checked_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple, or raise DataError."""
    names = () if isinstance(class_names, str) else tuple(class_names)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise DataError(
            f"class_names must be a sequence of non-empty strings, but is {class_names!r}. "
            "Give one name a class."
        )
    if len(set(names)) < len(names):
        raise DataError(f"class_names must all be different, but are {list(names)}. Rename some.")
    return names


def _as_array(what: str, values: ArrayLike) -> NDArray[np.generic]:
    """Return `values` as an array, or raise DataError where rows differ in length."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"{what} do not form one array ({error}). Give all of them the same shape."
        ) from error


def _checked_images(split: str, values: ArrayLike) -> NDArray[np.uint8]:
    """Return uint8 images of shape (n, h, w, c), or raise DataError."""
    images = _as_array(f"{split} images", values)
    if images.dtype != np.uint8 or images.ndim not in (GREY, COLOUR) or 0 in images.shape[1:]:
        raise DataError(
            f"{split} images must be uint8 (0 to 255) of shape (n, height, width) or "
            f"(n, height, width, channels), but are {images.dtype} of shape {images.shape}. "
            "Convert them first."
        )
    if images.ndim == GREY:
        images = images[..., np.newaxis]
    return np.ascontiguousarray(images, dtype=np.uint8)


def _checked_labels(split: str, values: ArrayLike) -> NDArray[np.int64]:
    """Return int64 labels of shape (n,), or raise DataError."""
    labels = _as_array(f"{split} labels", values)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{split} labels must be whole numbers of shape (n,), one an image, but are "
            f"{labels.dtype} of shape {labels.shape}. Give each image the position of its "
            "class in class_names."
        )
    return np.ascontiguousarray(labels, dtype=np.int64)
