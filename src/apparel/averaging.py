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


def weight_average(*, steps: int, share: float) -> Any:
    """Make a callback that ends training with the mean weights of its last steps.

    The mean is in place before the last epoch is validated, so the last validation figures are
    those of the finished model. It is taken of trainable weights: for models without batch
    statistics.

    Args:
        steps: training steps in all.
        share: of the steps, those at the end; in (0, 1]. At least one step counts.

    Returns:
        A `keras.callbacks.Callback`.
    """
    keras = backend.load_keras()
    skipped = steps - max(round(share * steps), 1)

    class WeightAverage(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Keeps a running mean of the weights."""

        def on_train_begin(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            self._step = 0

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            self._step += 1
            count = self._step - skipped
            if count < 1:
                return
            weights = [np.asarray(v, np.float64) for v in self.model.trainable_variables]
            if count == 1:
                self._means = weights
            else:
                for k, weight in enumerate(weights):
                    self._means[k] += (weight - self._means[k]) / count
            if self._step == steps:
                self._put_in_place()

        def on_train_end(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            # Once more: JAX writes its own state back after an epoch.
            self._put_in_place()

        def _put_in_place(self) -> None:
            for variable, mean in zip(self.model.trainable_variables, self._means, strict=True):
                variable.assign(mean.astype(np.float32))

    return WeightAverage()
