"""The run directory: every file that a run leaves behind, each written whole or not at all."""

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apparel.core.atomic_files import atomic_path, write_text
from apparel.core.records import (
    UNCALIBRATED,
    Calibration,
    DataCheck,
    Evaluation,
    Exported,
    History,
    LabelIssues,
    Novelty,
    Robustness,
    TestedRun,
)
from apparel.runs import files
from apparel.runs.files import (
    CHECK_FILE,
    EXPORT_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    STRESS_FILE,
    SUSPECTS_FILE,
)
from apparel.runs.run_state import RunState

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunDirectory(RunState):
    """A folder that records one run.

    Attributes:
        path: the folder.
    """

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

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Write `metrics.json` and `predictions.csv`."""
        self._write_json(METRICS_FILE, files.metrics(evaluation))
        self._write_csv(PREDICTIONS_FILE, *files.prediction_rows(evaluation))

    def tested(self) -> TestedRun:
        """Read back what `write_evaluation` wrote, as far as it is compared.

        Raises:
            ModelFileError: there is no such file, it is broken, or another version wrote it.
        """
        return files.read_tested_run(self.path, self.settings())

    def write_robustness(self, robustness: Robustness) -> None:
        """Write `stress.json`."""
        self._write_json(STRESS_FILE, files.robustness(robustness))

    def write_suspects(self, suspects: LabelIssues) -> Path:
        """Write `suspects_<split>.csv`."""
        name = SUSPECTS_FILE.format(split=suspects.split)
        self._write_csv(name, *files.suspect_rows(suspects))
        return self.path / name

    def suspects(self) -> tuple[LabelIssues, ...]:
        """Read back what `write_suspects` wrote, of each split that has it.

        Raises:
            ModelFileError: a file is broken.
        """
        return files.read_suspects(self.path, self.settings(), self.check())

    def write_check(self, check: DataCheck) -> None:
        """Write `check.json`."""
        write_text(self.path / CHECK_FILE, files.check_json(check))

    def check(self) -> DataCheck | None:
        """Read back what `write_check` wrote, or None where it wrote nothing.

        Raises:
            ModelFileError: the file is broken.
        """
        return files.read_check(self.path)

    def write_novelty(self, novelty: Novelty) -> None:
        """Write `novelty.npz`."""
        files.write_novelty(novelty, self.path)

    def novelty(self) -> Novelty | None:
        """Read back what `write_novelty` wrote, or None where it wrote nothing.

        Raises:
            ModelFileError: the file is broken.
        """
        return files.read_novelty(self.path)

    def write_export(self, exported: Exported) -> None:
        """Add a file that the model was written to, to `export.json`.

        Raises:
            ModelFileError: what is there is broken.
        """
        earlier = files.read_exports(self.path)
        write_text(self.path / EXPORT_FILE, files.export_json(earlier, exported))

    def robustness(self) -> Robustness | None:
        """Read back what `write_robustness` wrote, or None where it wrote nothing.

        Raises:
            ModelFileError: the file is broken.
        """
        return files.read_robustness(self.path)

    def write_figure(self, name: str, figure: "Figure") -> Path:
        """Write `plots/<name>.png`."""
        path = self.path / "plots" / f"{name}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=120)
        return path

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        write_text(self.path / name, text)

    def _write_csv(self, name: str, header: list[str], rows: Any) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        write_text(self.path / name, text.getvalue())
