"""How far training has come, by steps or by the clock, and the step size that belongs there."""

import time
from typing import Any, Protocol

from apparel import backend

# Of training: the way up to the largest step size.
WARM_UP = 0.1


class Course(Protocol):
    """How far training has come."""

    def step_ends(self) -> None:
        """Take note of a finished step."""

    def set_aside(self, seconds: float) -> None:
        """Leave time for what follows the last step."""

    @property
    def progress(self) -> float:
        """The finished share of training: 0 at its start, at least 1 at its end."""

    def forecast(self, steps: int) -> float:
        """The share that will be finished after so many steps, as far as is known."""


class StepCourse:
    """Training that ends after a number of steps."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0

    def step_ends(self) -> None:
        """Count the step."""
        self._done += 1

    def set_aside(self, seconds: float) -> None:
        """Steps take the time they take."""

    @property
    def progress(self) -> float:
        """The finished share of the steps."""
        return self._done / self._steps

    def forecast(self, steps: int) -> float:
        """The share that so many steps are, of all."""
        return steps / self._steps


class TimeCourse:
    """Training that ends when its time is up, however fast the machine is just then."""

    def __init__(self, seconds: float) -> None:
        self._start = time.perf_counter()
        self._seconds = seconds
        self._set_aside = 0.0
        self._progress = 0.0

    def step_ends(self) -> None:
        """Read the clock."""
        available = max(self._seconds - self._set_aside, 1e-9)
        self._progress = (time.perf_counter() - self._start) / available

    def set_aside(self, seconds: float) -> None:
        """Leave so much of the time for what follows the last step."""
        self._set_aside = seconds

    @property
    def progress(self) -> float:
        """The spent share of the time, as of the last step."""
        return self._progress

    def forecast(self, steps: int) -> float:  # noqa: ARG002  # only the clock knows
        """The spent share of the time: steps to come are drawn only a little ahead."""
        return self._progress


def triangle(progress: float) -> float:
    """The step size as a share of the largest: up in a straight line, then down.

    Args:
        progress: the finished share of training, at least 0.

    Returns:
        0 to 1; 0 at both ends.
    """
    return max(min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP)), 0.0)


def triangular_schedule(course: Course, learning_rate: float) -> Any:
    """Make a callback that sets each step's size by how far training has come.

    Args:
        course: of the training; somebody else tells it of the steps.
        learning_rate: the largest step size.

    Returns:
        A `keras.callbacks.Callback`.
    """
    keras = backend.load_keras()

    class TriangularSchedule(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Sets the optimiser's learning rate before each step."""

        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            # Never quite 0, which would waste the first step.
            share = max(triangle(course.progress), 1e-3)
            self.model.optimizer.learning_rate = learning_rate * share

    return TriangularSchedule()
