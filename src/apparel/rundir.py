"""The run directory: every file that a run leaves behind, each written whole or not at all."""

import csv
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from apparel import results
from apparel.backend import NumberFormat, processor_name
from apparel.begun import Begun
from apparel.checkpoints import CheckpointFolder
from apparel.errors import ModelFileError, UsageError
from apparel.files import atomic_path, claim, drop_partial, write_text
from apparel.records import (
    UNCALIBRATED,
    Calibration,
    DataCheck,
    Evaluation,
    Exported,
    History,
    LabelSuspects,
    Novelty,
    Robustness,
    TestedRun,
)
from apparel.results import (
    CHECK_FILE,
    EXPORT_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    STRESS_FILE,
    SUSPECTS_FILE,
)
from apparel.run_folder import (
    CHECKPOINTS,
    SETTINGS_FILE,
    check_room,
    drop_checkpoints,
    drop_outcome,
    drop_results,
    locked,
    new_folder,
)
from apparel.settings import Plan, Recipe, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_LOOKS = "test_looks"
# Whether the run itself has scored the test images.
TESTED = "tested"
PACKAGES = ("apparel", "keras", "tensorflow", "tensorflow-cpu", "torch", "jax", "numpy",
            "scipy", "scikit-learn", "onnx", "onnxruntime")  # fmt: skip

Status: TypeAlias = Literal["running", "trained", "complete", "interrupted", "failed"]


class RunDirectory:
    """A folder that records one run.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # What to take back if the run ends before it has anything to record.
        self._made_folder = False
        self._claimed = False
        self._started = False
        self._request: dict[str, object] = {}
        self._locks = 0
        # A look at the test images that was broken off is the same one when it is repeated.
        self._look_counts = True

    @classmethod
    def create(
        cls,
        path: "str | os.PathLike[str] | RunDirectory | None",
        *,
        name: str,
        overwrite: bool = False,
        request: Mapping[str, object] | None = None,
    ) -> "RunDirectory":
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
        if isinstance(path, RunDirectory):
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
    def open(cls, path: str | os.PathLike[str]) -> "RunDirectory":
        """Open the directory of an earlier run.

        Raises:
            ModelFileError: it is not one.
        """
        run = cls(path)
        run.settings()
        return run

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> "RunDirectory":
        """Open the directory of a run that was broken off, to go on with it.

        Raises:
            ModelFileError: it is none, or was broken off before it said what it was to do.
            UsageError: the run is complete.
        """
        run = cls(path)
        record = run._read()
        if record.get("status") == "complete":
            raise UsageError(f"the run {run.path} is complete. Nothing is left to do.")
        if not {"settings", "source"} <= set(record):
            raise ModelFileError(
                f"{run.path / SETTINGS_FILE} does not say what the run was to do. Begin it once "
                "more: apparel run --overwrite."
            )
        run._request = {
            name: record[name] for name in ("source", "data_dir", "save") if name in record
        }
        run._claimed = False
        run._started = "dataset" in record
        run._look_counts = not record.get(TESTED, False)
        return run

    @property
    def can_resume(self) -> bool:
        """Whether there is a run that was broken off, or is still going on."""
        try:
            record = self._read()
        except ModelFileError:
            return False
        return {"settings", "source"} <= set(record) and record.get("status") != "complete"

    @property
    def request(self) -> Mapping[str, object]:
        """What was asked for, beside the settings: `source`, `data_dir`, `save`."""
        return self._request

    def begun(self) -> tuple[Settings, Begun | None]:
        """What was asked for, and how training began, if it had begun.

        Raises:
            ModelFileError: that cannot be read, or nothing can go on from it.
        """
        record = self._read()
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
        what = [record[name] for name in ("recipe", "plan", "number_format", "dataset")]
        text = json.dumps([*what, record["settings"]["seed"]], sort_keys=True)
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
    ) -> None:
        """Begin a training: drop the results of an earlier one and write `settings.json`.

        How often the test images were scored is not forgotten where this run trains once more.
        """
        looks = self.settings().get(TEST_LOOKS, 0) if self._started else 0
        drop_results(self.path)
        # A second training goes on from the weights of the first, which its checkpoints alone hold.
        continues = self._started
        self._started = True
        self._write_json(
            SETTINGS_FILE,
            {
                **self._request,
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

    def write_status(self, status: Status) -> None:
        """Record how far the run has come, or how it ended.

        A run that recorded nothing before leaves no trace, and an earlier run as it was.
        """
        path = self.path / SETTINGS_FILE
        if self._started:
            self._record(status=status)
            if status == "complete":
                drop_checkpoints(self.path)
            return
        if self._claimed:
            path.unlink(missing_ok=True)
        if self._made_folder and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_history(
        self,
        history: History,
        calibration: Calibration | None = None,
        weights_sha256: str | None = None,
    ) -> None:
        """Write `history.csv`, one row an epoch, and what became of the weights.

        Args:
            history: names the epoch whose weights were kept.
            calibration: what validation images chose; None where they were not asked.
            weights_sha256: of the weights of the finished model.
        """
        names = list(history.history)
        columns = (history.history[name] for name in names)
        rows = zip(range(1, history.epochs + 1), *columns, history.seconds, strict=True)
        self._write_csv(HISTORY_FILE, ["epoch", *names, "seconds"], rows)
        self._record(
            restored_epoch=history.restored_epoch,
            calibration=asdict(calibration) if calibration else None,
            weights_sha256=weights_sha256,
        )

    def calibration(self) -> Calibration:
        """Read back what validation images chose; nothing where they were not asked."""
        chosen = self.settings().get("calibration")
        return Calibration(**chosen) if chosen else UNCALIBRATED

    def count_test_look(self) -> int:
        """Record that the test images are scored, and say for the how many-th time."""
        looks = int(self.settings().get(TEST_LOOKS, 0)) + (1 if self._look_counts else 0)
        self._look_counts = True
        self._record(**{TEST_LOOKS: looks}, **({TESTED: True} if self._started else {}))
        return looks

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Write `metrics.json` and `predictions.csv`."""
        self._write_json(METRICS_FILE, results.metrics(evaluation))
        self._write_csv(PREDICTIONS_FILE, *results.prediction_rows(evaluation))

    def tested(self) -> TestedRun:
        """Read back what `write_evaluation` wrote, as far as it is compared.

        Raises:
            ModelFileError: there is no such file, it is broken, or another version wrote it.
        """
        return results.read_tested_run(self.path, self.settings())

    def write_robustness(self, robustness: Robustness) -> None:
        """Write `stress.json`."""
        self._write_json(STRESS_FILE, results.robustness(robustness))

    def write_suspects(self, suspects: LabelSuspects) -> Path:
        """Write `suspects_<split>.csv`."""
        name = SUSPECTS_FILE.format(split=suspects.split)
        self._write_csv(name, *results.suspect_rows(suspects))
        return self.path / name

    def suspects(self) -> tuple[LabelSuspects, ...]:
        """Read back what `write_suspects` wrote, of each split that has it.

        Raises:
            ModelFileError: a file is broken.
        """
        return results.read_suspects(self.path, self.settings(), self.check())

    def write_check(self, check: DataCheck) -> None:
        """Write `check.json`."""
        write_text(self.path / CHECK_FILE, results.check_json(check))

    def check(self) -> DataCheck | None:
        """Read back what `write_check` wrote, or None where it wrote nothing.

        Raises:
            ModelFileError: the file is broken.
        """
        return results.read_check(self.path)

    def write_novelty(self, novelty: Novelty) -> None:
        """Write `novelty.npz`."""
        results.write_novelty(novelty, self.path)

    def novelty(self) -> Novelty | None:
        """Read back what `write_novelty` wrote, or None where it wrote nothing.

        Raises:
            ModelFileError: the file is broken.
        """
        return results.read_novelty(self.path)

    def write_export(self, exported: Exported) -> None:
        """Add a file that the model was written to, to `export.json`.

        Raises:
            ModelFileError: what is there is broken.
        """
        earlier = results.read_exports(self.path)
        write_text(self.path / EXPORT_FILE, results.export_json(earlier, exported))

    def robustness(self) -> Robustness | None:
        """Read back what `write_robustness` wrote, or None where it wrote nothing.

        Raises:
            ModelFileError: the file is broken.
        """
        return results.read_robustness(self.path)

    def write_figure(self, name: str, figure: "Figure") -> Path:
        """Write `plots/<name>.png`."""
        path = self.path / "plots" / f"{name}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=120)
        return path

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        write_text(self.path / name, text)

    def _record(self, **values: object) -> None:
        """Add values to `settings.json`, or replace them."""
        settings = json.loads((self.path / SETTINGS_FILE).read_text(encoding="utf-8"))
        self._write_json(SETTINGS_FILE, {**settings, **values})

    def _write_json(self, name: str, value: object) -> None:
        write_text(self.path / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def _write_csv(self, name: str, header: list[str], rows: Any) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        write_text(self.path / name, text.getvalue())


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide what training computes."""
    found = {name: version for name in PACKAGES if (version := _version(name))}
    return {"python": platform.python_version(), **found}


def _version(distribution: str) -> str | None:
    """The installed version of a distribution, if it is there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
