"""Stop training that no longer gets better, and bring the best weights back."""

from typing import Any

import numpy as np

from apparel.core.checkpointable import State
from apparel.training.callbacks.base import Listener, Measures

MEASURE = "val_accuracy"


class EarlyStopping(Listener):
    """Ends training after so many epochs without a higher accuracy.

    Keras's own forgets what it has seen when training goes on in another process, and so may
    replace the best weights by worse ones.

    Args:
        patience: epochs to wait for a higher accuracy on the validation images; at least 1.

    Attributes:
        best_epoch: counted from 1; None before the first one.
    """

    def __init__(self, patience: int) -> None:
        self.best_epoch: int | None = None
        self._patience = patience
        self._best = -np.inf
        self._waited = 0
        self._weights: list[Any] = []

    def epoch_ends(self, model: Any, epoch: int, measures: Measures) -> None:
        """See `Listener`."""
        # Training that breaks down has accuracies that are no numbers; those are never better.
        accuracy = float(np.nan_to_num(measures.get(MEASURE, -np.inf), nan=-np.inf))
        if accuracy > self._best or self.best_epoch is None:
            self._best, self._waited, self.best_epoch = accuracy, 0, epoch + 1
            self._weights = [np.array(weight) for weight in model.get_weights()]
            return
        self._waited += 1
        if self.is_over:
            model.stop_training = True

    @property
    def is_over(self) -> bool:
        """Whether the wait was long enough."""
        return self._waited >= self._patience

    def bring_back(self, model: Any) -> None:
        """Give a model the weights of the best epoch."""
        if self._weights:
            model.set_weights(self._weights)

    def state(self) -> State:
        """See `Stateful`."""
        if self.best_epoch is None:
            return {}
        weights = {f"weight_{k:03d}": weight for k, weight in enumerate(self._weights)}
        return {
            "best": self._best,
            "best_epoch": self.best_epoch,
            "waited": self._waited,
            **weights,
        }

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        if not state:
            return
        self._best, self._waited = float(state["best"]), int(state["waited"])
        self.best_epoch = int(state["best_epoch"])
        self._weights = [state[name] for name in sorted(state) if name.startswith("weight_")]
