"""A model + test images → accuracy on images made worse, and on images attacked."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray
from apparel.core.records import Attack, CorruptionCurve, Interval, Robustness
from apparel.evaluation.intervals import share_interval
from apparel.evaluation.probabilities import check_probabilities
from apparel.evaluation.robustness import attack
from apparel.evaluation.robustness.corruptions import CORRUPTIONS, Corruption, Pixels, corrupt

# A tenth of the range of a pixel.
EPSILON = 0.1
# Of larger test sets, so many are drawn: an accuracy is then known to a point.
MOST_IMAGES = 10_000


def stress(
    predict: Callable[[Pixels], NDArray[np.float32]],
    logits_model: Any,
    images: ImageArray,
    labels: NDArray[np.int64],
    *,
    seed: int,
) -> Robustness:
    """Measure accuracy on images made worse, at most `MOST_IMAGES` of them.

    Args:
        predict: takes images, gives probabilities, shape (n, k).
        logits_model: the same model without its softmax, a `keras.Model`.
        images: shape (n, h, w, c), in [0, 1], n at least 1.
        labels: shape (n,), 0 to k - 1.
        seed: of everything drawn.

    Returns:
        A curve for each of `CORRUPTIONS`, and the accuracy under attack.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: what the model gives is no probabilities.
    """
    if len(images) > MOST_IMAGES:
        chosen = np.random.default_rng(seed).permutation(len(images))[:MOST_IMAGES]
        images, labels = images[chosen], labels[chosen]
    pixels: Pixels = np.asarray(images)

    def accuracy(seen: Pixels) -> Interval:
        probabilities = predict(seen)
        check_probabilities(probabilities, labels, probabilities.shape[-1])
        return share_interval(probabilities.argmax(axis=1) == labels)

    def curve(corruption: Corruption) -> CorruptionCurve:
        return CorruptionCurve(
            name=corruption.name,
            unit=corruption.unit,
            strengths=corruption.strengths,
            accuracies=tuple(
                accuracy(corrupt(corruption, pixels, strength, seed=seed))
                for strength in corruption.strengths
            ),
        )

    unchanged = accuracy(pixels)  # before the attack, which takes minutes
    standing = attack.withstood(logits_model, pixels, labels, epsilon=EPSILON, seed=seed)
    return Robustness(
        n_images=len(images),
        accuracy=unchanged,
        curves=tuple(curve(corruption) for corruption in CORRUPTIONS),
        attack=Attack(
            epsilon=EPSILON,
            steps=attack.STEPS,
            n_images=len(images),
            accuracy=share_interval(standing),
        ),
    )
