"""What finished epochs measured, how far training has come, and the lines that say so."""

import time
from typing import Any

from apparel.core.checkpointable import State
from apparel.training.augmentation import TrainingBatches
from apparel.training.callbacks.base import Listener, Measures
from apparel.training.learning_rate import Course
from apparel.training.progress_bar import EpochEnd, EpochReporter


class EpochLog(Listener):
    """Keeps each epoch's measures and seconds; an unfinished one leaves nothing behind.

    It tells course and batches of every step, and ends training when the course is over.

    Args:
        course: of the training.
        batches: of the training.
        reporter: tells people.
        epochs: how many are planned; None where time ends training.

    Attributes:
        measures: of finished epochs.
        seconds: likewise.
        epoch: how many are finished.
        step: steps of the one that is not.
        steps: of all of training so far.
    """

    def __init__(
        self,
        course: Course,
        batches: TrainingBatches,
        reporter: EpochReporter,
        epochs: int | None,
    ) -> None:
        self.measures: dict[str, list[float]] = {}
        self.seconds: list[float] = []
        self.epoch = self.step = self.steps = 0
        self._course, self._batches = course, batches
        self._reporter, self._epochs = reporter, epochs
        # What training and the unfinished epoch took in another process.
        self._spent = self._epoch_spent = 0.0
        self._training_start = self._start = self._validation_start = time.perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether no step is left."""
        return self._course.progress >= 1

    def epoch_begins(self, model: Any, epoch: int) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        self._start = time.perf_counter() - self._epoch_spent
        self._epoch_spent = 0.0
        self._reporter.epoch_begins(epoch + 1)

    def step_ends(self, model: Any, measures: Measures) -> None:
        """See `Listener`."""
        self.step += 1
        self.steps += 1
        self._course.step_ends()
        self._batches.step_ends()
        self._reporter.step_ends(self._course.progress, measures)
        if self.is_over:
            model.stop_training = True

    def validation_begins(self) -> None:
        """See `Listener`."""
        self._validation_start = time.perf_counter()

    def validation_ends(self) -> None:
        """See `Listener`."""
        self._course.set_aside(time.perf_counter() - self._validation_start)

    def epoch_ends(self, model: Any, epoch: int, measures: Measures) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        now = time.perf_counter()
        for name, value in measures.items():
            self.measures.setdefault(name, []).append(float(value))
        self.seconds.append(now - self._start)
        self.epoch, self.step = epoch + 1, 0
        spent = self._spent + now - self._training_start
        left = max(spent / self._course.progress - spent, 0.0)
        self._reporter.epoch_ends(
            EpochEnd(self.epoch, self._epochs, self.seconds[-1], left, measures)
        )

    def state(self) -> State:
        """See `Stateful`."""
        now = time.perf_counter()
        return {
            "measures": self.measures,
            "seconds": self.seconds,
            "epoch": self.epoch,
            "step": self.step,
            "steps": self.steps,
            "spent": self._spent + now - self._training_start,
            "epoch_spent": now - self._start if self.step else 0.0,
        }

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self.measures = {name: list(values) for name, values in state["measures"].items()}
        self.seconds = list(state["seconds"])
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.steps = int(state["steps"])
        self._spent, self._epoch_spent = float(state["spent"]), float(state["epoch_spent"])

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._reporter.close()
