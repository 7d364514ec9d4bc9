"""Show progress: a bar on a terminal, one line an epoch elsewhere."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO

from apparel.display import in_notebook


@dataclass(frozen=True)
class EpochEnd:
    """What is known when an epoch ends.

    Attributes:
        epoch: counted from 1.
        epochs: how many are planned.
        seconds: wall time of this epoch.
        measures: loss, accuracy and the like, by Keras's names.
    """

    epoch: int
    epochs: int
    seconds: float
    measures: Mapping[str, float]

    def __str__(self) -> str:
        """One line for people."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        shown = "  ".join(
            f"{name} {self.measures[name]:.4f}" for name in names if name in self.measures
        )
        left = f", about {_duration((self.epochs - self.epoch) * self.seconds)} left"
        return (
            f"epoch {self.epoch}/{self.epochs}  {shown}  ({_duration(self.seconds)}"
            f"{left if self.epoch < self.epochs else ''})"
        )


class EpochReporter(Protocol):
    """Tells people how training goes."""

    def epoch_begins(self, epoch: int) -> None:
        """Take note of an epoch, counted from 1."""

    def step_ends(self, step: int, measures: Mapping[str, float]) -> None:
        """Take note of a step, counted from 1 in its epoch."""

    def epoch_ends(self, end: EpochEnd) -> None:
        """Take note of an epoch's figures."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def epoch_reporter(*, epochs: int, steps: int) -> EpochReporter:
    """Choose the reporter for where the progress goes.

    Results belong to standard output and progress to standard error; a notebook, which
    paints standard error red, gets both on standard output.

    Args:
        epochs: how many are planned.
        steps: training steps in an epoch.

    Returns:
        A bar where standard error is a terminal, lines elsewhere.
    """
    stream = sys.stdout if in_notebook() else sys.stderr
    return BarReporter(epochs, steps, stream) if stream.isatty() else LineReporter(stream)


class LineReporter:
    """One line an epoch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def epoch_begins(self, epoch: int) -> None:
        """Say nothing yet."""

    def step_ends(self, step: int, measures: Mapping[str, float]) -> None:
        """Say nothing yet."""

    def epoch_ends(self, end: EpochEnd) -> None:
        """Print the epoch's line."""
        print(end, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing was opened."""


class BarReporter:
    """A line for each finished epoch and, beneath, a bar for all of training."""

    def __init__(self, epochs: int, steps: int, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415  # only where there is a terminal
        from rich.progress import (  # noqa: PLC0415  # as above
            BarColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._epochs, self._steps = epochs, steps
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[measures]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=Console(file=stream, highlight=False),
            transient=True,
        )
        self._task = self._progress.add_task("", total=epochs * steps, measures="")
        self._progress.start()

    def epoch_begins(self, epoch: int) -> None:
        """Name the epoch beside the bar."""
        self._done = (epoch - 1) * self._steps
        self._progress.update(self._task, description=f"epoch {epoch}/{self._epochs}")

    def step_ends(self, step: int, measures: Mapping[str, float]) -> None:
        """Move the bar."""
        shown = "  ".join(f"{name} {measures[name]:.4f}" for name in ("loss", "accuracy"))
        self._progress.update(self._task, completed=self._done + step, measures=shown)

    def epoch_ends(self, end: EpochEnd) -> None:
        """Print the epoch's line above the bar."""
        self._progress.console.print(str(end), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def _duration(seconds: float) -> str:
    """A duration in one or two units: 8 s, 1 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_of_hour} min"
    return f"{minutes} min {rest} s" if minutes else f"{whole} s"
