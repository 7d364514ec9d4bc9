"""Batches of training images, in another order and changed a little differently in every epoch.

Done with NumPy in whole batches, so that it costs next to nothing: TensorFlow draws the next
batches in a thread of its own while a step computes.
"""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apparel.images import ImageArray
from apparel.pruning import ALL_IMAGES_AT_END, LossFeedback
from apparel.schedule import Course
from apparel.settings import Recipe

# Of an erased rectangle: its share of the image's area, and how many times as long as the other one
# side may be.
ERASED_AREA = (0.02, 0.3)
LARGEST_RATIO = 3.3

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def training_batches(
    images: ImageArray,
    labels: NDArray[np.float32],
    recipe: Recipe,
    *,
    seed: int,
    course: Course,
    feedback: LossFeedback | None,
    class_weights: NDArray[np.float32] | None = None,
) -> Iterator[Batch]:
    """Shuffle and, where the recipe says so, skip, mirror, shift and erase, without end.

    Half the images, drawn once, are mirrored in even passes and the other half in odd ones, so
    that two passes show both sides of every image.

    Args:
        images: shape (n, h, w, c), in [0, 1]; not changed.
        labels: shape (n, k), one-hot.
        recipe: gives `batch_size`, `prune`, `flip`, `shift` and `erase`.
        seed: of order and changes.
        course: of the training, which ends with all images.
        feedback: is told of every batch, and knows which images are easy; None without pruning.
        class_weights: shape (k,), how much an image of each class counts; None for all the same.

    Yields:
        Images, labels and weights, `batch_size` of them; all n where there are fewer. What is
        left over after the last whole batch of a pass makes a smaller one, but sits the pass out
        with pruning, whose batches are all of one size.
    """
    random = np.random.default_rng(seed)
    size = min(recipe.batch_size, len(images))
    mirrored = recipe.flip & random.integers(0, 2, len(images)).astype(bool)
    counting = np.ones(len(images), np.float32)
    if class_weights is not None:
        counting = class_weights[labels.argmax(axis=1)]
    batches = 0
    while True:
        weights = counting
        order = random.permutation(len(images))
        if feedback and course.forecast(batches) < 1 - ALL_IMAGES_AT_END:
            kept, weights = feedback.keep(recipe.prune, random)
            weights = weights * counting
            pruned = order[kept[order]]
            order = pruned if len(pruned) >= size else order
        for start in range(0, len(order) - (size - 1 if feedback else 0), size):
            chosen = order[start : start + size]
            batch = images[chosen]
            if recipe.shift:
                batch = shifted(batch, recipe.shift, random)
            flip = mirrored[chosen]
            batch[flip] = batch[flip, :, ::-1]
            if recipe.erase:
                erase_rectangles(batch, recipe.erase, random)
            if feedback and not feedback.drawn(chosen):
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


def erase_rectangles(images: NDArray[np.float32], share: float, random: Generator) -> None:
    """Fill a rectangle of some images with random values, in place (Zhong et al. 2017).

    The rectangle lies within the image. Its area, the ratio of its sides and its place are drawn
    anew for each image.

    Args:
        images: shape (n, h, w, c), in [0, 1].
        share: of the images that are changed, on average.
        random: draws all.
    """
    n, height, width, _ = images.shape
    area = random.uniform(*ERASED_AREA, (n, 1)) * height * width
    ratio = np.exp(random.uniform(-1, 1, (n, 1)) * np.log(LARGEST_RATIO))
    tall = np.clip(np.round(np.sqrt(area * ratio)), 1, height)
    wide = np.clip(np.round(np.sqrt(area / ratio)), 1, width)
    top = np.floor(random.random((n, 1)) * (height - tall + 1))
    left = np.floor(random.random((n, 1)) * (width - wide + 1))
    rows, columns = np.arange(height), np.arange(width)
    in_rows = (rows >= top) & (rows < top + tall) & (random.random((n, 1)) < share)
    in_columns = (columns >= left) & (columns < left + wide)
    inside = in_rows[:, :, None] & in_columns[:, None, :]
    images[inside] = random.random((inside.sum(), images.shape[-1]), np.float32)
