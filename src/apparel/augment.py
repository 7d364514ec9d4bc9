"""Batches of training images, changed a little and differently in every epoch.

Done with NumPy in whole batches, so that it costs next to nothing: TensorFlow draws the next
batches in a thread of its own while a step computes.
"""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apparel.pruning import ALL_IMAGES_AT_END, LossFeedback
from apparel.schedule import Course
from apparel.settings import Recipe

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def augmented_batches(
    images: NDArray[np.float32],
    labels: NDArray[np.float32],
    recipe: Recipe,
    *,
    seed: int,
    course: Course,
    feedback: LossFeedback,
) -> Iterator[Batch]:
    """Shuffle, skip, mirror, shift and erase, pass after pass without end.

    Half the images, drawn once, are mirrored in even passes and the other half in odd ones, so
    that two passes show both sides of every image.

    Args:
        images: shape (n, h, w, c), in [0, 1]; not changed.
        labels: shape (n, k), one-hot.
        recipe: gives `batch_size`, `prune`, `flip`, `shift` and `erase`.
        seed: of order and changes.
        course: of the training, which ends with all images.
        feedback: is told of every batch, and knows which images are easy.

    Yields:
        Images, labels and weights, `batch_size` of them; all n where there are fewer. What is
        left over after the last whole batch of a pass sits it out.
    """
    random = np.random.default_rng(seed)
    size = min(recipe.batch_size, len(images))
    mirrored = recipe.flip & random.integers(0, 2, len(images)).astype(bool)
    batches = 0
    while True:
        weights = np.ones(len(images), np.float32)
        order = random.permutation(len(images))
        if course.forecast(batches) < 1 - ALL_IMAGES_AT_END:
            kept, weights = feedback.keep(recipe.prune, random)
            pruned = order[kept[order]]
            order = pruned if len(pruned) >= size else order
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            batch = images[chosen]
            if recipe.shift:
                batch = shifted(batch, recipe.shift, random)
            flip = mirrored[chosen]
            batch[flip] = batch[flip, :, ::-1]
            if recipe.erase:
                erase_squares(batch, recipe.erase, random)
            if not feedback.drawn(chosen):
                return
            batches += 1
            yield batch, labels[chosen], weights[chosen]
        if recipe.flip:
            mirrored = ~mirrored


def shifted(images: NDArray[np.float32], reach: int, random: Generator) -> NDArray[np.float32]:
    """Move each image by up to `reach` pixels each way; what comes in from outside is 0.

    Args:
        images: shape (n, h, w, c).
        reach: at least 1.
        random: decides the way of each image, all of them equally likely.

    Returns:
        A new array of the same shape.
    """
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    down, right = random.integers(0, 2 * reach + 1, (2, n))
    moved = np.empty_like(images)
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            here = (down == y) & (right == x)
            moved[here] = padded[here, y : y + height, x : x + width]
    return moved


def erase_squares(images: NDArray[np.float32], side: int, random: Generator) -> None:
    """Set a square of each image to the mean of all pixels, in place.

    The square's centre lies anywhere in the image, so part of the square may lie outside.

    Args:
        images: shape (n, h, w, c).
        side: of the square, in pixels.
        random: decides the place in each image.
    """
    n, height, width, _ = images.shape
    top = random.integers(0, height, (n, 1)) - side // 2
    left = random.integers(0, width, (n, 1)) - side // 2
    rows, columns = np.arange(height), np.arange(width)
    in_rows = (rows >= top) & (rows < top + side)
    in_columns = (columns >= left) & (columns < left + side)
    images[in_rows[:, :, None] & in_columns[:, None, :]] = images.mean()
