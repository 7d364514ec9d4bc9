"""Average the weights of the last training steps.

Adam at a constant step size ends at a random place around the minimum, and the accuracy with
it: on Fashion-MNIST, the small CNN's differs by half a point from seed to seed and from epoch to
epoch. The mean of the last weights lies nearer to the middle (B. Polyak and A. Juditsky,
"Acceleration of Stochastic Approximation by Averaging", 1992; P. Izmailov et al., "Averaging
Weights Leads to Wider Optima and Better Generalization", 2018, arXiv 1803.05407).
"""

from typing import Any

import numpy as np

from apparel import backend
from apparel.schedule import Course


def weight_average(course: Course, *, share: float) -> Any:
    """Make a callback that ends training with the mean weights of its last steps.

    The mean is in place before the last epoch is validated, so the last validation figures are
    those of the finished model. It is taken of trainable weights: for models without batch
    statistics.

    Args:
        course: of the training; a callback before this one tells it of the steps.
        share: of the training, at its end; in (0, 1]. At least one step counts.

    Returns:
        A `keras.callbacks.Callback`.
    """
    keras = backend.load_keras()

    class WeightAverage(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Keeps a running mean of the weights."""

        def on_train_begin(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            self._count = 0
            self._means: list[Any] = []

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            # A hair's breadth for rounding: a half of 12 steps is 6 steps.
            if course.progress <= 1 - share + 1e-9:
                return
            self._count += 1
            weights = [np.asarray(v, np.float64) for v in self.model.trainable_variables]
            self._means = self._means or weights
            for k, weight in enumerate(weights):
                self._means[k] += (weight - self._means[k]) / self._count
            if course.progress >= 1:
                self._put_in_place()

        def on_train_end(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            # Once more: JAX writes its own state back after an epoch.
            if self._means:
                self._put_in_place()

        def _put_in_place(self) -> None:
            for variable, mean in zip(self.model.trainable_variables, self._means, strict=True):
                variable.assign(mean.astype(np.float32))

    return WeightAverage()
