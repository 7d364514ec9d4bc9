"""Images changed on purpose, each pixel a little, until a model errs.

Projected gradient descent (A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial
Attacks", 2018, arXiv 1706.06083): from a random start, each step adds to every pixel what raises
the cross-entropy, and no pixel moves by more than `epsilon`. What a model still names correctly
after that is no guarantee: another attack may do worse.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.models import gradients

# Enough to cross the whole allowed range two and a half times, as the authors' did on MNIST.
STEPS = 40
REACH = 2.5
BATCH_SIZE = 500


def withstood(
    model: Any,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    epsilon: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Attack every image.

    Args:
        model: a `keras.Model` that gives logits, shape (n, k).
        images: shape (n, h, w, c), in [0, 1].
        labels: shape (n,), 0 to k - 1.
        epsilon: the most by which a pixel is changed, above 0.
        seed: of the random start.

    Returns:
        Shape (n,), whether the model names the image correctly as it is and after every step.
    """
    random = np.random.default_rng(seed)
    start = random.uniform(-epsilon, epsilon, images.shape).astype(np.float32)
    parts = (slice(first, first + BATCH_SIZE) for first in range(0, len(images), BATCH_SIZE))
    return np.concatenate(
        [_withstood(model, images[part], labels[part], start[part], epsilon) for part in parts]
    )


def _withstood(
    model: Any,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    start: NDArray[np.float32],
    epsilon: float,
) -> NDArray[np.bool_]:
    """Attack the images of one batch, and leave each alone once the model errs on it."""
    standing = np.flatnonzero(_is_right(model, images, labels))
    attacked = np.clip(images + start, 0, 1)
    for step in range(STEPS + 1):
        standing = standing[_is_right(model, attacked[standing], labels[standing])]
        if step == STEPS or not len(standing):
            break
        uphill = np.sign(_loss_gradient(model, attacked[standing], labels[standing]))
        moved = attacked[standing] + np.float32(REACH * epsilon / STEPS) * uphill
        near = np.clip(moved, images[standing] - epsilon, images[standing] + epsilon)
        attacked[standing] = np.clip(near, 0, 1)
    return np.isin(np.arange(len(images)), standing)


def _is_right(
    model: Any, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether the model names each image correctly."""
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
