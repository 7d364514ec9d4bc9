"""Measure accuracy on corrupted and on attacked test images.

The attack is projected gradient descent (A. Madry et al., "Towards Deep Learning Models Resistant
to Adversarial Attacks", 2018, arXiv 1706.06083): from a random start, each step moves every pixel
so that the cross-entropy rises, and no pixel moves by more than `EPSILON`. Surviving it is no
guarantee: another attack may do worse.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.image_array import ImageArray
from apparel.core.records import Attack, CorruptionCurve, Interval, Robustness
from apparel.evaluation.corruptions import CORRUPTIONS, Corruption, corrupt
from apparel.evaluation.intervals import share_interval
from apparel.evaluation.metrics import check_probabilities
from apparel.models import gradients

# A tenth of a pixel's range.
EPSILON = 0.1
# Together, the steps can cross the allowed range two and a half times, as the authors' on MNIST.
STEPS = 40
REACH = 2.5
BATCH_SIZE = 500
# Larger test sets are sampled: an accuracy on 10,000 images is known to one point.
MOST_IMAGES = 10_000


def measure_robustness(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    logits_model: Any,
    images: ImageArray,
    labels: NDArray[np.int64],
    *,
    seed: int,
) -> Robustness:
    """Measure accuracy on corrupted and attacked images, at most `MOST_IMAGES` of them.

    Args:
        predict: a function of images that returns probabilities, shape (n, k).
        logits_model: the same model without its softmax, a `keras.Model`.
        images: shape (n, h, w, c), in [0, 1], n at least 1.
        labels: shape (n,), 0 to k - 1.
        seed: random seed.

    Returns:
        A curve for each of `CORRUPTIONS`, and the accuracy under attack.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the model's outputs are not probabilities.
    """
    if len(images) > MOST_IMAGES:
        chosen = np.random.default_rng(seed).permutation(len(images))[:MOST_IMAGES]
        images, labels = images[chosen], labels[chosen]
    pixels = np.asarray(images, np.float32)

    def accuracy(inputs: NDArray[np.float32]) -> Interval:
        probabilities = predict(inputs)
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
    robust = attack(logits_model, pixels, labels, seed=seed)
    return Robustness(
        n_images=len(images),
        accuracy=unchanged,
        curves=tuple(curve(corruption) for corruption in CORRUPTIONS),
        attack=Attack(
            epsilon=EPSILON, steps=STEPS, n_images=len(images), accuracy=share_interval(robust)
        ),
    )


def attack(
    logits_model: Any, images: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int
) -> NDArray[np.bool_]:
    """Attack every image by projected gradient descent.

    Args:
        logits_model: a `keras.Model` that gives logits, shape (n, k).
        images: shape (n, h, w, c), in [0, 1].
        labels: shape (n,), 0 to k - 1.
        seed: random seed of the start.

    Returns:
        Shape (n,), whether the image is classified correctly unchanged and after every step.
    """
    random = np.random.default_rng(seed)
    start = random.uniform(-EPSILON, EPSILON, images.shape).astype(np.float32)
    batches = (slice(first, first + BATCH_SIZE) for first in range(0, len(images), BATCH_SIZE))
    return np.concatenate(
        [_attack_batch(logits_model, images[b], labels[b], start[b]) for b in batches]
    )


def _attack_batch(
    model: Any,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    start: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Attack the images of one batch; each image is left alone once the model errs on it."""
    robust = np.flatnonzero(_is_correct(model, images, labels))
    attacked = np.clip(images + start, 0, 1)
    for step in range(STEPS + 1):
        robust = robust[_is_correct(model, attacked[robust], labels[robust])]
        if step == STEPS or not len(robust):
            break
        direction = np.sign(_loss_gradient(model, attacked[robust], labels[robust]))
        moved = attacked[robust] + np.float32(REACH * EPSILON / STEPS) * direction
        projected = np.clip(moved, images[robust] - EPSILON, images[robust] + EPSILON)
        attacked[robust] = np.clip(projected, 0, 1)
    return np.isin(np.arange(len(images)), robust)


def _is_correct(
    model: Any, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Test whether the model classifies each image correctly."""
    if not len(images):
        return np.zeros(0, np.bool_)
    logits = backend.load_keras().ops.convert_to_numpy(model(images, training=False))
    return np.asarray(logits.argmax(axis=1) == labels)


def _loss_gradient(
    model: Any, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The gradient of the cross-entropy with respect to each pixel."""
    keras = backend.load_keras()

    def loss(pixels: Any) -> Any:
        logits = model(pixels, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return keras.ops.sum(losses)

    return gradients.gradient(loss, images)
