"""Show progress: a bar on a terminal, one line an epoch elsewhere."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO

from apparel.core.display import in_notebook


@dataclass(frozen=True)
class EpochEnd:
    """What is known when an epoch ends.

    Attributes:
        epoch: counted from 1.
        epochs: how many are planned; None where time ends training.
        seconds: wall time of this epoch.
        left: seconds to the end of training, about.
        measures: loss, accuracy and the like, by Keras's names.
    """

    epoch: int
    epochs: int | None
    seconds: float
    left: float
    measures: Mapping[str, float]

    def __str__(self) -> str:
        """One line for people."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        shown = "  ".join(
            f"{name} {self.measures[name]:.4f}" for name in names if name in self.measures
        )
        left = f", about {_duration(self.left)} left" if self.left else ""
        return f"{_epoch_name(self.epoch, self.epochs)}  {shown}  ({_duration(self.seconds)}{left})"


class EpochReporter(Protocol):
    """Tells people how training goes."""

    def epoch_begins(self, epoch: int) -> None:
        """Take note of an epoch, counted from 1."""

    def step_ends(self, progress: float, measures: Mapping[str, float]) -> None:
        """Take note of a step, and of the share of training that is finished with it."""

    def epoch_ends(self, end: EpochEnd) -> None:
        """Take note of an epoch's figures."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def epoch_reporter(epochs: int | None) -> EpochReporter:
    """Choose the reporter for where the progress goes.

    Results belong to standard output and progress to standard error; a notebook, which
    paints standard error red, gets both on standard output.

    Args:
        epochs: how many are planned; None where time ends training.

    Returns:
        A bar where standard error is a terminal, lines elsewhere.
    """
    stream = sys.stdout if in_notebook() else sys.stderr
    return BarReporter(epochs, stream) if stream.isatty() else LineReporter(stream)


class LineReporter:
    """One line an epoch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def epoch_begins(self, epoch: int) -> None:
        """Say nothing yet."""

    def step_ends(self, progress: float, measures: Mapping[str, float]) -> None:
        """Say nothing yet."""

    def epoch_ends(self, end: EpochEnd) -> None:
        """Print the epoch's line."""
        print(end, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing was opened."""


class BarReporter:
    """A line for each finished epoch and, beneath, a bar for all of training."""

    def __init__(self, epochs: int | None, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415  # only where there is a terminal
        from rich.progress import (  # noqa: PLC0415  # as above
            BarColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._epochs = epochs
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
        self._task = self._progress.add_task("", total=1.0, measures="")
        self._progress.start()

    def epoch_begins(self, epoch: int) -> None:
        """Name the epoch beside the bar."""
        self._progress.update(self._task, description=_epoch_name(epoch, self._epochs))

    def step_ends(self, progress: float, measures: Mapping[str, float]) -> None:
        """Move the bar."""
        shown = "  ".join(f"{name} {measures[name]:.4f}" for name in ("loss", "accuracy"))
        self._progress.update(self._task, completed=progress, measures=shown)

    def epoch_ends(self, end: EpochEnd) -> None:
        """Print the epoch's line above the bar."""
        self._progress.console.print(str(end), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def _epoch_name(epoch: int, epochs: int | None) -> str:
    """An epoch's number, of how many where that is known."""
    return f"epoch {epoch}/{epochs}" if epochs else f"epoch {epoch}"


def _duration(seconds: float) -> str:
    """A duration in one or two units: 8 s, 1 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_of_hour} min"
    return f"{minutes} min {rest} s" if minutes else f"{whole} s"
