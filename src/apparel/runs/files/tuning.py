"""The trials of a search → records, and the table of them."""

import json
from collections.abc import Sequence
from pathlib import Path

from apparel.core.errors import ModelFileError
from apparel.core.records import Trial
from apparel.runs.files.history import HISTORY_FILE, read_history

TRIALS = "trials"
TRIALS_FILE = "trials.csv"
SHOWN = ("model_name", "width", "learning_rate", "batch_size", "label_smoothing", "flip", "shift",
         "erase")  # fmt: skip


def read_trials(search: Path) -> tuple[Trial, ...]:
    """Read every trial of a search that has begun to train, in the order of their numbers.

    Args:
        search: the folder of the search.

    Raises:
        ModelFileError: a file of a trial is broken.
    """
    folders = sorted(path.parent for path in (search / TRIALS).glob("*/settings.json"))
    trials = [trial for folder in folders if (trial := _trial(folder))]
    return tuple(sorted(trials, key=lambda trial: trial.number))


def _trial(folder: Path) -> Trial | None:
    """Read a trial; None where it had not begun to train."""
    path = folder / "settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if "recipe" not in settings:
            return None
        accuracies: tuple[float, ...] = ()
        seconds: tuple[float, ...] = ()
        if (folder / HISTORY_FILE).exists():
            history = read_history(folder, settings)
            accuracies, seconds = history.history.get("val_accuracy", ()), history.seconds
        return Trial(
            number=settings["trial"]["number"],
            state=settings["status"],
            parameters=settings["trial"]["parameters"],
            recipe={name: settings["recipe"][name] for name in SHOWN},
            accuracies=accuracies,
            seconds=seconds,
            directory=f"{TRIALS}/{folder.name}",
        )
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(
            f"{path} describes no trial of a search ({error!r}). Begin the search once more."
        ) from error


def trial_rows(trials: Sequence[Trial]) -> tuple[list[str], list[list[object]]]:
    """The header and the rows of `trials.csv`."""
    header = ["number", "state", *SHOWN, "val_accuracy", "seconds", "epochs", "directory"]
    return header, [
        [
            trial.number,
            trial.state,
            *(trial.recipe[name] for name in SHOWN),
            trial.accuracy,
            round(sum(trial.seconds), 3),
            len(trial.seconds),
            trial.directory,
        ]
        for trial in trials
    ]
