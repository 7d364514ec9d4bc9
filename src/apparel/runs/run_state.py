"""How far a run has come: its folder is claimed, its training begins, it ends, or goes on."""

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from apparel.core.atomic_files import claim, drop_partial, write_text
from apparel.core.backend import NumberFormat, processor_name
from apparel.core.errors import ModelFileError, UsageError
from apparel.core.settings import Plan, Recipe, Settings
from apparel.runs.checkpoints import CheckpointFolder
from apparel.runs.folder import (
    CHECKPOINTS,
    SETTINGS_FILE,
    check_room,
    drop_checkpoints,
    drop_outcome,
    drop_results,
    locked,
    new_folder,
)
from apparel.runs.provenance import Begun, versions

TEST_LOOKS = "test_looks"
# Whether the run itself has scored the test images.
TESTED = "tested"
Status: TypeAlias = Literal["running", "trained", "complete", "interrupted", "failed", "stopped"]
# Of a run that nobody goes on with: it came to its end, or a search ended it as a poor trial.
ENDED = ("complete", "stopped")


class RunState:
    """The course of a run, and the folder that records it.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # What to take back if the run ends before it has anything to record.
        self._made_folder = False
        self._claimed = False
        self._started = False
        self._request: dict[str, Any] = {}
        self._locks = 0
        # A look at the test images that was broken off is the same one when it is repeated.
        self._look_counts = True

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
                made before is given back.
            name: what the folder's own name ends in, usually the model.
            overwrite: whether a run that is there already may be replaced.
            request: what is asked for, in values that JSON knows: `settings`, `source` and what
                else helps to go on with a run that was broken off before it trained.

        Returns:
            The new directory.

        Raises:
            UsageError: the folder holds something and may not be replaced, holds something
                that is no run, or cannot be written to.
        """
        if isinstance(path, RunState):
            return path
        folder = Path(path if path is not None else "runs")
        try:
            if path is None:
                folder, made = new_folder(name), True
            else:
                made = not folder.exists()
                check_room(folder, overwrite=overwrite, can_resume=cls(folder).can_resume)
                folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder)
            run._request = dict(request or {})
            run._made_folder, run._claimed = made, not (folder / SETTINGS_FILE).exists()
            if run._claimed:
                # Of two runs that want this folder, one gets it.
                claimed = json.dumps({"status": "running", **run._request})
                claim(folder / SETTINGS_FILE, claimed + "\n")
            else:
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UsageError(
                f"the run directory {folder} cannot be written: {error.strerror}. "
                "Name another with --run-dir."
            ) from error
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the directory of an earlier run.

        Raises:
            ModelFileError: it is not one.
        """
        run = cls(path)
        run.settings()
        return run

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Self:
        """Open the directory of a run that was broken off, to go on with it.

        Raises:
            ModelFileError: it is none, or was broken off before it said what it was to do.
            UsageError: the run is complete.
        """
        run = cls(path)
        run._take_over()
        return run

    def _take_over(self) -> dict[str, Any]:
        """Read how far a run has come that was broken off.

        Raises:
            ModelFileError: it is none, or was broken off before it said what it was to do.
            UsageError: the run is complete.
        """
        record = self._read()
        if record.get("status") in ENDED:
            raise UsageError(f"the run {self.path} is {record['status']}. Nothing is left to do.")
        if not {"settings", "source"} <= set(record):
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} does not say what the run was to do. Begin it once "
                "more: apparel run --overwrite."
            )
        named = ("source", "data_dir", "save", "trial", "workers", "ray")
        self._request = {name: record[name] for name in named if name in record}
        self._started = "dataset" in record
        self._look_counts = not record.get(TESTED, False)
        return record

    @property
    def can_resume(self) -> bool:
        """Whether there is a run that was broken off, or is still going on."""
        try:
            record = self._read()
        except ModelFileError:
            return False
        return {"settings", "source"} <= set(record) and record.get("status") not in ENDED

    @property
    def is_complete(self) -> bool:
        """Whether there is a run that has come to its end."""
        try:
            return bool(self._read().get("status") == "complete")
        except ModelFileError:
            return False

    @property
    def request(self) -> Mapping[str, Any]:
        """What was asked for, beside the settings: `source`, `data_dir`, `save`, and where."""
        return self._request

    @property
    def trial(self) -> Mapping[str, Any] | None:
        """Which trial of a search it is, and what was chosen for it; None where it is none."""
        trial: Mapping[str, Any] | None = self._read().get("trial")
        return trial

    def begun(self) -> tuple[Settings, Begun | None]:
        """What was asked for, and how training began, if it had begun.

        To be called with the lock: until then, another process may have gone on with the run.

        Raises:
            ModelFileError: that cannot be read, or nothing can go on from it.
            UsageError: the run is complete.
        """
        record = self._take_over()
        try:
            settings = Settings(**record["settings"])
        except (TypeError, UsageError) as error:
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} holds settings that this version does not know "
                f"({error}). Go on with the version that began, or train once more."
            ) from error
        if not self._started:
            return settings, None
        if record.get("continues") and not self.checkpoints().exist:
            raise ModelFileError(
                f"{self.path} trained a model that had been trained before, and was broken off "
                "before its first checkpoint. Train once more."
            )
        return settings, Begun.of(record)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from going on with this run; may be nested.

        Raises:
            ApparelError: another process is at work on it.
        """
        self._locks += 1
        try:
            if self._locks > 1:
                yield
                return
            with locked(self.path):
                yield
        finally:
            self._locks -= 1

    def checkpoints(self) -> CheckpointFolder:
        """The checkpoints of the training that `write_settings` began."""
        record = self.settings()
        names = ("started", "settings", "recipe", "plan", "number_format", "dataset")
        text = json.dumps([record[name] for name in names], sort_keys=True)
        training = hashlib.sha256(text.encode()).hexdigest()
        return CheckpointFolder(self.path / CHECKPOINTS, training)

    def drop_outcome(self) -> None:
        """Take back what a run that was broken off made after training, to make it anew."""
        drop_partial(self.path)
        drop_outcome(self.path)
        self._record(status="running")

    def settings(self) -> dict[str, Any]:
        """Read back what `write_settings` wrote.

        Raises:
            ModelFileError: there is no readable settings file.
        """
        read = self._read()
        missing = {"settings", "dataset", "class_names", "img_shape"} - set(read)
        if missing:
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} does not describe a run: it lacks "
                f"{', '.join(sorted(missing))}. Give a folder that `apparel run` wrote, or finish "
                f"it: apparel resume {self.path}"
            )
        return read

    def _read(self) -> dict[str, Any]:
        """Read `settings.json`, however far the run has come.

        Raises:
            ModelFileError: there is no readable settings file.
        """
        try:
            return dict(json.loads((self.path / SETTINGS_FILE).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{self.path} is not a run directory: it has no readable {SETTINGS_FILE}. "
                "Give a folder that `apparel run` wrote."
            ) from error

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

        How often the test images were scored is not forgotten where this run trains once more.
        Where the images are not those of a source, nobody can go on with it later.
        """
        looks = self.settings().get(TEST_LOOKS, 0) if self._started else 0
        # A second training goes on from the weights of the first, which its checkpoints alone hold.
        continues = self._started
        self._started = True
        self._write_json(
            SETTINGS_FILE,
            {
                **(self._request if can_resume else {}),
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
                TEST_LOOKS: looks,
            },
        )
        # Only now: a folder that says complete must be so, whenever this process is killed.
        drop_results(self.path)

    def write_status(self, status: Status) -> None:
        """Record how far the run has come, or how it ended.

        A run that recorded nothing before leaves no trace, and an earlier run as it was.
        """
        path = self.path / SETTINGS_FILE
        if self._started:
            self._record(status=status)
            if status in ENDED:
                drop_checkpoints(self.path)
            return
        if self._claimed:
            path.unlink(missing_ok=True)
        if self._made_folder and not any(self.path.iterdir()):
            self.path.rmdir()

    def count_test_look(self) -> int:
        """Record that the test images are scored, and say for the how many-th time."""
        looks = int(self.settings().get(TEST_LOOKS, 0)) + (1 if self._look_counts else 0)
        self._look_counts = True
        self._record(**{TEST_LOOKS: looks}, **({TESTED: True} if self._started else {}))
        return looks

    def _record(self, **values: object) -> None:
        """Add values to `settings.json`, or replace them."""
        settings = json.loads((self.path / SETTINGS_FILE).read_text(encoding="utf-8"))
        self._write_json(SETTINGS_FILE, {**settings, **values})

    def _write_json(self, name: str, value: object) -> None:
        write_text(self.path / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
