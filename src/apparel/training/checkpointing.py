"""Write the state of training to checkpoints, and resume from the last one."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from apparel.core.errors import ModelFileError
from apparel.core.messages import say
from apparel.core.signals import StopRequest
from apparel.runs.checkpoints import Checkpoint, CheckpointFolder, State, Stateful
from apparel.training.callbacks import EpochLog
from apparel.training.progress import Callback, Logs, TrainingProgress, keras

METRIC = "metric"


class ModelState:
    """The variables of a compiled model: weights, random state, optimiser, metrics.

    Args:
        model: a built and compiled `keras.Model` whose optimiser is built as well.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._metrics: State = {}

    def state(self) -> State:
        """See `Stateful`."""
        to_numpy = keras.ops.convert_to_numpy
        return {name: np.array(to_numpy(variable)) for name, variable in self._variables().items()}

    def restore(self, state: State) -> None:
        """See `Stateful`. Keras resets metrics afterwards: `restore_metrics` brings them back."""
        expected = self._variables()
        shapes = {name: tuple(variable.shape) for name, variable in expected.items()}
        if shapes != {name: array.shape for name, array in state.items()}:
            raise _other_model()
        for name, variable in expected.items():
            variable.assign(state[name])
        self._metrics = {name: state[name] for name in expected if name.startswith(METRIC)}

    def restore_metrics(self) -> None:
        """Give the metrics their values in an epoch that began in another process."""
        variables = self._variables()
        for name, value in self._metrics.items():
            variables[name].assign(value)
        self._metrics = {}

    def _variables(self) -> dict[str, Any]:
        """Every variable, named by its group and its place there."""
        groups = {
            "layer": [v for layer in self._model.layers for v in layer.variables],
            "optimizer": self._model.optimizer.variables,
            METRIC: self._model.metrics_variables,
        }
        return {
            f"{group}_{k:03d}": variable
            for group, variables in groups.items()
            for k, variable in enumerate(variables)
        }


class Checkpointing(Callback):
    """Writes a checkpoint after every epoch, and within one.

    It also stops training when a signal requests it, between two steps and after a checkpoint.

    Args:
        model: that trains.
        components: all others that have a state. Callbacks among them must come before this one.
        log: one of the components.
        progress: another one.
        request: says whether training is to stop.
        folder: of the checkpoints; None keeps none.
        every: seconds between two checkpoints within an epoch; None for its end only.
        writes: False for all workers but the first.
    """

    def __init__(
        self,
        model: ModelState,
        components: Mapping[str, Stateful],
        log: EpochLog,
        progress: TrainingProgress,
        request: StopRequest,
        *,
        folder: CheckpointFolder | None,
        every: float | None,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self._state, self._log, self._progress, self._request = model, log, progress, request
        self._components: dict[str, Stateful] = {"model": model, **components}
        self._folder, self._every, self._writes = folder, every, writes
        self._last = time.perf_counter()

    def resume(self) -> None:
        """Resume from the last checkpoint, or write the first one.

        Raises:
            ModelFileError: the last checkpoint is of another model.
            OSError: a checkpoint cannot be written or read.
        """
        found = self._folder.load() if self._folder else None
        if found is None:
            self._save()
            return
        if found.parts.keys() != self._components.keys():
            raise _other_model()
        for name, component in self._components.items():
            component.restore(found.parts[name])
        say(f"Resuming after {self._log.epoch} epochs and {self._log.step} steps")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        if self._log.step:
            self._state.restore_metrics()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        due = self._every is not None and time.perf_counter() - self._last >= self._every
        if not due and self._request.signal is None:
            return
        # After the last step of an epoch, its validation comes first.
        if self._log.rest and not self._progress.is_over:
            self._save()
            self._request.obey()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        self._save()
        self._request.obey()

    def _save(self) -> None:
        """Write a checkpoint."""
        if self._folder and self._writes:
            state = {name: part.state() for name, part in self._components.items()}
            self._folder.save(Checkpoint(self._progress.steps, state))
        self._last = time.perf_counter()


def _other_model() -> ModelFileError:
    """The error of a checkpoint that does not fit."""
    return ModelFileError(
        "the last checkpoint is of another model. Train again, or use the version of apparel and "
        "Keras that wrote it."
    )
