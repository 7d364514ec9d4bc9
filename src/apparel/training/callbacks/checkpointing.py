"""Keep the state of training in checkpoints, and go on from the last one."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from apparel.core import backend
from apparel.core.checkpointable import State, Stateful
from apparel.core.errors import ModelFileError
from apparel.core.signals import StopRequest
from apparel.runs.checkpoints import Checkpoint, CheckpointFolder
from apparel.training.callbacks.base import Listener, Measures
from apparel.training.callbacks.epoch_log import EpochLog

MEASURE = "measure"


class ModelState:
    """The variables of a compiled model: weights, random state, optimiser, measures.

    Args:
        model: a built and compiled `keras.Model` whose optimiser is built as well.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._measures: State = {}

    def state(self) -> State:
        """See `Stateful`."""
        to_numpy = backend.load_keras().ops.convert_to_numpy
        return {name: np.array(to_numpy(variable)) for name, variable in self._variables().items()}

    def restore(self, state: State) -> None:
        """See `Stateful`. Measures come back with `restore_measures`: Keras resets them before."""
        expected = self._variables()
        shapes = {name: tuple(variable.shape) for name, variable in expected.items()}
        if shapes != {name: array.shape for name, array in state.items()}:
            raise ModelFileError(
                "the last checkpoint is of another model. Train once more, or use the version of "
                "apparel and Keras that began."
            )
        for name, variable in expected.items():
            variable.assign(state[name])
        self._measures = {name: state[name] for name in expected if name.startswith(MEASURE)}

    def restore_measures(self) -> None:
        """Give an epoch that began in another process what it had measured there."""
        variables = self._variables()
        for name, value in self._measures.items():
            variables[name].assign(value)
        self._measures = {}

    def _variables(self) -> dict[str, Any]:
        """Every variable, by what it is of and its place there."""
        groups = {
            "layer": [v for layer in self._model.layers for v in layer.variables],
            "optimizer": self._model.optimizer.variables,
            MEASURE: self._model.metrics_variables,
        }
        return {
            f"{group}_{k:03d}": variable
            for group, variables in groups.items()
            for k, variable in enumerate(variables)
        }


class CheckpointKeeper(Listener):
    """Writes a checkpoint after every epoch, and within one.

    It also stops training where somebody asked for it, between two steps and after a checkpoint.

    Args:
        model: that trains.
        parts: all else that has a state; those of them that listen must listen before this one.
        log: one of them.
        request: whether somebody wants training to stop.
        folder: where to; None keeps no checkpoints.
        every: seconds between two checkpoints within an epoch; None for one at its end only.
        steps: of an epoch.
        writes: whether to write; of several workers, one does.
    """

    def __init__(
        self,
        model: ModelState,
        parts: Mapping[str, Stateful],
        log: EpochLog,
        request: StopRequest,
        *,
        folder: CheckpointFolder | None,
        every: float | None,
        steps: int,
        writes: bool = True,
    ) -> None:
        self._model, self._log, self._request = model, log, request
        self._parts: dict[str, Stateful] = {"model": model, "log": log, **parts}
        self._folder, self._every, self._steps, self._writes = folder, every, steps, writes
        self._last = time.perf_counter()

    def begin(self) -> None:
        """Go on from the last checkpoint, or write the first one.

        Raises:
            ModelFileError: the last checkpoint is of another model.
            OSError: a checkpoint cannot be written or read.
        """
        found = self._folder.load() if self._folder else None
        if found is None:
            self._save()
            return
        for name, part in self._parts.items():
            part.restore(found.parts[name])
        print(f"Going on after {self._log.epoch} epochs and {self._log.step} steps")

    def epoch_begins(self, model: Any, epoch: int) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        if self._log.step:
            self._model.restore_measures()

    def step_ends(self, model: Any, measures: Measures) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        due = self._every is not None and time.perf_counter() - self._last >= self._every
        if not due and self._request.signal is None:
            return
        # Between the last step and the end of an epoch, validation is half done.
        if self._log.step < self._steps and not self._log.is_over:
            self._save()
            self._request.obey()

    def epoch_ends(self, model: Any, epoch: int, measures: Measures) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        self._save()
        self._request.obey()

    def _save(self) -> None:
        """Write a checkpoint."""
        if self._folder and self._writes:
            state = {name: part.state() for name, part in self._parts.items()}
            self._folder.save(Checkpoint(self._log.steps, state))
        self._last = time.perf_counter()
