"""What a search for better settings tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

# A stopped one was poor, and ended early; the others that are not complete were broken off.
TrialState: TypeAlias = Literal["complete", "stopped", "running", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting that was tried.

    Attributes:
        number: of the trial, from 0; the first is the default setting.
        state: how far it came.
        parameters: what was chosen for it, by their names in the search space.
        recipe: what it was trained by, by the names of `Recipe`.
        accuracies: on the validation images, after each epoch.
        seconds: of each epoch.
        directory: its run directory, as a path within that of the search.
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
        """On the validation images, after the last epoch; None where none was finished."""
        return self.accuracies[-1] if self.accuracies else None


def best_trial(trials: tuple[Trial, ...]) -> Trial | None:
    """The trial with the highest validation accuracy at its end, the first of equal ones.

    Those that were stopped early do not count: nobody knows where they would have ended.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.accuracies]
    return max(complete, key=lambda trial: trial.accuracies[-1], default=None)
