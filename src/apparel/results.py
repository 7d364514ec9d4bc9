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
    CheckedImage,
    CopiedImage,
    CorruptionCurve,
    DataCheck,
    Evaluation,
    History,
    Interval,
    LabelSuspects,
    Robustness,
    TestedRun,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HISTORY_FILE = "history.csv"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
FINISHED = "Give a folder that `apparel run` has finished."
STRESS_FILE = "stress.json"
SUSPECTS_FILE = "suspects_{split}.csv"
CHECK_FILE = "check.json"


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


def read_suspects(
    folder: Path, settings: Mapping[str, Any], check: DataCheck | None
) -> tuple[LabelSuspects, ...]:
    """Read back what `suspect_rows` laid out, of each split that was searched.

    Args:
        folder: the run directory.
        settings: its `settings.json`.
        check: of its images, which also counts those that were not trained on; None without one.

    Raises:
        ModelFileError: a file is broken.
    """
    import numpy as np  # noqa: PLC0415  # --help has no time for it

    found = []
    names, counts = settings["class_names"], settings["dataset"]["images_per_class"]
    if check:
        counts = {"validation": [], **check.images_per_class}
    n_images = {
        "train": sum(counts["training"]) + sum(counts["validation"]),
        "test": sum(counts["test"]),
    }
    for split in ("train", "test"):
        path = folder / SUSPECTS_FILE.format(split=split)
        if not path.exists():
            continue
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            found.append(
                LabelSuspects(
                    split="train" if split == "train" else "test",
                    n_images=n_images[split],
                    class_names=tuple(names),
                    indices=np.array([row["index"] for row in rows], np.int64),
                    given=np.array([names.index(row["given"]) for row in rows], np.int64),
                    suggested=np.array([names.index(row["suggested"]) for row in rows], np.int64),
                    label_quality=np.array([row["label_quality"] for row in rows], np.float64),
                )
            )
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{path} holds no suspects ({error!r}). Write it again with `apparel suspects`."
            ) from error
    return tuple(found)


def data_check(check: DataCheck) -> dict[str, object]:
    """Lay out what a check of the data found as `check.json`: plain types."""
    return {
        "is_clean": check.is_clean,
        **asdict(check),
        "sizes": [
            {"height": height, "width": width, "images": count}
            for (height, width), count in check.sizes.items()
        ],
    }


def check_json(check: DataCheck) -> str:
    """Give the text of `check.json`: in ASCII, as names of files need not be UTF-8."""
    return json.dumps(data_check(check), indent=2) + "\n"


def read_check(folder: Path) -> DataCheck | None:
    """Read back what `data_check` laid out, or None where the data were not checked.

    Args:
        folder: where `check.json` is.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / CHECK_FILE
    if not path.exists():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        del read["is_clean"]  # follows from the rest
        sizes = {(size["height"], size["width"]): size["images"] for size in read["sizes"]}
        pairs = {name: _copied(read[name]) for name in ("duplicates", "leaks", "conflicts")}
        images = {name: _checked(read[name]) for name in ("unusual", "blank")}
        names, shape = tuple(read["class_names"]), tuple(read["img_shape"])
        shapes = {"class_names": names, "img_shape": shape, "sizes": sizes}
        return DataCheck(**{**read, **shapes, **pairs, **images})
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} holds no check of data ({error!r}). Write it again with `apparel check`."
        ) from error


def _copied(pairs: list[dict[str, Any]]) -> tuple[CopiedImage, ...]:
    """Read back pairs of images that show the same."""
    return tuple(
        CopiedImage(
            first=CheckedImage(**pair["first"]),
            second=CheckedImage(**pair["second"]),
            exact=pair["exact"],
            mirrored=pair["mirrored"],
        )
        for pair in pairs
    )


def _checked(images: list[dict[str, Any]] | None) -> tuple[CheckedImage, ...] | None:
    """Read back images, or that they were not looked for."""
    return None if images is None else tuple(CheckedImage(**image) for image in images)


def read_history(folder: Path, settings: Mapping[str, Any]) -> History:
    """Read back how a run's model was trained.

    Args:
        folder: the run directory.
        settings: its `settings.json`.

    Raises:
        ModelFileError: there is no `history.csv`, or it is broken.
    """
    path = folder / HISTORY_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(x) for name, x in row.items()} for row in csv.DictReader(file)]
        seconds = tuple(row.pop("seconds") for row in rows)
        names = [name for name in (rows[0] if rows else ()) if name != "epoch"]
        return History(
            history={name: tuple(row[name] for row in rows) for name in names},
            seconds=seconds,
            dtype=settings["number_format"]["policy"],
            interrupted=settings["status"] == "interrupted",
            restored_epoch=settings["restored_epoch"],
            harder=settings["recipe"]["prune"] > 0,
        )
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {FINISHED}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} holds no history ({error!r}). {FINISHED}") from error


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
