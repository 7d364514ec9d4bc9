"""Show progress: a bar on a terminal, one line per epoch elsewhere."""

import io
import sys
from typing import TextIO

from apparel.core.display import in_notebook
from apparel.core.messages import duration, is_verbose
from apparel.training.callbacks import EpochLog
from apparel.training.progress import Callback, Logs, TrainingProgress


def progress_display(progress: TrainingProgress, log: EpochLog, epochs: int | None) -> "EpochLines":
    """Choose the display for the stream that progress goes to.

    Results belong to standard output and progress to standard error; a notebook, which
    paints standard error red, gets both on standard output.

    Args:
        progress: of the training; it and the log are updated first.
        log: of the training.
        epochs: planned number; None where time ends training.

    Returns:
        A bar where standard error is a terminal, lines elsewhere.
    """
    stream = sys.stdout if in_notebook() else sys.stderr
    if not is_verbose():
        stream = io.StringIO()
    return (ProgressBar if stream.isatty() else EpochLines)(progress, log, epochs, stream)


class EpochLines(Callback):
    """Prints one line per epoch."""

    def __init__(
        self, progress: TrainingProgress, log: EpochLog, epochs: int | None, stream: TextIO
    ) -> None:
        super().__init__()
        self._progress, self._log, self._epochs, self._stream = progress, log, epochs, stream

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        values = _values(logs or {}, "loss", "accuracy", "val_loss", "val_accuracy")
        seconds, seconds_left = self._log.seconds[-1], self._log.seconds_left
        left = f", about {duration(seconds_left)} left" if seconds_left else ""
        self._print(f"{_epoch_name(epoch, self._epochs)}  {values}  ({duration(seconds)}{left})")

    def close(self) -> None:
        """Leave the terminal as it was."""

    def _print(self, line: str) -> None:
        """Print a line at once."""
        print(line, file=self._stream, flush=True)


class ProgressBar(EpochLines):
    """A line for each finished epoch and, beneath, a bar for all of training."""

    def __init__(
        self, progress: TrainingProgress, log: EpochLog, epochs: int | None, stream: TextIO
    ) -> None:
        from rich import console  # noqa: PLC0415  # only where there is a terminal
        from rich import progress as rich_progress  # noqa: PLC0415  # as above

        super().__init__(progress, log, epochs, stream)
        text = rich_progress.TextColumn
        self._bar = rich_progress.Progress(
            text("{task.description}"),
            rich_progress.BarColumn(),
            text("{task.percentage:3.0f}%"),
            text("{task.fields[metrics]}"),
            rich_progress.TimeRemainingColumn(compact=True),
            text("left"),
            console=console.Console(file=stream, highlight=False),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, metrics="")
        self._bar.start()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._bar.update(self._task, description=_epoch_name(epoch, self._epochs))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        shown = _values(logs or {}, "loss", "accuracy")
        self._bar.update(self._task, completed=self._progress.fraction, metrics=shown)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()

    def _print(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(line, soft_wrap=True)


def _values(metrics: Logs, *names: str) -> str:
    """Those of the named metrics that there are."""
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in names if name in metrics)


def _epoch_name(epoch: int, epochs: int | None) -> str:
    """The number of an epoch for people, with the planned number if there is one."""
    return f"epoch {epoch + 1}/{epochs}" if epochs else f"epoch {epoch + 1}"
