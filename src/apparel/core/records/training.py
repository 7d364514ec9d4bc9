"""The history of a training run, and the trials of a hyperparameter search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from apparel.core.records.comparison import GroupComparison, PairComparison
    from apparel.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class History:
    """Training, epoch by epoch.

    Attributes:
        history: for each metric (loss, accuracy, …, and its `val_` counterpart) a value per epoch,
            named and laid out as in Keras's `History`.
        seconds: wall time of each epoch.
        dtype: the number format used in training.
        interrupted: whether training was stopped before its last epoch.
        restored_epoch: the epoch, counted from 1, whose weights were kept; None for the last.
        harder: whether the training images were augmented and easy ones left out, which makes
            training metrics worse than those of the unchanged images.
    """

    history: Mapping[str, tuple[float, ...]]
    seconds: tuple[float, ...]
    dtype: str
    interrupted: bool = False
    restored_epoch: int | None = None
    harder: bool = False

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.seconds)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch, counted from 1, with the lowest validation loss."""
        losses = self.history.get("val_loss")
        if not losses:
            return None
        # Diverged training has losses that are not numbers; those are never the best.
        return min(range(len(losses)), key=lambda k: (math.isnan(losses[k]), losses[k])) + 1


# A "stopped" trial was poor and ended early; "running", "interrupted" and "failed" ones never
# reached their end.
TrialState: TypeAlias = Literal["complete", "stopped", "running", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting tried in a search.

    Attributes:
        number: number of the trial, from 0; the first is the default setting.
        state: how the trial ended.
        parameters: the sampled hyperparameters, by their names in the search space.
        recipe: the training recipe, by the field names of `Recipe`.
        accuracies: validation accuracy after each epoch.
        seconds: duration of each epoch.
        directory: its run directory, as a path relative to that of the search.
    """

    number: int
    state: TrialState
    parameters: Mapping[str, Any]
    recipe: Mapping[str, Any]
    accuracies: tuple[float, ...]
    seconds: tuple[float, ...]
    directory: str

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy after the last epoch; None where none was finished."""
        return self.accuracies[-1] if self.accuracies else None


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """Outcome of a hyperparameter search.

    Attributes:
        folder: folder of the search; `best` and `default` in it are run directories.
        trials: all trials, in their order.
        settings: the best setting, for a full training.
        comparison: the best setting compared with the default on the test images, both trained in
            full; None where no trial was better than the default.
    """

    folder: Path
    trials: tuple[Trial, ...]
    settings: Settings
    comparison: PairComparison | GroupComparison | None


def best_trial(trials: tuple[Trial, ...]) -> Trial | None:
    """The complete trial with the highest final validation accuracy, the first of equal ones.

    Trials that were stopped early do not count: their final accuracy is unknown.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.accuracies]
    return max(complete, key=lambda trial: trial.accuracies[-1], default=None)
