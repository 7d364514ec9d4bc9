"""Dataset → Splits: scaled pixels, one-hot labels, and a held-out validation part."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apparel.core.errors import DataError
from apparel.core.image_array import ImageArray, StoredImages, changed
from apparel.core.records import Dataset, Splits
from apparel.core.settings import Settings
from apparel.data.stratify import is_imbalanced, stratified_split

MAX_PIXEL = 255


def prepare(dataset: Dataset, settings: Settings) -> Splits:
    """Scale the images, one-hot the labels and choose the validation images.

    Args:
        dataset: uint8 images and integer labels.
        settings: gives `seed` and `validation_split`.

    Returns:
        Float32 images in [0, 1], one-hot labels, and who is trained on and who held out.
    """
    return split(
        scale_pixels(dataset.train_images),
        one_hot(dataset.train_labels, dataset.n_classes),
        scale_pixels(dataset.test_images),
        one_hot(dataset.test_labels, dataset.n_classes),
        settings=settings,
        manifest=dataset.origin,
        validation=dataset.validation,
    )


def split(
    train_images: ImageArray,
    train_labels: NDArray[np.float32],
    test_images: ImageArray,
    test_labels: NDArray[np.float32],
    *,
    settings: Settings,
    manifest: Mapping[str, object],
    validation: NDArray[np.int64] | None = None,
) -> Splits:
    """Choose the validation images among images that are scaled already.

    Args:
        train_images: shape (n, h, w, c), in [0, 1].
        train_labels: shape (n, k), one-hot.
        test_images: shape (m, h, w, c), in [0, 1]; m may be 0.
        test_labels: shape (m, k), one-hot.
        settings: gives `seed` and `validation_split`.
        manifest: where the images came from.
        validation: positions of the validation images; None to draw them.

    Returns:
        The same arrays, the choice, and class weights where classes differ much in size. The
        manifest tells also the images a class and the weights.
    """
    if validation is None:
        training, validation = stratified_split(
            train_labels.argmax(axis=1), share=settings.validation_split, seed=settings.seed
        )
    else:
        training = np.setdiff1d(np.arange(len(train_labels)), validation)
    weights = balancing_weights(train_labels[training].sum(axis=0))
    counts = {
        "training": train_labels[training].sum(axis=0).astype(int).tolist(),
        "validation": train_labels[validation].sum(axis=0).astype(int).tolist(),
        "test": test_labels.sum(axis=0).astype(int).tolist(),
    }
    return Splits(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        training=training,
        validation=validation,
        manifest={
            **manifest,
            "images_per_class": counts,
            "class_weights": None if weights is None else weights.tolist(),
        },
        class_weights=weights,
    )


def balancing_weights(counts: NDArray[Any]) -> NDArray[np.float32] | None:
    """Give weights by which every class counts the same.

    They are scikit-learn's "balanced" ones (G. King and L. Zeng, "Logistic Regression in Rare
    Events Data", Political Analysis 9, 2001).

    Args:
        counts: shape (k,), images of each class.

    Returns:
        Shape (k,), with mean 1 over the images; None where classes are of about the same size. A
        class without images counts 0.
    """
    if not is_imbalanced(counts):
        return None
    present = counts[counts > 0]
    weights = np.zeros(len(counts), np.float32)
    weights[counts > 0] = present.sum() / (len(present) * present)
    return weights


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
    """Lay grey images in memory out as Keras's data sets do: (n, h, w, 1) becomes (n, h, w)."""
    if isinstance(images, StoredImages) or images.shape[-1] != 1:
        return images
    return images[..., 0]


def is_prepared(images: ImageArray, labels: NDArray[Any]) -> bool:
    """Whether images are scaled and labels one-hot, as `prepare` leaves them."""
    one_hot_rows = labels.ndim == 2 and labels.shape[1] > 1  # noqa: PLR2004  # n, k
    return one_hot_rows and images.ndim == 4 and images.dtype == np.float32  # noqa: PLR2004  # n, h, w, c


def image_shape(X: ArrayLike, img_shape: tuple[int, int, int]) -> tuple[int, int, int]:  # noqa: N803  # scikit-learn's name
    """Give the shape of one image in a user's array.

    Args:
        X: shape (n, h, w), (n, h, w, c), or (n, h·w·c), which does not tell.
        img_shape: what a flat array holds: height, width and channels.
    """
    shape = np.shape(X)
    match len(shape):
        case 3:
            return shape[1], shape[2], 1
        case 4:
            return shape[1], shape[2], shape[3]
        case _:
            return img_shape


def encode_labels(y: ArrayLike, *, n_images: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Number a user's labels.

    Args:
        y: shape (n,), labels of any kind.
        n_images: how many labels there must be.

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


def as_unit_images(X: ArrayLike, img_shape: tuple[int, int, int]) -> NDArray[np.float32]:  # noqa: N803  # scikit-learn's name
    """Bring a user's array of images into the shape and range that a model takes.

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
    whole = np.issubdtype(values.dtype, np.integer)
    if not (whole or np.issubdtype(values.dtype, np.floating)):
        raise DataError(f"X must hold numbers, but holds {values.dtype}. Convert it first.")
    top = MAX_PIXEL if whole else 1
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # also true for NaN
        raise DataError(
            f"X holds {values.dtype} from {low} to {high}, but must lie in 0 to {top}. Give "
            "pixels as whole numbers of 0 to 255 (X.astype('uint8')) or floats of 0 to 1 (X / 255)."
        )
    images = values.reshape(len(values), *img_shape)
    return _scaled(images) if whole else images.astype(np.float32)
