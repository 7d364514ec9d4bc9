"""The base class of all callbacks, and one that asks a caller after each epoch."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from apparel.core import backend
from apparel.core.records import History

keras = backend.load_keras()

# Metrics by Keras's names.
Logs: TypeAlias = Mapping[str, float]
# Takes the history so far and the finished fraction of training; says whether to continue.
Watch: TypeAlias = Callable[[History, float], bool]


class Callback(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
    """A Keras callback; Keras counts epochs from 0."""


class EpochWatcher(Callback):
    """Asks after each epoch whether training is to continue.

    Args:
        watch: is asked.
        history: gives the history so far.
        fraction: gives the finished fraction of training.
    """

    def __init__(
        self, watch: Watch, history: Callable[[], History], fraction: Callable[[], float]
    ) -> None:
        super().__init__()
        self._watch, self._history, self._fraction = watch, history, fraction

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        if not self._watch(self._history(), self._fraction()):
            self.model.stop_training = True
