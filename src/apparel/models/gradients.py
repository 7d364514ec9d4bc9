"""Gradients with respect to images, on each of Keras's backends."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend


def gradient(score: Callable[[Any], Any], at: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differentiate a number with respect to an array.

    Args:
        score: takes a tensor of the backend, returns a tensor of a single number.
        at: point, of any shape.

    Returns:
        The gradient, of the shape of `at`.
    """
    keras = backend.load_keras()
    point, name = keras.ops.convert_to_tensor(at, "float32"), keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  # another backend may be in use

        with tf.GradientTape() as tape:
            tape.watch(point)
            value = score(point)
        found = tape.gradient(value, point)
    elif name == "torch":
        import torch  # noqa: PLC0415  # as above

        point = point.detach().clone().requires_grad_()
        found = torch.autograd.grad(score(point), point)[0]
    else:
        import jax  # noqa: PLC0415  # as above

        found = jax.grad(score)(point)
    return np.asarray(keras.ops.convert_to_numpy(found), np.float32)
