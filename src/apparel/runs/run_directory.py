"""The directory of one run: claimed, locked, and its `settings.json` kept up to date."""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from apparel.core.atomic_files import drop_partial, locked, write_json
from apparel.core.backend import NumberFormat, processor_name
from apparel.core.errors import ModelFileError, UsageError
from apparel.core.recipes import Plan, Recipe
from apparel.core.records import UNCALIBRATED, Calibration, History
from apparel.core.settings import Settings
from apparel.runs import files
from apparel.runs.checkpoints import CheckpointFolder
from apparel.runs.folder import (
    CHECKPOINTS,
    ENDED,
    SETTINGS_FILE,
    claim_folder,
    drop_checkpoints,
    drop_outcome,
    drop_results,
    is_outdated,
    is_resumable,
)
from apparel.runs.provenance import Provenance, versions

# Keys of `settings.json`: how often the test images were scored, and whether this run did.
TEST_EVALUATIONS, TESTED = "test_looks", "tested"
Status: TypeAlias = Literal["running", "trained", "complete", "interrupted", "failed", "stopped"]


class RunDirectory:
    """A folder that records one run. Its other files are read and written by `files`.

    Attributes:
        path: the folder.
        request: what was asked for besides the settings: `source`, `data_dir`, `save`, `trial`,
            `workers` and `ray`, as far as given. Empty where an earlier run is only read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.request: Mapping[str, Any] = {}
        # Whether to remove folder and settings if the run fails before training.
        self._made_folder = self._claimed = False
        self._started = False
        self._locks = 0
        # An interrupted evaluation of the test set is the same one when it is repeated.
        self._evaluation_counts = True

    @classmethod
    def create(
        cls,
        path: "str | os.PathLike[str] | Self | None",
        *,
        name: str,
        overwrite: bool = False,
        request: Mapping[str, object] | None = None,
    ) -> Self:
        """Claim a folder for a new run.

        An earlier run that is to be replaced stays until `write_settings`: until then, wrong
        arguments or missing data cost nothing.

        Args:
            path: the folder, or None for `runs/<date>-<time>-<name>`; a directory that was
                made before is returned as it is.
            name: end of the folder's own name, usually the model.
            overwrite: whether an earlier run may be replaced.
            request: what is asked for, in values that JSON knows: `settings`, `source` and what
                else helps to resume a run that was interrupted before it trained.

        Returns:
            The new directory.

        Raises:
            UsageError: the folder holds something and may not be replaced, holds something
                that is no run, or cannot be written to.
        """
        if isinstance(path, RunDirectory):
            return path
        asked = dict(request or {})
        is_replaced = overwrite and path is not None and Path(path, SETTINGS_FILE).exists()
        folder, made = claim_folder(
            None if path is None else Path(path),
            name=name,
            file=SETTINGS_FILE,
            record={"status": "running", **asked},
            overwrite=overwrite,
        )
        run = cls(folder)
        run.request, run._made_folder, run._claimed = asked, made, not is_replaced
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, needs: str | None = None) -> Self:
        """Open the directory of an earlier run.

        Args:
            path: the folder.
            needs: name of a file that a run gets late.

        Raises:
            ModelFileError: it is not one, or is interrupted and does not have that file yet.
        """
        run = cls(path)
        record = run.settings()
        goes_on = is_resumable(record) and not is_outdated(record)
        if needs and goes_on and not (run.path / needs).exists():
            raise ModelFileError(
                f"the run {run.path} is not finished: it has no {needs} yet. Finish it with: "
                f"apparel resume {run.path}"
            )
        return run

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Self:
        """Open the directory of an interrupted run, to resume it.

        Raises:
            ModelFileError: it is no run directory, its request was never recorded, or an older
                version began it.
            UsageError: the run is complete.
        """
        run = cls(path)
        run._take_over()
        return run

    def _take_over(self) -> dict[str, Any]:
        """Read the progress of an interrupted run.

        Raises:
            ModelFileError: it is no run directory, its request was never recorded, or an older
                version began it.
            UsageError: the run is complete.
        """
        record = self.read()
        if record.get("status") in ENDED:
            raise UsageError(f"the run {self.path} is {record['status']}. Nothing is left to do.")
        if not is_resumable(record):
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} does not say what the run was to do. Begin it once "
                "more: apparel run --overwrite."
            )
        if is_outdated(record):
            raise ModelFileError(
                f"the run {self.path} was begun by an older version of apparel, which drew other "
                "splits. Train again."
            )
        named = ("source", "data_dir", "save", "trial", "workers", "ray")
        self.request = {name: record[name] for name in named if name in record}
        self._started = "dataset" in record
        self._evaluation_counts = not record.get(TESTED, False)
        return record

    # -- settings.json -----------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Read `settings.json` as far as it is written.

        Raises:
            ModelFileError: there is no readable settings file.
        """
        try:
            return dict(files.read_json(self.path / SETTINGS_FILE))
        except (OSError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{self.path} is not a run directory: it has no readable {SETTINGS_FILE}. "
                "Give a folder that `apparel run` wrote."
            ) from error

    def settings(self) -> dict[str, Any]:
        """Read what `write_settings` wrote.

        Raises:
            ModelFileError: there is no readable settings file, or training has not begun.
        """
        read = self.read()
        missing = {"settings", "dataset", "class_names", "img_shape"} - set(read)
        if missing:
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} does not describe a run: it lacks "
                f"{', '.join(sorted(missing))}. Give a folder that `apparel run` wrote, or finish "
                f"it: apparel resume {self.path}"
            )
        return read

    def calibration(self) -> Calibration:
        """Read the calibration; one that changes nothing where there is none.

        Raises:
            ModelFileError: there is no readable settings file, or its calibration is broken.
        """
        with files.reading(self.path / SETTINGS_FILE, "calibration", "Train again."):
            chosen = self.settings().get("calibration")
            return Calibration(**chosen) if chosen else UNCALIBRATED

    def update(self, **values: object) -> None:
        """Add values to `settings.json`, or replace them."""
        path = self.path / SETTINGS_FILE
        write_json(path, {**files.read_json(path), **values})

    @property
    def can_resume(self) -> bool:
        """True if there is a run that is interrupted or still going on."""
        try:
            return is_resumable(self.read())
        except ModelFileError:
            return False

    @property
    def is_complete(self) -> bool:
        """True if there is a complete run."""
        try:
            return bool(self.read().get("status") == "complete")
        except ModelFileError:
            return False

    # -- from the first step of a run to its end -----------------------------------------

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from working on this run; may be nested.

        Raises:
            ApparelError: another process is at work on it.
        """
        with nullcontext() if self._locks else locked(self.path):
            self._locks += 1
            try:
                yield
            finally:
                self._locks -= 1

    def provenance(self) -> tuple[Settings, Provenance | None]:
        """Read what was asked for, and how training began, if it had begun.

        To be called with the lock: until then, another process may have resumed the run.

        Raises:
            ModelFileError: that cannot be read, or nothing can be resumed from it.
            UsageError: the run is complete.
        """
        record = self._take_over()
        try:
            settings = Settings(**record["settings"])
        except (TypeError, UsageError) as error:
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} holds settings that this version does not know "
                f"({error}). Resume it with the version that began, or train once more."
            ) from error
        if not self._started:
            return settings, None
        if record.get("continues") and not self.checkpoints().exist:
            raise ModelFileError(
                f"{self.path} trained a model that had been trained before, and was interrupted "
                "before its first checkpoint. Train once more."
            )
        return settings, Provenance.of(record)

    def checkpoints(self) -> CheckpointFolder:
        """Open the checkpoints of the training that `write_settings` began."""
        record = self.settings()
        names = ("started", "settings", "recipe", "plan", "number_format", "dataset")
        text = json.dumps([record[name] for name in names], sort_keys=True)
        training = hashlib.sha256(text.encode()).hexdigest()
        return CheckpointFolder(self.path / CHECKPOINTS, training)

    def drop_outcome(self) -> None:
        """Delete what an interrupted run made after training, to make it anew."""
        drop_partial(self.path)
        drop_outcome(self.path)
        self.update(status="running")

    def write_settings(
        self,
        settings: Settings,
        *,
        recipe: Recipe,
        plan: Plan | None,
        number_format: NumberFormat,
        dataset: Mapping[str, object],
        class_names: Sequence[str],
        img_shape: Sequence[int],
        can_resume: bool = True,
    ) -> None:
        """Begin a training: drop the results of an earlier one and write `settings.json`.

        The number of test-set evaluations is kept where this run trains once more. Where the
        images are not those of a source, the run cannot be resumed later.
        """
        evaluations = self.settings().get(TEST_EVALUATIONS, 0) if self._started else 0
        # A second training starts from the weights of the first, which only its checkpoints hold.
        continues = self._started
        self._started = True
        record = {
            **(self.request if can_resume else {}),
            "status": "running",
            "continues": continues,
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "settings": asdict(settings),
            "recipe": asdict(recipe),
            "plan": asdict(plan) if plan else None,
            "number_format": asdict(number_format),
            "dataset": dataset,
            "class_names": list(class_names),
            "img_shape": list(img_shape),
            "versions": versions(),
            "processor": processor_name(),
            "platform": platform.platform(),
            TEST_EVALUATIONS: evaluations,
        }
        write_json(self.path / SETTINGS_FILE, record)
        # Only now: a folder that says complete must be so, whenever this process is killed.
        drop_results(self.path)

    def write_history(
        self,
        history: History,
        calibration: Calibration | None = None,
        weights_sha256: str | None = None,
    ) -> None:
        """Write `history.csv`, and what follows from training into `settings.json`.

        Args:
            history: names the epoch whose weights were kept.
            calibration: fitted on validation images; None where there were none.
            weights_sha256: of the weights of the finished model.
        """
        files.write_history(self.path, history)
        self.update(
            restored_epoch=history.restored_epoch,
            calibration=asdict(calibration) if calibration else None,
            weights_sha256=weights_sha256,
        )

    def write_status(self, status: Status) -> None:
        """Record the progress of the run, or how it ended.

        A run that recorded nothing before leaves no trace, and an earlier run as it was.
        """
        if self._started:
            self.update(status=status)
            if status in ENDED:
                drop_checkpoints(self.path)
            return
        if self._claimed:
            (self.path / SETTINGS_FILE).unlink(missing_ok=True)
        if self._made_folder and not any(self.path.iterdir()):
            self.path.rmdir()

    def count_test_evaluation(self) -> int:
        """Record that the test images are scored, and return how often they were."""
        count = int(self.settings().get(TEST_EVALUATIONS, 0)) + self._evaluation_counts
        self._evaluation_counts = True
        self.update(**{TEST_EVALUATIONS: count}, **({TESTED: True} if self._started else {}))
        return count
