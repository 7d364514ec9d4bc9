"""The files of a run directory: records → their contents, and back."""

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.atomic_files import atomic_path, write_csv, write_json
from apparel.core.errors import ModelFileError
from apparel.core.messages import MAX_REASON, printable
from apparel.core.records import (
    Attack,
    CheckedImage,
    CopiedImage,
    CorruptionCurve,
    DataCheck,
    Evaluation,
    Exported,
    History,
    Interval,
    LabelIssues,
    Novelty,
    Robustness,
    TestedRun,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECK_FILE = "check.json"
EXPORT_FILE = "export.json"
HISTORY_FILE = "history.csv"
METRICS_FILE = "metrics.json"
NOVELTY_FILE = "novelty.npz"
PREDICTIONS_FILE = "predictions.csv"
STRESS_FILE = "stress.json"
SUSPECTS_FILE = "suspects_{split}.csv"
WEIGHTS_FILE = "weights.safetensors"
# The largest model that trains here has a tenth of this.
MAX_WEIGHT_BYTES = 2 << 30
_UNFINISHED = "Give a folder that `apparel run` has finished."


@contextmanager
def reading(path: Path, content: str, remedy: str = _UNFINISHED) -> Iterator[None]:
    """Turn every failure to read a file into one clear error.

    Args:
        path: the file.
        content: its expected content, for the message.
        remedy: what to do next.

    Raises:
        ModelFileError: the file cannot be read, or holds something else.
    """
    try:
        yield
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {remedy}") from error
    except Exception as error:  # foreign content fails anywhere
        reason = printable(repr(error), MAX_REASON)
        raise ModelFileError(f"{path} holds no {content} ({reason}). {remedy}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_figure(folder: Path, name: str, figure: "Figure") -> Path:
    """Write `plots/<name>.png`."""
    path = folder / "plots" / f"{name}.png"
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path


# -- the data ----------------------------------------------------------------------------


def write_check(target: Path, check: DataCheck) -> None:
    """Write the result of a data check, in ASCII, as names of files need not be UTF-8."""
    sizes = [
        {"height": height, "width": width, "images": count}
        for (height, width), count in check.sizes.items()
    ]
    write_json(target, {"is_clean": check.is_clean, **asdict(check), "sizes": sizes}, ascii=True)


def read_check(folder: Path) -> DataCheck | None:
    """Read `check.json`; None where the data were not checked.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / CHECK_FILE
    if not path.exists():
        return None
    with reading(path, "check of data", "Write it again with `apparel check`."):
        read = read_json(path)
        del read["is_clean"]  # follows from the rest
        for name in ("duplicates", "leaks", "conflicts"):
            for pair in read[name]:
                pair |= {image: CheckedImage(**pair[image]) for image in ("first", "second")}
            read[name] = tuple(CopiedImage(**pair) for pair in read[name])
        for name in ("unusual", "blank"):
            if read[name] is not None:
                read[name] = tuple(CheckedImage(**image) for image in read[name])
        for name in ("class_names", "img_shape"):
            read[name] = tuple(read[name])
        read["sizes"] = {(size["height"], size["width"]): size["images"] for size in read["sizes"]}
        return DataCheck(**read)


def write_suspects(folder: Path, issues: LabelIssues) -> Path:
    """Write `suspects_<split>.csv`, the most suspicious label first."""
    names = issues.class_names
    columns = (issues.indices, issues.given, issues.suggested, issues.label_quality)
    rows = (
        (rank, index, names[given], names[suggested], f"{quality:.9g}")
        for rank, (index, given, suggested, quality) in enumerate(zip(*columns, strict=True), 1)
    )
    path = folder / SUSPECTS_FILE.format(split=issues.split)
    write_csv(path, ["rank", "index", "given", "suggested", "label_quality"], rows)
    return path


def read_suspects(
    folder: Path, settings: Mapping[str, Any], check: DataCheck | None
) -> tuple[LabelIssues, ...]:
    """Read `suspects_<split>.csv` of each split that was searched.

    Args:
        folder: the run directory.
        settings: its `settings.json`.
        check: of its images, which also counts those left out of training; None without one.

    Raises:
        ModelFileError: a file is broken.
    """
    names, counts = tuple(settings["class_names"]), settings["dataset"]["images_per_class"]
    if check:
        counts = {"validation": [], **check.images_per_class}
    n_images = {
        "train": sum(counts["training"]) + sum(counts["validation"]),
        "test": sum(counts["test"]),
    }
    found = []
    for split in ("train", "test"):
        path = folder / SUSPECTS_FILE.format(split=split)
        if not path.exists():
            continue
        with reading(path, "suspects", "Write it again with `apparel suspects`."):
            rows = _rows_of(path)
            found.append(
                LabelIssues(
                    split="train" if split == "train" else "test",
                    n_images=n_images[split],
                    class_names=names,
                    indices=np.array([row["index"] for row in rows], np.int64),
                    given=np.array([names.index(row["given"]) for row in rows], np.int64),
                    suggested=np.array([names.index(row["suggested"]) for row in rows], np.int64),
                    label_quality=np.array([row["label_quality"] for row in rows], np.float64),
                )
            )
    return tuple(found)


def write_novelty(folder: Path, novelty: Novelty) -> None:
    """Write `novelty.npz`, arrays only."""
    with atomic_path(folder / NOVELTY_FILE) as temporary:
        np.savez_compressed(temporary, **novelty.as_arrays())


def read_novelty(folder: Path) -> Novelty | None:
    """Read `novelty.npz`; None where there is none.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / NOVELTY_FILE
    if not path.exists():
        return None
    with (
        reading(path, "novelty score", "Run it once more."),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return Novelty.from_arrays(dict(arrays))


# -- training ----------------------------------------------------------------------------


def write_history(folder: Path, history: History) -> None:
    """Write `history.csv`, one row an epoch."""
    names = list(history.history)
    columns = (history.history[name] for name in names)
    rows = zip(range(1, history.epochs + 1), *columns, history.seconds, strict=True)
    write_csv(folder / HISTORY_FILE, ["epoch", *names, "seconds"], rows)


def read_history(folder: Path, settings: Mapping[str, Any]) -> History:
    """Read `history.csv`.

    Args:
        folder: the run directory.
        settings: its `settings.json`.

    Raises:
        ModelFileError: there is no such file, or it is broken.
    """
    path = folder / HISTORY_FILE
    with reading(path, "history"):
        rows = [{name: float(x) for name, x in row.items()} for row in _rows_of(path)]
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


def write_weights(folder: Path, weights: Mapping[str, NDArray[Any]]) -> None:
    """Write `weights.safetensors`, arrays by name."""
    from safetensors.numpy import save  # noqa: PLC0415  # `apparel check` does without

    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save(dict(weights)))


def read_weights(folder: Path) -> dict[str, NDArray[Any]]:
    """Read `weights.safetensors`.

    Returns:
        Arrays by name, together no larger than the file.

    Raises:
        ModelFileError: the file is missing, damaged or no safetensors file.
    """
    from safetensors.numpy import load  # noqa: PLC0415  # `apparel check` does without

    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise ModelFileError(
            f"{folder} has no {WEIGHTS_FILE}: training did not finish, or an older version of "
            "apparel wrote this run. Train again, or export the model from the version that "
            "wrote it."
        )
    if path.stat().st_size > MAX_WEIGHT_BYTES:
        raise ModelFileError(
            f"{path} is larger than {MAX_WEIGHT_BYTES >> 30} GiB, which no run writes. Restore the "
            "file."
        )
    with reading(path, "weights", "Restore the file, or train again."):
        return dict(load(path.read_bytes()))


# -- test-set evaluation -----------------------------------------------------------------


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write `metrics.json` and `predictions.csv`."""
    write_json(folder / METRICS_FILE, metrics(evaluation))
    header = ["index", "true", "predicted", "confidence"]
    header += [f"p_{k}" for k in range(len(evaluation.class_names))]
    columns = (
        evaluation.true,
        evaluation.predicted,
        evaluation.probabilities.max(axis=1),
        evaluation.probabilities,
    )
    # Nine digits give a float32 back exactly.
    rows = (
        (index, true, predicted, f"{confidence:.9g}", *(f"{p:.9g}" for p in row))
        for index, (true, predicted, confidence, row) in enumerate(zip(*columns, strict=True))
    )
    write_csv(folder / PREDICTIONS_FILE, header, rows)


def metrics(evaluation: Evaluation) -> dict[str, object]:
    """Lay an evaluation out as `metrics.json`: plain types, each figure with its interval."""
    abstention = evaluation.abstention
    return {
        "n": len(evaluation.true),
        "averaging": "macro",
        "confidence": 0.95,
        **{name: asdict(interval) for name, interval in evaluation.metrics.items()},
        "per_class": {
            scores.name: {name: x for name, x in asdict(scores).items() if name != "name"}
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


def read_predictions(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read `predictions.csv`.

    Returns:
        The probabilities of the test images, shape (n, k), and their labels, shape (n,).

    Raises:
        ModelFileError: there is no such file, or it is broken.
    """
    path = folder / PREDICTIONS_FILE
    with reading(path, "predictions"):
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        first = header.index("p_0")
        probabilities = np.array([row[first:] for row in rows], np.float32)
        labels = np.array([row[header.index("true")] for row in rows], np.int64)
        if not probabilities.size:
            raise ValueError("it has no rows")
        return probabilities, labels


def read_tested_run(folder: Path, settings: Mapping[str, Any]) -> TestedRun:
    """Read what is compared of a run: its predictions, and on what they were made.

    Args:
        folder: the run directory.
        settings: its `settings.json`.

    Raises:
        ModelFileError: there is no `predictions.csv`, it is broken, or an earlier version wrote
            the run, which did not record the hash of the test images.
    """
    if "test_sha256" not in settings["dataset"]:
        raise ModelFileError(
            f"{folder} does not say which test images it was tested on: an earlier version of "
            "apparel wrote it. Run it once more."
        )
    probabilities, labels = read_predictions(folder)
    setting = {key: value for key, value in settings["settings"].items() if key != "seed"}
    return TestedRun(
        name=folder.name,
        setting=json.dumps([setting, settings["dataset"]["sha256"]], sort_keys=True),
        true=labels,
        predicted=probabilities.argmax(axis=1),
        class_names=tuple(settings["class_names"]),
        test_sha256=settings["dataset"]["test_sha256"],
    )


def read_accuracies(folder: Path) -> tuple[int, Interval, dict[str, Interval]]:
    """Read the accuracies on the test images from `metrics.json`.

    Returns:
        The number of test images, the accuracy, and those that predictions alone do not give: of
        probabilities averaged over changed copies, and without leaked images.

    Raises:
        ModelFileError: there is no such file, or it is broken.
    """
    path = folder / METRICS_FILE
    with reading(path, "metrics"):
        read = read_json(path)
        more = {name: Interval(**x) for name, x in read.items() if name.startswith("accuracy_")}
        return int(read["n"]), Interval(**read["accuracy"]), more


def write_robustness(folder: Path, robustness: Robustness) -> None:
    """Write `stress.json`."""
    content = {
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
    write_json(folder / STRESS_FILE, content)


def read_robustness(folder: Path) -> Robustness | None:
    """Read `stress.json`; None where the run was not stressed.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / STRESS_FILE
    if not path.exists():
        return None
    with reading(path, "robustness", "Write it again with `apparel stress`."):
        read = read_json(path)
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


# -- exported files ----------------------------------------------------------------------


def write_export(folder: Path, exported: Exported) -> None:
    """Add an exported file to `export.json`, in ASCII, as names of files need not be UTF-8.

    Raises:
        ModelFileError: what is there is broken.
    """
    facts = {key: value for key, value in asdict(exported).items() if key != "path"}
    facts |= facts.pop("comparison")
    content = {**read_exports(folder), exported.path.name: facts}
    write_json(folder / EXPORT_FILE, content, ascii=True)


def read_exports(folder: Path) -> dict[str, object]:
    """Read `export.json`, by file name; nothing where nothing was exported.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / EXPORT_FILE
    if not path.exists():
        return {}
    with reading(path, "exported files", "Delete it, and export them again."):
        return dict(read_json(path))
