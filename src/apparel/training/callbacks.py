"""Callbacks: the learning rate, averaged weights, early stopping, and the log of epochs."""

import time
from typing import Any

import numpy as np

from apparel.runs.checkpoints import State
from apparel.training.progress import Callback, Logs, TrainingProgress

# Fraction of training in which the learning rate rises.
WARM_UP = 0.1


class TriangularSchedule(Callback):
    """Lets the learning rate rise in a straight line, and fall in another one.

    Args:
        progress: of the training.
        peak: the highest learning rate.
    """

    def __init__(self, progress: TrainingProgress, peak: float) -> None:
        super().__init__()
        self._progress, self._peak = progress, peak

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        fraction = self._progress.fraction
        share = min(fraction / WARM_UP, (1 - fraction) / (1 - WARM_UP))
        # Never quite 0, which would waste the first step.
        self.model.optimizer.learning_rate = self._peak * max(share, 1e-3)


class WeightAverage(Callback):
    """Ends training with the mean weights of its last steps.

    Adam at a constant learning rate ends at a random place around the minimum, and the accuracy
    with it: on Fashion-MNIST, the small CNN's differs by half a point from seed to seed and from
    epoch to epoch. The mean of the last weights lies nearer to the middle (B. Polyak and
    A. Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; P. Izmailov et al.,
    "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, arXiv 1803.05407).

    The mean is in place before the last epoch is validated, so the last validation metrics are
    those of the finished model. It is taken of trainable weights: for models without batch
    statistics.

    Args:
        progress: of the training, which is updated first.
        share: of the training, at its end; in (0, 1]. At least one step counts.
    """

    def __init__(self, progress: TrainingProgress, share: float) -> None:
        super().__init__()
        self._progress, self._share = progress, share
        self._count = 0
        self._means: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        # A tolerance for rounding: a half of 12 steps is 6 steps.
        if self._progress.fraction <= 1 - self._share + 1e-9:
            return
        self._count += 1
        weights = [np.asarray(v, np.float64) for v in self.model.trainable_variables]
        self._means = self._means or weights
        for k, weight in enumerate(weights):
            self._means[k] += (weight - self._means[k]) / self._count
        self._assign_means()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._assign_means()  # again: JAX writes its own state back after an epoch

    def state(self) -> State:
        """See `Stateful`."""
        means = {f"mean_{k:03d}": mean for k, mean in enumerate(self._means)}
        return {"count": self._count, **means}

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._count = int(state["count"])
        self._means = [state[name] for name in sorted(state) if name.startswith("mean_")]

    def _assign_means(self) -> None:
        """Give the model the mean weights once training is over."""
        if self._means and self._progress.is_over:
            for variable, mean in zip(self.model.trainable_variables, self._means, strict=True):
                variable.assign(mean.astype(np.float32))


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
        accuracy = float(np.nan_to_num((logs or {}).get("val_accuracy", -np.inf), nan=-np.inf))
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
