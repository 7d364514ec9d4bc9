"""The base class of all callbacks, and training progress by steps and by the clock."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from apparel.core import backend
from apparel.runs.checkpoints import State

keras = backend.load_keras()

# Metrics by Keras's names.
Logs: TypeAlias = Mapping[str, float]
# Fraction of the time between two readings of the clock.
READING = 0.01
# Batches are drawn ahead of the step that they are for. The outcome of a step is used exactly this
# many batches later, however far ahead the drawing thread is, so that the seed decides every bit.
LAG = 16


class Callback(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
    """A Keras callback; Keras counts epochs from 0."""


class TrainingProgress(Callback, ABC):
    """Training progress; ends training with the step that completes it.

    Attributes:
        steps: number of finished steps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self.steps += 1
        self._update()
        if self.is_over:
            self.model.stop_training = True

    @property
    @abstractmethod
    def fraction(self) -> float:
        """The finished fraction of training: 0 at its start, at least 1 at its end."""

    @property
    def is_over(self) -> bool:
        """True when no step is left."""
        return self.fraction >= 1

    @abstractmethod
    def forecast(self, steps: int) -> float:
        """Predict the fraction that will be finished after a number of steps."""

    @abstractmethod
    def state(self) -> State:
        """See `Stateful`."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """See `Stateful`."""

    def _update(self) -> None:
        """Take note of a finished step."""


class StepProgress(TrainingProgress):
    """Training that ends after a number of steps."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total

    @property
    def fraction(self) -> float:
        """See `TrainingProgress`."""
        return self.steps / self._total

    def forecast(self, steps: int) -> float:
        """See `TrainingProgress`."""
        return steps / self._total

    def state(self) -> State:
        """See `Stateful`."""
        return {"steps": self.steps}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self.steps = int(state["steps"])


class TimeProgress(TrainingProgress):
    """Training that ends when its time is up, at any speed of the machine.

    The clock is read about a hundred times. Between two readings, steps count at the average pace
    so far, so that the readings determine the progress at every step. Training that resumes from
    a checkpoint keeps the pace of the last reading and reads the clock no more: from there on, the
    result is the same however often training is interrupted.

    Args:
        seconds: time for training and the last validation.
        steps: expected number of steps, which gives the pace before the first reading.
        validation_seconds: expected time of the last validation; replaced by that of the latest.
    """

    def __init__(self, seconds: float, steps: float, validation_seconds: float = 0.0) -> None:
        super().__init__()
        self._start = self._last_read = self._validation_start = time.perf_counter()
        self._seconds, self._validation_seconds = seconds, validation_seconds
        # Finished steps, fraction of the time spent by then, and fraction per step.
        self._readings = [(0, 0.0, 1 / max(steps, 1.0))]
        self._keeps_pace = False

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._validation_start = time.perf_counter()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._validation_seconds = time.perf_counter() - self._validation_start

    @property
    def fraction(self) -> float:
        """See `TrainingProgress`."""
        return _at(self._last_reading(self.steps), self.steps)

    def forecast(self, steps: int) -> float:
        """See `TrainingProgress`: as known `LAG` steps before, however far ahead batches are."""
        return _at(self._last_reading(max(steps - LAG, 0)), steps)

    def state(self) -> State:
        """See `Stateful`."""
        return {"steps": self.steps, "readings": np.array(self._readings, np.float64)}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self.steps = int(state["steps"])
        self._readings = [(int(step), at, pace) for step, at, pace in state["readings"].tolist()]
        self._keeps_pace = True

    def _update(self) -> None:
        """Read the clock if the last reading is old, or if time seems to be up."""
        if self._keeps_pace:
            return
        now = time.perf_counter()
        if now - self._last_read >= READING * self._seconds or self.is_over:
            available = max(self._seconds - self._validation_seconds, 1e-9)
            spent = (now - self._start) / available
            self._readings.append((self.steps, spent, spent / self.steps))
            self._last_read = now

    def _last_reading(self, steps: int) -> tuple[int, float, float]:
        """The last reading of the clock up to a step."""
        return next(reading for reading in reversed(self._readings) if reading[0] <= steps)


def _at(reading: tuple[int, float, float], steps: int) -> float:
    """The fraction of the time that is spent after a number of steps, given a reading."""
    step, spent, pace = reading
    return spent + (steps - step) * pace
