"""The metrics and times of finished epochs, and the position in the unfinished one."""

import time

from apparel.runs.checkpoints import State
from apparel.training.callbacks.base import Callback, Logs
from apparel.training.progress import TrainingProgress


class EpochLog(Callback):
    """Keeps the metrics and seconds of each epoch; an unfinished epoch leaves nothing behind.

    Args:
        progress: of the training, which is updated first.
        steps_per_epoch: number of steps.

    Attributes:
        metrics: for each metric, a value per finished epoch.
        seconds: wall time of each finished epoch.
        epoch: number of finished epochs.
        step: steps of the unfinished epoch.
    """

    def __init__(self, progress: TrainingProgress, steps_per_epoch: int) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.metrics: dict[str, list[float]] = {}
        self.seconds: list[float] = []
        self.epoch = self.step = 0
        self._progress = progress
        # Time that training and the unfinished epoch took in an earlier process.
        self._spent = self._epoch_spent = 0.0
        self._training_start = self._start = time.perf_counter()

    @property
    def rest(self) -> int:
        """The steps that are left of an unfinished epoch; 0 between epochs."""
        return self.steps_per_epoch - self.step if self.step else 0

    @property
    def seconds_left(self) -> float:
        """The approximate time to the end of training."""
        spent = self._spent + time.perf_counter() - self._training_start
        return max(spent / self._progress.fraction - spent, 0.0)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._start = time.perf_counter() - self._epoch_spent
        self._epoch_spent = 0.0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        for name, value in (logs or {}).items():
            self.metrics.setdefault(name, []).append(float(value))
        self.seconds.append(time.perf_counter() - self._start)
        self.epoch, self.step = epoch + 1, 0

    def state(self) -> State:
        """See `Stateful`."""
        now = time.perf_counter()
        return {
            "metrics": self.metrics,
            "seconds": self.seconds,
            "epoch": self.epoch,
            "step": self.step,
            "spent": self._spent + now - self._training_start,
            "epoch_spent": now - self._start if self.step else 0.0,
        }

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self.metrics = {name: list(values) for name, values in state["metrics"].items()}
        self.seconds = list(state["seconds"])
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self._spent, self._epoch_spent = float(state["spent"]), float(state["epoch_spent"])
