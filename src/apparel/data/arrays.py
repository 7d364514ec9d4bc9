"""Arrays → a Dataset with a hash of its content, and the images and labels of a model's input."""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apparel.core.errors import DataError
from apparel.core.image_array import ImageArray, StoredImages, changed, content_keys, digests
from apparel.core.records import Dataset, Files

MAX_PIXEL = 255
CHANNELS = (1, 3)
_GREY, _COLOUR = 3, 4  # dimensions: n, h, w and n, h, w, c
# Floating-point numbers that are rounded at once: a copy of all would take eight bytes a pixel.
_VALUES_AT_ONCE = 1 << 20


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
        source: origin of the data, for people.

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
    known_digests: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None,
    known_keys: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None,
    validation: NDArray[np.int64] | None = None,
    files: Files | None = None,
) -> Dataset:
    """Hash images and labels that have the form of a Dataset.

    Args and errors are those of `Dataset`; `known_digests` and `known_keys` are those of the
    training and the test images, where they are known already.
    """
    train_digests, test_digests = known_digests or (digests(train_images), digests(test_images))
    train_keys, test_keys = known_keys or (content_keys(train_images), content_keys(test_images))
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
        train_keys=train_keys,
        test_keys=test_keys,
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
    """Hash the content of a data set.

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


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    """Tell whether a shape is (n, h, w) or (n, h, w, c), with pixels."""
    is_colour = len(shape) == _COLOUR and shape[-1] in CHANNELS
    return (len(shape) == _GREY or is_colour) and 0 not in shape[1:]


def _checked_images(split: str, values: ArrayLike) -> NDArray[np.uint8]:
    """Return uint8 images of shape (n, h, w, c), or raise DataError."""
    images = _as_array(f"{split} images", values)
    if images.dtype != np.uint8 or not _is_image_shape(images.shape):
        raise DataError(
            f"{split} images must be uint8 (0 to 255) of shape (n, height, width) or "
            f"(n, height, width, 1 or 3 channels), but are {images.dtype} of shape "
            f"{images.shape}. Convert them first."
        )
    if images.ndim == _GREY:
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


def as_pixels(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Bring images into the form of a Dataset.

    Args:
        values: shape (n, h, w) or (n, h, w, c) with 1 or 3 channels: whole numbers of 0 to 255,
            or floating-point numbers of 0 to 1, which are rounded to 256 levels.
        what: name of the array in messages.

    Returns:
        Shape (n, h, w, c).

    Raises:
        DataError: the array has another shape, or a value lies outside.
    """
    if not _is_image_shape(values.shape) or not len(values):
        raise DataError(
            f"{what} must hold images of shape (n, height, width) or (n, height, width, channels) "
            f"with 1 or 3 channels, but has shape {values.shape}. Reshape it first."
        )
    whole = _is_whole(values, what)
    pixels = values.astype(np.uint8) if whole else _rounded(values)
    return pixels[..., np.newaxis] if values.ndim == _GREY else pixels


def _is_whole(values: NDArray[Any], what: str) -> bool:
    """Tell whether pixels are whole numbers of 0 to 255 or floats of 0 to 1, or raise DataError."""
    whole = np.issubdtype(values.dtype, np.integer)
    if not whole and not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{what} must hold numbers, but holds {values.dtype}. Convert it first.")
    top = MAX_PIXEL if whole else 1
    with np.errstate(invalid="ignore"):  # NaN, which the comparison finds
        low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):
        raise DataError(
            f"{what} holds {values.dtype} from {low} to {high}, but pixels must lie in 0 to {top}. "
            "Give whole numbers of 0 to 255 (X.astype('uint8')) or floats of 0 to 1 (X / 255)."
        )
    return bool(whole)


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
        what: name of the array in messages.
        n_images: required number of labels.

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
        if letters.max() > sys.maxunicode:  # Python's own error would not name the array
            raise DataError(
                f"{what} holds {letters.max():,} as a letter, and text has letters up to "
                f"{sys.maxunicode:,}. Write it again."
            )
    return [str(label) for label in flat.tolist()]


def image_shape(X: ArrayLike, img_shape: tuple[int, int, int]) -> tuple[int, int, int]:  # noqa: N803  # scikit-learn's name
    """Give the shape of one image in a user's array.

    Args:
        X: shape (n, h, w), (n, h, w, c), or (n, h·w·c), which does not tell.
        img_shape: height, width and channels of an image in a flat array.
    """
    shape = np.shape(X)
    match len(shape):
        case 3:
            return shape[1], shape[2], 1
        case 4:
            return shape[1], shape[2], shape[3]
        case _:
            return img_shape


def as_unit_images(X: ArrayLike, img_shape: tuple[int, int, int]) -> NDArray[np.float32]:  # noqa: N803  # scikit-learn's name
    """Bring a user's array of images into the shape and range of a model's input.

    Args:
        X: shape (n, h, w), (n, h, w, c) or (n, h·w·c). Whole numbers count as pixels of
            0-255, floating-point numbers as shares of 0-1.
        img_shape: height, width and channels of one image.

    Returns:
        Float32, shape (n, *img_shape), in [0, 1].

    Raises:
        DataError: the shape does not fit, or a value lies outside its range.
    """
    values = np.asarray(X)
    given = values.shape[1:]
    fits = given in {tuple(img_shape), (math.prod(img_shape),)} or (*given, 1) == tuple(img_shape)
    if not (fits and len(values)):
        raise DataError(
            f"X must hold at least one image of shape {tuple(img_shape)}, but has shape "
            f"{values.shape}. Give X as (n, h, w), (n, h, w, c) or (n, h*w*c)."
        )
    images = values.reshape(len(values), *img_shape)
    return _scaled(images) if _is_whole(values, "X") else images.astype(np.float32)


def encode_labels(y: ArrayLike, *, n_images: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Number a user's labels.

    Args:
        y: shape (n,), labels of any kind.
        n_images: required number of labels.

    Returns:
        The sorted classes, shape (k,), and each label's position in them, shape (n,).

    Raises:
        DataError: there is not one label an image, there are fewer than two classes, or labels of
            kinds that have no common order.
    """
    labels = np.asarray(y)
    if labels.shape != (n_images,):
        raise DataError(
            f"y must hold one label an image, shape ({n_images},), but has shape {labels.shape}."
        )
    try:
        classes, positions = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise DataError(
            f"y holds labels that cannot be put in order: {error}. Give labels of one kind."
        ) from error
    if len(classes) == 1:
        raise DataError(
            f"y holds a single class, {classes.tolist()[0]!r}. Give images of at least two classes."
        )
    return classes, positions.astype(np.int64)


def scale_pixels(images: ImageArray) -> ImageArray:
    """Map pixels from 0-255 to float32 in [0, 1], in any shape."""
    return changed(images, _scaled)


def _scaled(pixels: NDArray[Any]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(MAX_PIXEL)


def one_hot(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Turn labels of shape (n,) into rows of shape (n, n_classes) with a single 1."""
    rows = np.zeros((len(labels), n_classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def without_grey_axis(images: ImageArray) -> ImageArray:
    """Drop the channel axis of grey images in memory, as in Keras's data sets: (n, h, w)."""
    if isinstance(images, StoredImages) or images.shape[-1] != 1:
        return images
    return images[..., 0]


def is_prepared(images: ImageArray, labels: NDArray[Any]) -> bool:
    """Tell whether images are scaled and labels one-hot, as `splits.prepare` leaves them."""
    one_hot_rows = labels.ndim == 2 and labels.shape[1] > 1  # noqa: PLR2004  # n, k
    return one_hot_rows and images.ndim == 4 and images.dtype == np.float32  # noqa: PLR2004  # n, h, w, c
