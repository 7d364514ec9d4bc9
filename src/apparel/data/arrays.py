"""From plain arrays to a Dataset with a hash of its content."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apparel.core.errors import DataError
from apparel.core.image_array import ImageArray, digests
from apparel.core.records import Dataset, Files

GREY, COLOUR = 3, 4  # dimensions: n, h, w and n, h, w, c
CHANNELS = (1, 3)


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
    train, test = _checked_images("train", train_images), _checked_images("test", test_images)
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            "Train and test images must have the same height, width and channels, but have "
            f"{train.shape[1:]} and {test.shape[1:]}. Resize one of them."
        )
    return make_dataset(
        train,
        _checked_labels("train", train_labels),
        test,
        _checked_labels("test", test_labels),
        class_names=names,
        source=source,
    )


def make_dataset(
    train_images: ImageArray,
    train_labels: NDArray[np.int64],
    test_images: ImageArray,
    test_labels: NDArray[np.int64],
    *,
    class_names: tuple[str, ...],
    source: str,
    digests_of: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None,
    validation: NDArray[np.int64] | None = None,
    files: Files | None = None,
) -> Dataset:
    """Hash images and labels that have the form of a Dataset.

    Args and errors are those of `Dataset`; `digests_of` the training and the test images where
    somebody has them already.
    """
    train_digests, test_digests = digests_of or (digests(train_images), digests(test_images))
    img_shape = train_images.shape[1:]
    test = content_hash(img_shape, class_names, (test_digests, test_labels))
    return Dataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
        train_digests=train_digests,
        test_digests=test_digests,
        sha256=content_hash(
            img_shape, class_names, (train_digests, train_labels, test_digests, test_labels)
        ),
        test_sha256=test,
        source=source,
        validation=validation,
        files=files,
    )


def content_hash(
    img_shape: tuple[int, ...], class_names: Sequence[str], arrays: Sequence[NDArray[np.generic]]
) -> str:
    """Hash what a data set holds.

    Args:
        img_shape: height, width and channels of an image.
        class_names: one name a class.
        arrays: digests and labels, in an order that matters.

    Returns:
        SHA-256 in hexadecimal, the same on little- and big-endian machines.
    """
    digest = hashlib.sha256(json.dumps([list(img_shape), list(class_names)]).encode())
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
    grey = images.ndim == GREY
    fits = grey or (images.ndim == COLOUR and images.shape[-1] in CHANNELS)
    if images.dtype != np.uint8 or not fits or 0 in images.shape[1:]:
        raise DataError(
            f"{split} images must be uint8 (0 to 255) of shape (n, height, width) or "
            f"(n, height, width, 1 or 3 channels), but are {images.dtype} of shape "
            f"{images.shape}. Convert them first."
        )
    if grey:
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
