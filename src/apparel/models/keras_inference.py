"""A float32 Keras model + images → probabilities and Keras's own metrics."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import ModelFileError, UsageError
from apparel.core.image_array import ImageArray, changed, take
from apparel.core.recipes import Recipe
from apparel.core.records import Prediction, Splits
from apparel.core.validation import whole_number
from apparel.models.batches import batched

# Large enough to keep two cores busy, small enough for 24 x 24 x 64 float32 maps in memory. Fewer
# of large images: at most so many pixel values in a batch.
BATCH_SIZE, BATCH_VALUES = 500, 1 << 22
# Images to compare an exported model on: a difference in one of a thousand shows, and a pass over
# them takes seconds. A few hundred images cover the range of every layer.
MOST_COMPARED, N_CALIBRATION = 6000, 500
# Bounds for large images, as all of them are held in memory.
EXPORT_VALUES, ENOUGH_IMAGES = 1 << 24, 200


def predict_probabilities(model: Any, images: ImageArray) -> NDArray[np.float32]:
    """Give every image's class probabilities.

    Args:
        model: a `keras.Model` ending in softmax.
        images: shape (n, h, w, c), in [0, 1].

    Returns:
        Shape (n, k), rows sum to 1.
    """
    batches = batched(images, batch_size=_batch_size(images))
    return np.asarray(model.predict(batches, verbose=0), np.float32)


def keras_metrics(model: Any, images: ImageArray, labels: NDArray[np.float32]) -> dict[str, float]:
    """Give the metrics of Keras's own `evaluate`.

    Args:
        model: a compiled `keras.Model`.
        images: shape (n, h, w, c), in [0, 1].
        labels: shape (n, k), one-hot.

    Returns:
        Each metric by the name that it was compiled with: loss, accuracy, precision, recall.
    """
    batches = batched(images, labels, batch_size=_batch_size(images))
    metrics = model.evaluate(batches, verbose=0, return_dict=True)
    return {name: float(value) for name, value in metrics.items()}


def _batch_size(images: ImageArray) -> int:
    """The number of images in a batch."""
    return min(max(BATCH_VALUES // math.prod(images.shape[1:]), 1), BATCH_SIZE)


def predict_validation(model: Any, splits: Splits) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give the class probabilities of validation images, shape (n, k), and their labels (n,)."""
    labels = splits.train_labels[splits.validation].argmax(axis=1)
    if not len(labels):
        return np.empty((0, splits.train_labels.shape[1]), np.float32), labels
    return predict_probabilities(model, take(splits.train_images, splits.validation)), labels


def predict_averaged(
    model: Any,
    images: ImageArray,
    probabilities: NDArray[np.float32],
    recipe: Recipe,
) -> dict[str, NDArray[np.float32]]:
    """Average the class probabilities of each image over augmented copies (test-time augmentation).

    Copies are of the kinds that the model was trained on: mirrored, or moved by a pixel to the
    upper left and to the lower right, with half the weight (K. Jordan, "94 % on CIFAR-10 in 3.29
    Seconds on a Single GPU", 2024, arXiv 2404.00498).

    Args:
        model: a `keras.Model` ending in softmax.
        images: shape (n, h, w, c), in [0, 1].
        probabilities: of the images as they are, shape (n, k).
        recipe: that the model was trained by.

    Returns:
        Shape (n, k), rows sum to 1: under "flip" averaged over the image and its mirror image,
        under "view" over the moved copies as well. Empty if training used no such copies.
    """

    def both_sides(copies: ImageArray, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        mirrored = predict_probabilities(model, changed(copies, _mirrored))
        return np.asarray(np.mean([seen, mirrored], axis=0), np.float32)

    averaged: dict[str, NDArray[np.float32]] = {}
    if recipe.flip:
        averaged["flip"] = both_sides(images, probabilities)
    if recipe.shift:
        views = [averaged.get("flip", probabilities)] * 2
        for start in (2, 0):
            moved = changed(images, partial(_moved, start=start))
            seen = predict_probabilities(model, moved)
            views.append(both_sides(moved, seen) if recipe.flip else seen)
        averaged["view"] = np.asarray(np.mean(views, axis=0), np.float32)
    return averaged


def _mirrored(images: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(images[:, :, ::-1])


def _moved(images: NDArray[np.float32], *, start: int) -> NDArray[np.float32]:
    """Move images by a pixel, to the upper left from 2 and to the lower right from 0."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return padded[:, start : start + height, start : start + width]


def check_fits(model: Any, *, n_classes: int, img_shape: tuple[int, int, int]) -> None:
    """Check that the input and output of a model fit the data.

    Raises:
        ModelFileError: they do not.
    """
    expected, n_outputs = tuple(model.input_shape[1:]), model.output_shape[-1]
    if expected != img_shape or n_outputs != n_classes:
        raise ModelFileError(
            f"the model takes images of shape {expected} and gives {n_outputs} classes, but the "
            f"data have images of shape {img_shape} and {n_classes} classes. Use a model that was "
            "trained on such data."
        )


def choose_samples(
    indices: Sequence[int] | None, *, count: int, n_images: int, seed: int
) -> list[int]:
    """Check positions in the test set, or draw some.

    Args:
        indices: the positions, or None to draw.
        count: number to draw, at most `n_images`.
        n_images: number of test images.
        seed: random seed of the draw.

    Returns:
        At least one position, each in 0 to `n_images` - 1.

    Raises:
        UsageError: a position lies outside the test set, or there is none.
    """
    if indices is None:
        drawn = min(whole_number("count", count, minimum=1), n_images)
        return sorted(np.random.default_rng(seed).permutation(n_images)[:drawn].tolist())
    if not isinstance(indices, Iterable):
        raise UsageError(
            f"sample_indices must be a list of positions, but is {indices!r}. For example [0, 12]."
        )
    chosen = [whole_number("sample_indices", index, minimum=0) for index in indices]
    if not chosen:
        raise UsageError("there is no sample index. Give at least one, or None to draw some.")
    if max(chosen) >= n_images:
        raise UsageError(
            f"sample index {max(chosen)} lies outside the test set of {n_images} images. "
            f"Give positions of 0 to {n_images - 1}."
        )
    return chosen


def describe(
    indices: Sequence[int],
    probabilities: NDArray[np.float32],
    images: ImageArray,
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
) -> list[Prediction]:
    """Combine probabilities with the test images that they are of.

    Args:
        indices: m positions in the test set.
        probabilities: of the images at these positions, shape (m, k).
        images: the test set, shape (n, h, w, c), in [0, 1].
        labels: shape (n,), 0 to k - 1.
        class_names: k names.
    """
    return [
        Prediction(
            name=f"test image {index}",
            probabilities=row,
            class_names=class_names,
            image=images[index],
            true=int(labels[index]),
        )
        for index, row in zip(indices, probabilities, strict=True)
    ]


def comparison_images(splits: Splits) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Choose images to compare an exported model on: validation images, or else training images.

    Returns:
        The images, shape (n, h, w, c) with n of 1 to `MOST_COMPARED`, in [0, 1], fewer if they
        are large; and their labels, shape (n,).
    """
    positions = splits.validation if len(splits.validation) else splits.training
    chosen = _some_of_each_class(splits, positions, MOST_COMPARED)
    return splits.train_images[chosen], splits.train_labels[chosen].argmax(axis=1)


def calibration_images(splits: Splits) -> NDArray[np.float32]:
    """Choose training images of every class, to measure the range of each layer's outputs.

    Returns:
        Shape (n, h, w, c) with n of about `N_CALIBRATION` at most, in [0, 1], fewer if they
        are large.
    """
    return splits.train_images[_some_of_each_class(splits, splits.training, N_CALIBRATION)]


def _some_of_each_class(splits: Splits, positions: NDArray[np.int64], most: int) -> Any:
    """Take the first images of every class, the same share of each, about `most` in all.

    Of large images, only `EXPORT_VALUES` pixel values, but at least `ENOUGH_IMAGES` images.
    """
    values = math.prod(splits.train_images.shape[1:])
    most = min(most, max(EXPORT_VALUES // values, ENOUGH_IMAGES))
    if len(positions) <= most:
        return positions
    labels = splits.train_labels[positions].argmax(axis=1)
    by_class = [positions[labels == label] for label in np.unique(labels)]
    share = most / len(positions)
    return np.sort(np.concatenate([of[: max(round(share * len(of)), 1)] for of in by_class]))
