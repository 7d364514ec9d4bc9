"""The run directory: every file that a run leaves behind, each written whole or not at all."""

import csv
import importlib.metadata
import io
import itertools
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from apparel import results
from apparel.backend import NumberFormat, processor_name
from apparel.errors import ModelFileError, UsageError
from apparel.files import atomic_path, write_text
from apparel.formats import default_files, default_name
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
    NOVELTY_FILE,
    PREDICTIONS_FILE,
    STRESS_FILE,
    SUSPECTS_FILE,
)
from apparel.settings import Plan, Recipe, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL_FILE = "refactored_fashion_cnn.keras"
IMAGES_FILE = "images.csv"
SETTINGS_FILE = "settings.json"
TEST_LOOKS = "test_looks"
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

    @classmethod
    def create(
        cls,
        path: "str | os.PathLike[str] | RunDirectory | None",
        *,
        name: str,
        overwrite: bool = False,
    ) -> "RunDirectory":
        """Claim a folder for a new run.

        An earlier run that is to be replaced stays until `write_settings`: until then, wrong
        arguments or missing data cost nothing.

        Args:
            path: the folder, or None for `runs/<date>-<time>-<name>`; a directory that was
                made before is given back.
            name: what the folder's own name ends in, usually the model.
            overwrite: whether a run that is there already may be replaced.

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
                folder, made = _new_folder(name), True
            else:
                made = not folder.exists()
                _check_room(folder, overwrite=overwrite)
                folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder)
            run._made_folder, run._claimed = made, not (folder / SETTINGS_FILE).exists()
            if run._claimed:
                # Made exclusively: of two runs that want this folder, one gets it.
                with (folder / SETTINGS_FILE).open("x", encoding="utf-8") as file:
                    file.write('{"status": "running"}\n')
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

    def settings(self) -> dict[str, Any]:
        """Read back what `write_settings` wrote.

        Raises:
            ModelFileError: there is no readable settings file.
        """
        try:
            read: dict[str, Any] = dict(
                json.loads((self.path / SETTINGS_FILE).read_text(encoding="utf-8"))
            )
        except (OSError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{self.path} is not a run directory: it has no readable {SETTINGS_FILE}. "
                "Give a folder that `apparel run` wrote."
            ) from error
        missing = {"settings", "dataset", "class_names", "img_shape"} - set(read)
        if missing:
            raise ModelFileError(
                f"{self.path / SETTINGS_FILE} does not describe a run: it lacks "
                f"{', '.join(sorted(missing))}. Give a folder that `apparel run` wrote."
            )
        return read

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
        _drop_results(self.path)
        self._started = True
        self._write_json(
            SETTINGS_FILE,
            {
                "status": "running",
                "started": datetime.now().astimezone().isoformat(timespec="seconds"),
                "settings": asdict(settings),
                "recipe": asdict(recipe),
                "plan": asdict(plan) if plan else None,
                "number_format": asdict(number_format),
                "dataset": dataset,
                "class_names": list(class_names),
                "img_shape": list(img_shape),
                "versions": {
                    "python": platform.python_version(),
                    **{name: version for name in PACKAGES if (version := _version(name))},
                },
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
            return
        if self._claimed:
            path.unlink(missing_ok=True)
        if self._made_folder and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_history(self, history: History, calibration: Calibration | None = None) -> None:
        """Write `history.csv`, one row an epoch, and what became of the weights.

        Args:
            history: names the epoch whose weights were kept.
            calibration: what validation images chose; None where they were not asked.
        """
        names = list(history.history)
        columns = (history.history[name] for name in names)
        rows = zip(range(1, history.epochs + 1), *columns, history.seconds, strict=True)
        self._write_csv(HISTORY_FILE, ["epoch", *names, "seconds"], rows)
        self._record(
            restored_epoch=history.restored_epoch,
            calibration=asdict(calibration) if calibration else None,
        )

    def calibration(self) -> Calibration:
        """Read back what validation images chose; nothing where they were not asked."""
        chosen = self.settings().get("calibration")
        return Calibration(**chosen) if chosen else UNCALIBRATED

    def count_test_look(self) -> int:
        """Record that the test images are scored, and say for the how many-th time."""
        looks = int(self.settings().get(TEST_LOOKS, 0)) + 1
        self._record(**{TEST_LOOKS: looks})
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


def _new_folder(name: str) -> Path:
    """Make a folder of its own under `runs`: `<date>-<time>-<name>`."""
    stem = f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}-{name}"
    for number in itertools.count(1):
        folder = Path("runs", stem if number == 1 else f"{stem}-{number}")
        # Two runs may start in the same second: whoever makes the folder has it.
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


def _check_room(folder: Path, *, overwrite: bool) -> None:
    """Check that a folder is free for a run, or holds one that may be replaced.

    Raises:
        UsageError: it is not.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file. Name a folder with --run-dir.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise UsageError(
            f"the run directory {folder} is not empty. Name another with --run-dir, or replace "
            "that run with --overwrite."
        )
    if not (folder / SETTINGS_FILE).is_file():
        raise UsageError(
            f"{folder} holds files but is no run directory, so it is not overwritten. "
            "Name another with --run-dir."
        )


def _drop_results(folder: Path) -> None:
    """Delete what an earlier training left in a run directory, and nothing else."""
    suspects = (SUSPECTS_FILE.format(split=split) for split in ("train", "test"))
    names = (CHECK_FILE, EXPORT_FILE, HISTORY_FILE, IMAGES_FILE, METRICS_FILE, NOVELTY_FILE,
             PREDICTIONS_FILE, STRESS_FILE, *suspects, "report.html", "README.md", MODEL_FILE,
             *default_files())  # fmt: skip
    for path in (*(folder / name for name in names), *(folder / "plots").glob("*.png")):
        path.unlink(missing_ok=True)
    saved_model = folder / default_name("saved_model")
    if saved_model.is_dir() and not saved_model.is_symlink():
        shutil.rmtree(saved_model)


def _version(distribution: str) -> str | None:
    """The installed version of a distribution, if it is there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
