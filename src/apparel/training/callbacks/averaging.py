"""Average the weights of the last training steps.

Adam at a constant step size ends at a random place around the minimum, and the accuracy with
it: on Fashion-MNIST, the small CNN's differs by half a point from seed to seed and from epoch to
epoch. The mean of the last weights lies nearer to the middle (B. Polyak and A. Juditsky,
"Acceleration of Stochastic Approximation by Averaging", 1992; P. Izmailov et al., "Averaging
Weights Leads to Wider Optima and Better Generalization", 2018, arXiv 1803.05407).
"""

from typing import Any

import numpy as np

from apparel.core.checkpointable import State
from apparel.training.callbacks.base import Listener, Measures
from apparel.training.learning_rate import Course


class WeightAverage(Listener):
    """Ends training with the mean weights of its last steps.

    The mean is in place before the last epoch is validated, so the last validation figures are
    those of the finished model. It is taken of trainable weights: for models without batch
    statistics.

    Args:
        course: of the training; a listener before this one tells it of the steps.
        share: of the training, at its end; in (0, 1]. At least one step counts.
    """

    def __init__(self, course: Course, *, share: float) -> None:
        self._course, self._share = course, share
        self._count = 0
        self._means: list[Any] = []

    def step_ends(self, model: Any, measures: Measures) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        # A hair's breadth for rounding: a half of 12 steps is 6 steps.
        if self._course.progress <= 1 - self._share + 1e-9:
            return
        self._count += 1
        weights = [np.asarray(v, np.float64) for v in model.trainable_variables]
        self._means = self._means or weights
        for k, weight in enumerate(weights):
            self._means[k] += (weight - self._means[k]) / self._count
        self._put_in_place(model)

    def training_ends(self, model: Any) -> None:
        """See `Listener`. Once more: JAX writes its own state back after an epoch."""
        self._put_in_place(model)

    def state(self) -> State:
        """See `Stateful`."""
        means = {f"mean_{k:03d}": mean for k, mean in enumerate(self._means)}
        return {"count": self._count, **means}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._count = int(state["count"])
        self._means = [state[name] for name in sorted(state) if name.startswith("mean_")]

    def _put_in_place(self, model: Any) -> None:
        """Give the model the mean, once training is over."""
        if self._means and self._course.progress >= 1:
            for variable, mean in zip(model.trainable_variables, self._means, strict=True):
                variable.assign(mean.astype(np.float32))
