"""Gradients with respect to images, on each of Keras's backends."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend


def gradient(score: Callable[[Any], Any], at: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differentiate a number with respect to an array.

    Args:
        score: takes a tensor of the backend, gives a tensor of a single number.
        at: where, of any shape.

    Returns:
        As `at`.
    """
    ops = backend.load_keras().ops
    found = _DIFFERENTIATE[backend.load_keras().backend.backend()](
        score, ops.convert_to_tensor(at, "float32")
    )
    return np.asarray(ops.convert_to_numpy(found), np.float32)


def _tensorflow(score: Callable[[Any], Any], at: Any) -> Any:
    import tensorflow as tf  # noqa: PLC0415  # another backend may be in use

    with tf.GradientTape() as tape:
        tape.watch(at)
        value = score(at)
    return tape.gradient(value, at)


def _torch(score: Callable[[Any], Any], at: Any) -> Any:
    import torch  # noqa: PLC0415  # as above

    watched = at.detach().clone().requires_grad_()
    return torch.autograd.grad(score(watched), watched)[0]


def _jax(score: Callable[[Any], Any], at: Any) -> Any:
    import jax  # noqa: PLC0415  # as above

    return jax.grad(score)(at)


_DIFFERENTIATE = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
