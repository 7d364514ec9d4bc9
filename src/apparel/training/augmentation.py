"""Batches of training images, in another order and augmented anew in every epoch.

Whole batches are augmented with NumPy, which costs little: TensorFlow draws the next batches in a
thread of its own while a step computes.
"""

import threading
from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray
from apparel.core.recipes import Recipe
from apparel.runs.checkpoints import State
from apparel.training.infobatch import ALL_IMAGES_AT_END, LossFeedback
from apparel.training.progress import TrainingProgress

# Of an erased rectangle: its share of the image's area, and the largest ratio of its sides.
ERASED_AREA = (0.02, 0.3)
LARGEST_RATIO = 3.3

# States that are remembered, of the batches drawn last: more than are drawn ahead.
REMEMBERED = 64

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class TrainingBatches:
    """Shuffle and, as the recipe asks, skip, mirror, shift and erase, without end.

    Half the images, drawn once, are mirrored in even passes and the other half in odd ones, so
    that two passes show both sides of every image.

    An iterator over images, labels and weights, `batch_size` of them; all n where there are fewer.
    The remainder of a pass after its last whole batch makes a smaller one, but is left out with
    pruning, whose batches are all of one size.

    Args:
        images: shape (n, h, w, c), in [0, 1]; not changed.
        labels: shape (n, k), one-hot.
        recipe: gives `batch_size`, `prune`, `flip`, `shift` and `erase`.
        seed: random seed.
        progress: of the training, whose end sees all images.
        feedback: takes note of every batch, and knows the easy images; None without pruning.
        class_weights: shape (k,), weight of an image of each class; None for equal weights.
    """

    def __init__(
        self,
        images: ImageArray,
        labels: NDArray[np.float32],
        recipe: Recipe,
        *,
        seed: int,
        progress: TrainingProgress,
        feedback: LossFeedback | None,
        class_weights: NDArray[np.float32] | None = None,
    ) -> None:
        self._images, self._labels, self._recipe = images, labels, recipe
        self._progress, self._feedback = progress, feedback
        self._size = min(recipe.batch_size, len(images))
        self._image_weights = np.ones(len(images), np.float32)
        if class_weights is not None:
            self._image_weights = class_weights[labels.argmax(axis=1)]
        self._random = np.random.default_rng(seed)
        self._mirrored = recipe.flip & self._random.integers(0, 2, len(images)).astype(bool)
        self._order = np.zeros(0, np.int64)
        self._weights = self._image_weights
        self._start = self._batches = 0
        # Another thread than the drawing one asks for a state.
        self._states: deque[State] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()
        self._remember()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if not self._start + (self._size if self._feedback else 1) <= len(self._order):
            self._begin_pass()
        chosen = self._order[self._start : self._start + self._size]
        batch = self._augmented(chosen)
        if self._feedback and not self._feedback.drawn(chosen):
            raise StopIteration
        self._start += self._size
        self._batches += 1
        self._remember()
        return batch, self._labels[chosen], self._weights[chosen]

    def state(self) -> State:
        """See `Stateful`. It is as of the batch that was trained on last."""
        with self._lock:
            return next(s for s in self._states if s["batches"] == self._progress.steps)

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._random.bit_generator.state = state["random"]
        self._order, self._weights = state["order"], state["weights"]
        self._mirrored = state["mirrored"]
        self._start, self._batches = int(state["start"]), int(state["batches"])
        self._states.clear()
        self._remember()

    def _begin_pass(self) -> None:
        """Shuffle the images, and choose among them."""
        if self._recipe.flip and self._batches:
            self._mirrored = ~self._mirrored
        self._start, self._weights = 0, self._image_weights
        self._order = order = self._random.permutation(len(self._images))
        if self._feedback and self._progress.forecast(self._batches) < 1 - ALL_IMAGES_AT_END:
            kept, weights = self._feedback.keep(self._recipe.prune, self._random)
            self._weights = weights * self._image_weights
            pruned = order[kept[order]]
            self._order = pruned if len(pruned) >= self._size else order

    def _augmented(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """The chosen images, shifted, mirrored and erased."""
        batch: NDArray[np.float32] = self._images[chosen]
        if self._recipe.shift:
            batch = shifted(batch, self._recipe.shift, self._random)
        flip = self._mirrored[chosen]
        batch[flip] = batch[flip, :, ::-1]
        if self._recipe.erase:
            erase_rectangles(batch, self._recipe.erase, self._random)
        return batch

    def _remember(self) -> None:
        """Keep the state of the drawing; its arrays are never changed, only replaced."""
        state = {
            "random": self._random.bit_generator.state,
            "order": self._order,
            "weights": self._weights,
            "mirrored": self._mirrored,
            "start": self._start,
            "batches": self._batches,
        }
        with self._lock:
            self._states.append(state)


def shifted(images: NDArray[np.float32], reach: int, random: Generator) -> NDArray[np.float32]:
    """Move each image by up to `reach` pixels in each direction; empty pixels become 0.

    Args:
        images: shape (n, h, w, c).
        reach: at least 1.
        random: draws the direction of each image, all equally likely.

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
    for each image.

    Args:
        images: shape (n, h, w, c), in [0, 1].
        share: expected share of the images that are changed.
        random: draws images, rectangles and values.
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
