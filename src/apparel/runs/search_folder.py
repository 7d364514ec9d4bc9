"""The folder of a search: what was asked for, how far it has come, and who works in it."""

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from apparel.core.atomic_files import claim, drop_partial, is_partial, write_text
from apparel.core.errors import ModelFileError, UsageError
from apparel.core.settings import Settings
from apparel.core.validation import checked_positive, whole_number
from apparel.runs.folder import locked, new_folder

SEARCH_FILE = "tune.json"
# Of the places and values in a search space: a search that began with others cannot go on.
SPACE_VERSION = 1
# Of the budget: for all trials, and for each of the two full trainings at the end.
SEARCH_SHARE, FULL_SHARE = 0.6, 0.2
USUAL_TRIALS = 12
# Measuring the machine takes some four seconds of each trial.
LEAST_TRIAL_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search is asked for.

    Attributes:
        source: the name or path of the data set.
        data_dir: a folder with the data set's files.
        budget: seconds of all training together.
        trials: how many trials there are at most; None for as many as the budget allows.
        seed: of everything random.
        limit: at most so many images of each split.
        ray: the address of a Ray cluster; None for this process.
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
        """For all trials."""
        return SEARCH_SHARE * self.budget

    @property
    def trial_seconds(self) -> float:
        """For a trial that is not stopped early."""
        return self.search_seconds / (self.trials or USUAL_TRIALS)

    @property
    def full_seconds(self) -> float:
        """For each of the full trainings."""
        return FULL_SHARE * self.budget

    def settings(self, budget: float | None = None) -> Settings:
        """Those of the default setting, with a budget."""
        return Settings(budget=budget or self.full_seconds, seed=self.seed, limit=self.limit)


class SearchFolder:
    """The folder of a search.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = False

    @classmethod
    def create(cls, path: Path | None, asked: Asked) -> Self:
        """Claim a folder for a new search.

        Args:
            path: the folder, or None for `runs/<date>-<time>-tune`.
            asked: what the search is asked for.

        Raises:
            UsageError: the folder holds something, or cannot be written to.
        """
        place = path or Path("runs")
        try:
            if path is None:
                folder, made = cls(new_folder("tune")), True
            else:
                folder, made = cls(path), not path.exists()
                folder._check_room()
                path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder.path).close()
            record = {"status": "running", "space": SPACE_VERSION, "asked": asdict(asked)}
            claim(folder.path / SEARCH_FILE, json.dumps(record, indent=2) + "\n")
        except OSError as error:
            raise UsageError(
                f"the folder {place} cannot be written: {error.strerror}. Name another with "
                "--run-dir."
            ) from error
        folder._made = made
        return folder

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Open the folder of a search that was broken off.

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
                f"another version of apparel began the search {path}, in another search space. Go "
                "on with that version, or begin the search once more."
            )
        return folder

    def asked(self) -> Asked:
        """What the search was asked for.

        Raises:
            ModelFileError: its file does not say.
        """
        try:
            return Asked(**self.record()["asked"])
        except (KeyError, TypeError, UsageError) as error:
            raise ModelFileError(
                f"{self.path / SEARCH_FILE} does not say what the search was to do ({error!r}). "
                "Begin it once more."
            ) from error

    def record(self) -> dict[str, Any]:
        """Read `tune.json`.

        Raises:
            ModelFileError: it cannot be read.
        """
        try:
            return dict(json.loads((self.path / SEARCH_FILE).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{self.path} holds no search: it has no readable {SEARCH_FILE}. Give a folder "
                "that `apparel tune` wrote."
            ) from error

    def note(self, **values: object) -> None:
        """Add values to `tune.json`, or replace them."""
        text = json.dumps({**self.record(), **values}, indent=2)
        write_text(self.path / SEARCH_FILE, text + "\n")

    def end(self, status: str) -> bool:
        """Record how the search ended; one that tried nothing leaves no trace.

        Returns:
            Whether there is something to go on with.
        """
        if "networks" in self.record():
            self.note(status=status)
            return True
        (self.path / SEARCH_FILE).unlink()
        drop_partial(self.path)
        if self._made and not any(self.path.iterdir()):
            self.path.rmdir()
        return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from going on with this search.

        Raises:
            ApparelError: another process is at work on it.
        """
        with locked(self.path):
            yield

    def _check_room(self) -> None:
        """Check that the folder is free.

        Raises:
            UsageError: it is not.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file. Name a folder with --run-dir.")
        if not self.path.exists() or all(is_partial(path) for path in self.path.iterdir()):
            return
        if is_search(self.path):
            complete = self.record().get("status") == "complete"
            go_on = "" if complete else f"Go on with it: apparel resume {self.path}. Or name "
            raise UsageError(
                f"{self.path} holds a search that is {'' if complete else 'not '}complete. "
                f"{go_on or 'Name '}another folder with --run-dir."
            )
        raise UsageError(f"the folder {self.path} is not empty. Name another with --run-dir.")


def is_search(path: Path) -> bool:
    """Whether a folder is that of a search."""
    return (path / SEARCH_FILE).is_file()
