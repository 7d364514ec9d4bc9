"""`metrics.json` and `predictions.csv`: how the test images were answered."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apparel.core.errors import ModelFileError
from apparel.core.records import Evaluation, Interval, TestedRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
FINISHED = "Give a folder that `apparel run` has finished."


def metrics(evaluation: Evaluation) -> dict[str, object]:
    """Lay an evaluation out as `metrics.json`: plain types, each figure with its interval."""
    abstention = evaluation.abstention
    return {
        "n": len(evaluation.true),
        "averaging": "macro",
        "confidence": 0.95,
        **{name: asdict(interval) for name, interval in evaluation.metrics.items()},
        "per_class": {
            scores.name: {
                "precision": asdict(scores.precision),
                "recall": asdict(scores.recall),
                "f1": asdict(scores.f1),
                "support": scores.support,
            }
            for scores in evaluation.per_class
        },
        "confusion_matrix": evaluation.confusion.tolist(),
        "calibration": {
            **asdict(evaluation.calibration),
            "expected_calibration_error_before": asdict(
                evaluation.reliability_before.expected_calibration_error
            ),
            "bins": [asdict(bin_) for bin_ in evaluation.reliability.bins],
        },
        "abstention": {
            "coverage": asdict(abstention.coverage) if abstention.coverage else None,
            "accuracy": asdict(abstention.accuracy) if abstention.accuracy else None,
        },
        "report": evaluation.report,
    }


def prediction_rows(evaluation: Evaluation) -> tuple[list[str], Iterator[tuple[object, ...]]]:
    """Lay an evaluation out as `predictions.csv`: the header, and a row for each image."""
    header = ["index", "true", "predicted", "confidence"]
    header += [f"p_{k}" for k in range(len(evaluation.class_names))]
    columns = (
        evaluation.true,
        evaluation.predicted,
        evaluation.probabilities.max(axis=1),
        evaluation.probabilities,
    )
    rows = (
        (index, true, predicted, _digits(sure), *map(_digits, row))
        for index, (true, predicted, sure, row) in enumerate(zip(*columns, strict=True))
    )
    return header, rows


def read_predictions(folder: Path) -> "tuple[NDArray[np.float32], NDArray[np.int64]]":
    """Read back the probabilities that a run's model gave to the test images, and the labels.

    Args:
        folder: the run directory.

    Returns:
        Shapes (n, k) and (n,).

    Raises:
        ModelFileError: there is no `predictions.csv`, or it is broken.
    """
    import numpy as np  # noqa: PLC0415  # --help has no time for it

    path = folder / PREDICTIONS_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        first = header.index("p_0")
        labels = np.array([row[header.index("true")] for row in rows], np.int64)
        return np.array([row[first:] for row in rows], np.float32), labels
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {FINISHED}") from error
    except (IndexError, ValueError) as error:
        raise ModelFileError(f"{path} holds no predictions ({error!r}). {FINISHED}") from error


def read_further_accuracies(folder: Path) -> dict[str, Interval]:
    """Read back the accuracies that predictions alone do not give.

    They are of probabilities averaged over changed copies, and without leaked images.

    Args:
        folder: the run directory.

    Raises:
        ModelFileError: there is no `metrics.json`, or it is broken.
    """
    path = folder / METRICS_FILE
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return {name: Interval(**x) for name, x in read.items() if name.startswith("accuracy_")}
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {FINISHED}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} holds no figures ({error!r}). {FINISHED}") from error


def read_tested_run(folder: Path, settings: Mapping[str, Any]) -> TestedRun:
    """Read what a run's model said of the test images.

    Args:
        folder: the run directory.
        settings: its `settings.json`.

    Raises:
        ModelFileError: there is no `predictions.csv`, it is broken, or the settings are those of
            an earlier version, which did not record the test images' hash.
    """
    import numpy as np  # noqa: PLC0415  # --help has no time for it

    path = folder / PREDICTIONS_FILE
    if "test_sha256" not in settings["dataset"]:
        raise ModelFileError(
            f"{folder} does not say which test images it was tested on: an earlier version of "
            "apparel wrote it. Run it once more."
        )
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(int(row["true"]), int(row["predicted"])) for row in csv.DictReader(file)]
        true, predicted = np.array(rows, np.int64).T
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {FINISHED}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} holds no predictions ({error!r}). {FINISHED}") from error
    setting = {key: value for key, value in settings["settings"].items() if key != "seed"}
    return TestedRun(
        name=folder.name,
        setting=json.dumps([setting, settings["dataset"]["sha256"]], sort_keys=True),
        true=true,
        predicted=predicted,
        class_names=tuple(settings["class_names"]),
        test_sha256=settings["dataset"]["test_sha256"],
    )


def _digits(number: "np.float32") -> str:
    """A float32 with the nine digits that give it back exactly."""
    return f"{number:.9g}"
