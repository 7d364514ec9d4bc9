"""Average the weights of the last training steps.

Adam at a constant learning rate ends at a random place around the minimum, and the accuracy with
it: on Fashion-MNIST, the small CNN's differs by half a point from seed to seed and from epoch to
epoch. The mean of the last weights lies nearer to the middle (B. Polyak and A. Juditsky,
"Acceleration of Stochastic Approximation by Averaging", 1992; P. Izmailov et al., "Averaging
Weights Leads to Wider Optima and Better Generalization", 2018, arXiv 1803.05407).
"""

from typing import Any

import numpy as np

from apparel.runs.checkpoints import State
from apparel.training.callbacks.base import Callback, Logs
from apparel.training.progress import TrainingProgress


class WeightAverage(Callback):
    """Ends training with the mean weights of its last steps.

    The mean is in place before the last epoch is validated, so the last validation metrics are
    those of the finished model. It is taken of trainable weights: for models without batch
    statistics.

    Args:
        progress: of the training, which is updated first.
        share: of the training, at its end; in (0, 1]. At least one step counts.
    """

    def __init__(self, progress: TrainingProgress, share: float) -> None:
        super().__init__()
        self._progress, self._share = progress, share
        self._count = 0
        self._means: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        # A tolerance for rounding: a half of 12 steps is 6 steps.
        if self._progress.fraction <= 1 - self._share + 1e-9:
            return
        self._count += 1
        weights = [np.asarray(v, np.float64) for v in self.model.trainable_variables]
        self._means = self._means or weights
        for k, weight in enumerate(weights):
            self._means[k] += (weight - self._means[k]) / self._count
        self._assign_means()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._assign_means()  # again: JAX writes its own state back after an epoch

    def state(self) -> State:
        """See `Stateful`."""
        means = {f"mean_{k:03d}": mean for k, mean in enumerate(self._means)}
        return {"count": self._count, **means}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._count = int(state["count"])
        self._means = [state[name] for name in sorted(state) if name.startswith("mean_")]

    def _assign_means(self) -> None:
        """Give the model the mean weights once training is over."""
        if self._means and self._progress.is_over:
            for variable, mean in zip(self.model.trainable_variables, self._means, strict=True):
                variable.assign(mean.astype(np.float32))
