"""Stop training that no longer improves, and restore the best weights."""

from typing import Any

import numpy as np

from apparel.runs.checkpoints import State
from apparel.training.callbacks.base import Callback, Logs

METRIC = "val_accuracy"


class EarlyStopping(Callback):
    """Ends training after a number of epochs without a higher validation accuracy.

    Keras's own forgets the best epoch when training resumes in another process, and so may replace
    the best weights by worse ones.

    Args:
        patience: epochs to wait for a higher accuracy, at least 1.

    Attributes:
        best_epoch: counted from 1; None before the first one.
    """

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.best_epoch: int | None = None
        self._patience = patience
        self._best = -np.inf
        self._waited = 0
        self._weights: list[Any] = []

    @property
    def is_over(self) -> bool:
        """True when patience has run out."""
        return self._waited >= self._patience

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        # Training that diverges has accuracies that are NaN; those are never better.
        accuracy = float(np.nan_to_num((logs or {}).get(METRIC, -np.inf), nan=-np.inf))
        if accuracy > self._best or self.best_epoch is None:
            self._best, self._waited, self.best_epoch = accuracy, 0, epoch + 1
            self._weights = [np.array(weight) for weight in self.model.get_weights()]
            return
        self._waited += 1
        if self.is_over:
            self.model.stop_training = True

    def restore_best(self, model: Any) -> None:
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
