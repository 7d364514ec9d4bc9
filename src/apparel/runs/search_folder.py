"""The folder of a search for hyperparameters: what was asked for, its progress and its trials."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from apparel.core.atomic_files import drop_partial, write_csv, write_json
from apparel.core.errors import ModelFileError, UsageError
from apparel.core.records import Trial
from apparel.core.settings import Settings
from apparel.core.validation import checked_positive, whole_number
from apparel.runs.files import HISTORY_FILE, read_history, read_json, reading
from apparel.runs.folder import SEARCH_FILE, SETTINGS_FILE, claim_folder

TRIALS, TRIALS_FILE = "trials", "trials.csv"
_OF_TRIAL = ("model_name", "width", "learning_rate", "batch_size", "label_smoothing", "flip",
             "shift", "erase")  # fmt: skip
# Version of the search space: a search of another version cannot be resumed.
SPACE_VERSION = 1
# Of the budget: for all trials, and for each of the two full trainings at the end.
SEARCH_SHARE, FULL_SHARE = 0.6, 0.2
USUAL_TRIALS = 12
# Measuring the machine takes some four seconds of each trial.
LEAST_TRIAL_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The request for a search.

    Attributes:
        source: name or path of the data set.
        data_dir: folder with the data set's files.
        budget: seconds of all training together.
        trials: greatest number of trials; None for as many as the budget allows.
        seed: random seed.
        limit: greatest number of images of each split.
        ray: address of a Ray cluster; None for this process.
    """

    source: str
    data_dir: str | None
    budget: float
    trials: int | None
    seed: int
    limit: int | None
    ray: str | None

    def __post_init__(self) -> None:
        """Check what was asked for.

        Raises:
            UsageError: a value is outside its range, or trials would be too short.
        """
        checked_positive("--budget", self.budget, "1800 is half an hour.")
        if self.trials is not None:
            whole_number("--trials", self.trials, minimum=1)
        self.settings()
        if self.trial_seconds < LEAST_TRIAL_SECONDS:
            trials = self.trials or USUAL_TRIALS
            least = math.ceil(LEAST_TRIAL_SECONDS * trials / SEARCH_SHARE)
            raise UsageError(
                f"a budget of {self.budget:.0f} s leaves {self.trial_seconds:.1f} s for each of "
                f"{trials} trials, but one takes at least {LEAST_TRIAL_SECONDS:.0f} s, of which "
                f"measuring this machine takes about four. Give --budget {least}s or more, or "
                "fewer --trials."
            )

    @property
    def search_seconds(self) -> float:
        """Seconds for all trials."""
        return SEARCH_SHARE * self.budget

    @property
    def trial_seconds(self) -> float:
        """Seconds for a trial that is not stopped early."""
        return self.search_seconds / (self.trials or USUAL_TRIALS)

    @property
    def full_seconds(self) -> float:
        """Seconds for each of the full trainings."""
        return FULL_SHARE * self.budget

    def settings(self, budget: float | None = None) -> Settings:
        """Give the default settings, with a budget."""
        return Settings(budget=budget or self.full_seconds, seed=self.seed, limit=self.limit)


class SearchFolder:
    """The folder of a search.

    Args:
        path: the folder.
        is_new: whether it was made for this search.
    """

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        self.path = path
        self._is_new = is_new

    @classmethod
    def create(cls, path: Path | None, asked: Asked) -> Self:
        """Take a folder for a new search.

        Args:
            path: the folder, or None for `runs/<date>-<time>-tune`.
            asked: what the search is asked for.

        Raises:
            UsageError: the folder holds something, or cannot be written to.
        """
        record = {"status": "running", "space": SPACE_VERSION, "asked": asdict(asked)}
        folder, is_new = claim_folder(path, name="tune", file=SEARCH_FILE, record=record)
        return cls(folder, is_new=is_new)

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Open the folder of an interrupted search.

        Raises:
            ModelFileError: it is none, or another version of apparel began it.
            UsageError: the search is complete.
        """
        folder = cls(path)
        record = folder.record()
        if record.get("status") == "complete":
            raise UsageError(f"the search {path} is complete. Nothing is left to do.")
        if record.get("space") != SPACE_VERSION:
            raise ModelFileError(
                f"another version of apparel began the search {path}, in another search space. "
                "Resume it with that version, or begin the search once more."
            )
        return folder

    def asked(self) -> Asked:
        """Read what the search was asked for.

        Raises:
            ModelFileError: its file does not say.
        """
        with reading(self.path / SEARCH_FILE, "search asked for", "Begin it once more."):
            return Asked(**self.record()["asked"])

    def record(self) -> dict[str, Any]:
        """Read `tune.json`.

        Raises:
            ModelFileError: it cannot be read.
        """
        remedy = "Give a folder that `apparel tune` wrote."
        with reading(self.path / SEARCH_FILE, "search", remedy):
            return dict(read_json(self.path / SEARCH_FILE))

    def update(self, **values: object) -> None:
        """Add values to `tune.json`, or replace them."""
        write_json(self.path / SEARCH_FILE, {**self.record(), **values}, ascii=True)

    def end(self, status: str) -> bool:
        """Record how the search ended; one that tried nothing leaves no trace.

        Returns:
            Whether it can be resumed.
        """
        if "networks" in self.record():
            self.update(status=status)
            return True
        (self.path / SEARCH_FILE).unlink()
        drop_partial(self.path)
        if self._is_new and not any(self.path.iterdir()):
            self.path.rmdir()
        return False


def read_trials(search: Path) -> tuple[Trial, ...]:
    """Read every trial of a search that has begun to train, by number.

    Raises:
        ModelFileError: a file of a trial is broken.
    """
    folders = sorted(path.parent for path in (search / TRIALS).glob(f"*/{SETTINGS_FILE}"))
    trials = [trial for folder in folders if (trial := _read_trial(folder))]
    return tuple(sorted(trials, key=lambda trial: trial.number))


def _read_trial(folder: Path) -> Trial | None:
    """Read a trial; None where it had not begun to train."""
    path = folder / SETTINGS_FILE
    with reading(path, "trial of a search", "Begin the search once more."):
        settings = read_json(path)
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
            recipe={name: settings["recipe"][name] for name in _OF_TRIAL},
            accuracies=accuracies,
            seconds=seconds,
            directory=f"{TRIALS}/{folder.name}",
        )


def write_trials(search: Path, trials: Sequence[Trial]) -> None:
    """Write `trials.csv`, one row a trial."""
    header = ["number", "state", *_OF_TRIAL, "val_accuracy", "seconds", "epochs", "directory"]
    rows = (
        (
            trial.number,
            trial.state,
            *(trial.recipe[name] for name in _OF_TRIAL),
            trial.accuracy,
            round(sum(trial.seconds), 3),
            len(trial.seconds),
            trial.directory,
        )
        for trial in trials
    )
    write_csv(search / TRIALS_FILE, header, rows)
