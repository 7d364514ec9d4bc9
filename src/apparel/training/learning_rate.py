"""How far training has come, by steps or by the clock, and the step size that belongs there."""

import time
from typing import Any, Protocol

import numpy as np

from apparel.core.checkpointable import State, Stateful
from apparel.training.callbacks.base import Listener

# Of training: the way up to the largest step size.
WARM_UP = 0.1
# Of the time: what passes between two readings of the clock.
READING = 0.01
# Batches are drawn ahead of the step that they are for. What a step shows is used exactly so many
# batches later, however far ahead the drawing thread is just then: so the seed decides every bit.
LAG = 16


class Course(Stateful, Protocol):
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

    def state(self) -> State:
        """See `Stateful`."""
        return {"done": self._done}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._done = int(state["done"])


class TimeCourse:
    """Training that ends when its time is up, however fast the machine is just then.

    The clock is read now and then, and between two readings the steps count, at the pace of
    training so far: so a few readings say how far training had come at every step. What goes on
    from a checkpoint does not read the clock again, but keeps the pace of the last reading. From
    there on, the end is the same however often training is broken off.

    Args:
        seconds: that training may take.
        steps: about as many as will fit into them, which is the pace before the first reading.
    """

    def __init__(self, seconds: float, steps: float) -> None:
        self._start = time.perf_counter()
        self._seconds = seconds
        self._set_aside = 0.0
        self._done = 0
        # Steps done, share of the time that was spent then, and share that a step takes.
        self._readings = [(0, 0.0, 1 / max(steps, 1.0))]
        self._last_read = self._start
        self._keeps_pace = False

    def step_ends(self) -> None:
        """Count the step, and read the clock where the last reading is some time ago."""
        self._done += 1
        if self._keeps_pace:
            return
        now = time.perf_counter()
        due = now - self._last_read >= READING * self._seconds
        if due or self.progress >= 1:
            available = max(self._seconds - self._set_aside, 1e-9)
            spent = (now - self._start) / available
            self._readings.append((self._done, spent, spent / self._done))
            self._last_read = now

    def set_aside(self, seconds: float) -> None:
        """Leave so much of the time for what follows the last step."""
        self._set_aside = seconds

    @property
    def progress(self) -> float:
        """The share of the time that is spent with the last step."""
        return _at(self._last_reading(self._done), self._done)

    def forecast(self, steps: int) -> float:
        """The share that will be spent after so many steps, as it was known `LAG` steps before.

        Whoever draws batches ahead of the steps gets the same answer however far ahead they are.
        """
        return _at(self._last_reading(max(steps - LAG, 0)), steps)

    def state(self) -> State:
        """See `Stateful`."""
        return {"done": self._done, "readings": np.array(self._readings, np.float64)}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._done = int(state["done"])
        self._readings = [(int(step), at, pace) for step, at, pace in state["readings"].tolist()]
        self._keeps_pace = True

    def _last_reading(self, steps: int) -> tuple[int, float, float]:
        """The last reading of the clock up to a step."""
        return next(reading for reading in reversed(self._readings) if reading[0] <= steps)


def _at(reading: tuple[int, float, float], steps: int) -> float:
    """The share of the time that is spent after so many steps, by a reading of the clock."""
    step, spent, pace = reading
    return spent + (steps - step) * pace


def triangle(progress: float) -> float:
    """The step size as a share of the largest: up in a straight line, then down.

    Args:
        progress: the finished share of training, at least 0.

    Returns:
        0 to 1; 0 at both ends.
    """
    return max(min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP)), 0.0)


class TriangularSchedule(Listener):
    """Sets each step's size by how far training has come.

    Args:
        course: of the training; somebody else tells it of the steps.
        learning_rate: the largest step size.
    """

    def __init__(self, course: Course, learning_rate: float) -> None:
        self._course, self._learning_rate = course, learning_rate

    def step_begins(self, model: Any) -> None:
        """See `Listener`."""
        # Never quite 0, which would waste the first step.
        share = max(triangle(self._course.progress), 1e-3)
        model.optimizer.learning_rate = self._learning_rate * share
