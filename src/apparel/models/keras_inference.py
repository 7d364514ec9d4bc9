"""A float32 Keras model + images → probabilities and Keras's own measures."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import ModelFileError, UsageError
from apparel.core.image_array import ImageArray, changed, take
from apparel.core.records import Prediction, Splits
from apparel.core.settings import Recipe
from apparel.core.validation import whole_number
from apparel.data.splits import stratified_split
from apparel.models.batches import batched

# Large enough to keep two cores busy, small enough for 24 x 24 x 64 float32 maps in memory. Fewer
# of large images, with so many pixel values together.
BATCH_SIZE, BATCH_VALUES = 500, 1 << 22
# Images that an exported model is compared on: a difference in one of a thousand shows, and a pass
# over them takes seconds. Some hundred images meet the range of every layer.
MOST_COMPARED, N_CALIBRATION = 6000, 500
# They are held in memory.
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


def _batch_size(images: ImageArray) -> int:
    """How many images are looked at together."""
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
    """Average each image's class probabilities with those of its changed copies.

    Copies are of the kinds that the model was trained on: mirrored, or moved by a pixel to the
    upper left and to the lower right, with half the weight (K. Jordan, "94 % on CIFAR-10 in 3.29
    Seconds on a Single GPU", 2024, arXiv 2404.00498).

    Args:
        model: a `keras.Model` ending in softmax.
        images: shape (n, h, w, c), in [0, 1].
        probabilities: of the images as they are, shape (n, k).
        recipe: that the model was trained by.

    Returns:
        Shape (n, k), rows sum to 1, by what they are averaged over: "flip" the image and its
        mirror image, "view" the moved copies as well. Empty where training knew no such images.
    """
    averaged: dict[str, NDArray[np.float32]] = {}
    if recipe.flip:
        averaged["flip"] = _mean([probabilities, _predict_mirrored(model, images)])
    if recipe.shift:
        views = [averaged.get("flip", probabilities)] * 2
        for start in (2, 0):
            moved = changed(images, partial(_moved, start=start))
            seen = predict_probabilities(model, moved)
            views.append(_mean([seen, _predict_mirrored(model, moved)]) if recipe.flip else seen)
        averaged["view"] = _mean(views)
    return averaged


def _mean(probabilities: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean of arrays of one shape."""
    return np.asarray(np.mean(probabilities, axis=0), np.float32)


def _predict_mirrored(model: Any, images: ImageArray) -> NDArray[np.float32]:
    """Give every mirrored image's class probabilities."""
    return predict_probabilities(model, changed(images, _mirrored))


def _mirrored(images: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(images[:, :, ::-1])


def _moved(images: NDArray[np.float32], *, start: int) -> NDArray[np.float32]:
    """Move images by a pixel, to the upper left from 2 and to the lower right from 0."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return padded[:, start : start + height, start : start + width]


def keras_metrics(model: Any, images: ImageArray, labels: NDArray[np.float32]) -> dict[str, float]:
    """Give what Keras's own `evaluate` measures.

    Args:
        model: a compiled `keras.Model`.
        images: shape (n, h, w, c), in [0, 1].
        labels: shape (n, k), one-hot.

    Returns:
        Each measure by the name it was compiled with: loss, accuracy, precision, recall.
    """
    batches = batched(images, labels, batch_size=_batch_size(images))
    measures = model.evaluate(batches, verbose=0, return_dict=True)
    return {name: float(value) for name, value in measures.items()}


def check_fits(model: Any, *, n_classes: int, img_shape: tuple[int, int, int]) -> None:
    """Check that a model takes these images and gives these classes.

    Raises:
        ModelFileError: it does not.
    """
    takes, gives = tuple(model.input_shape[1:]), model.output_shape[-1]
    if takes != img_shape or gives != n_classes:
        raise ModelFileError(
            f"the model takes images of shape {takes} and gives {gives} classes, but the data "
            f"have images of shape {img_shape} and {n_classes} classes. Use a model that was "
            "trained on such data."
        )


def choose_samples(
    indices: Sequence[int] | None, *, count: int, n_images: int, seed: int
) -> list[int]:
    """Check positions in the test set, or draw some.

    Args:
        indices: the positions, or None to draw.
        count: how many to draw, at most `n_images`.
        n_images: how many test images there are.
        seed: of the draw.

    Returns:
        At least one position, each in 0 to `n_images` - 1.

    Raises:
        UsageError: a position lies outside the test set, or none is asked for.
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
    """Put together what a model says of some test images.

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
    """Images to compare an exported model on: validation images, or training ones without.

    Returns:
        The images, shape (n, h, w, c) with n of 1 to `MOST_COMPARED`, in [0, 1], fewer where they
        are large; and their labels, shape (n,).
    """
    positions = splits.validation if len(splits.validation) else splits.training
    chosen = _some_of_each_class(splits, positions, MOST_COMPARED)
    return splits.train_images[chosen], splits.train_labels[chosen].argmax(axis=1)


def calibration_images(splits: Splits) -> NDArray[np.float32]:
    """Some training images of every class, to see in which range the layers of a model answer.

    Returns:
        Shape (n, h, w, c) with n of about `N_CALIBRATION` at most, in [0, 1], fewer where they
        are large.
    """
    return splits.train_images[_some_of_each_class(splits, splits.training, N_CALIBRATION)]


def _some_of_each_class(splits: Splits, positions: NDArray[np.int64], most: int) -> Any:
    """Draw the same share of every class, about `most` images in all, always the same ones.

    Of large images, as many as have `EXPORT_VALUES` together, but `ENOUGH_IMAGES` at least.
    """
    values = math.prod(splits.train_images.shape[1:])
    most = min(most, max(EXPORT_VALUES // values, ENOUGH_IMAGES))
    if len(positions) <= most:
        return positions
    labels = splits.train_labels[positions].argmax(axis=1)
    return positions[stratified_split(labels, share=most / len(positions), seed=0)[1]]
