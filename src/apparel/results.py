"""Evaluation → the contents of `metrics.json` and `predictions.csv`, and back to compare runs."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apparel.errors import ModelFileError
from apparel.records import (
    Attack,
    CorruptionCurve,
    Evaluation,
    Interval,
    LabelSuspects,
    Robustness,
    TestedRun,
)

if TYPE_CHECKING:
    import numpy as np

PREDICTIONS_FILE = "predictions.csv"
STRESS_FILE = "stress.json"


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


def robustness(robustness: Robustness) -> dict[str, object]:
    """Lay out accuracy on images made worse as `stress.json`: plain types."""
    return {
        "n": robustness.n_images,
        "confidence": 0.95,
        "accuracy": asdict(robustness.accuracy),
        "corruptions": {
            curve.name: {
                "unit": curve.unit,
                "strengths": list(curve.strengths),
                "accuracies": [asdict(accuracy) for accuracy in curve.accuracies],
            }
            for curve in robustness.curves
        },
        "attack": asdict(robustness.attack),
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


def read_robustness(folder: Path) -> Robustness | None:
    """Read back what `robustness` laid out, or None where the run was not stressed.

    Args:
        folder: the run directory.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / STRESS_FILE
    if not path.exists():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        attack = read["attack"]
        return Robustness(
            n_images=read["n"],
            accuracy=Interval(**read["accuracy"]),
            curves=tuple(
                CorruptionCurve(
                    name=name,
                    unit=curve["unit"],
                    strengths=tuple(curve["strengths"]),
                    accuracies=tuple(Interval(**accuracy) for accuracy in curve["accuracies"]),
                )
                for name, curve in read["corruptions"].items()
            ),
            attack=Attack(**{**attack, "accuracy": Interval(**attack["accuracy"])}),
        )
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} holds no robustness ({error!r}). Write it again with `apparel stress`."
        ) from error


def suspect_rows(suspects: LabelSuspects) -> tuple[list[str], Iterator[tuple[object, ...]]]:
    """Lay suspects out as a table: the header, and a row for each, the most suspicious first."""
    names = suspects.class_names
    rows = (
        (rank, index, names[given], names[suggested], f"{quality:.9g}")
        for rank, (index, given, suggested, quality) in enumerate(
            zip(
                suspects.indices,
                suspects.given,
                suspects.suggested,
                suspects.label_quality,
                strict=True,
            ),
            start=1,
        )
    )
    return ["rank", "index", "given", "suggested", "label_quality"], rows


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

    path, advice = folder / PREDICTIONS_FILE, "Give a folder that `apparel run` has finished."
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
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {advice}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} holds no predictions ({error!r}). {advice}") from error
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
