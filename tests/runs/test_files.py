"""The files of a run directory: what is written is read back, and broken files are refused."""

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from apparel.core.errors import ModelFileError
from apparel.core.records import Calibration, History
from apparel.core.settings import Settings
from apparel.evaluation import metrics
from apparel.models import novelty
from apparel.runs import files

NAMES = ("T-shirt/top", "b, \"c\"", "é")  # fmt: skip
RECORD = {
    "settings": asdict(Settings()),
    "dataset": {"sha256": "abc", "test_sha256": "bcd"},
    "class_names": NAMES,
}
CALIBRATION = Calibration(temperature=0.5, target_accuracy=0.9, threshold=0.25, n_images=7)


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_history_is_restored_exactly(tmp_path):
    values = {"loss": (0.1 + 0.2, 1e-300, 2.0), "val_accuracy": (1 / 3, 0.5, 1.0)}
    seconds = (1.25, 2 / 3, 10.0)
    files.write_history(tmp_path, History(history=values, seconds=seconds, dtype="float32"))
    header, *rows = read_csv(tmp_path / "history.csv")
    assert header == ["epoch", "loss", "val_accuracy", "seconds"]
    columns = [[float(cell) for cell in column] for column in zip(*rows, strict=True)]
    assert columns == [[1, 2, 3], *map(list, values.values()), list(seconds)]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert b"\r" not in (tmp_path / "history.csv").read_bytes()


def test_the_history_is_read_back(tmp_path):
    values = {"loss": (0.1 + 0.2, 2.0), "val_accuracy": (1 / 3, 0.5)}
    history = History(history=values, seconds=(1.0, 2 / 3), dtype="float32", restored_epoch=1)
    files.write_history(tmp_path, history)
    record = {
        "number_format": {"policy": "float32"}, "status": "complete", "restored_epoch": 1,
        "recipe": {"prune": 0.0},
    }  # fmt: skip
    assert files.read_history(tmp_path, record) == history
    with pytest.raises(ModelFileError, match=r"history\.csv holds no history .*prune"):
        files.read_history(tmp_path, {**record, "recipe": {}})
    (tmp_path / "history.csv").unlink()
    with pytest.raises(ModelFileError, match=r"history\.csv cannot be read"):
        files.read_history(tmp_path, record)


def test_a_history_without_epochs_has_a_header_only(tmp_path):
    files.write_history(
        tmp_path, History(history={}, seconds=(), dtype="float32", interrupted=True)
    )
    assert (tmp_path / "history.csv").read_text() == "epoch,seconds\n"


@pytest.fixture
def evaluation():
    random = np.random.default_rng(0)
    odds = np.exp(random.normal(scale=8, size=(60, 3)))  # probabilities down to about 1e-15
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    smallest = np.nextafter(np.float32(0), np.float32(1))
    probabilities[0] = [np.nextafter(np.float32(1), np.float32(0)), smallest, 0]
    labels = random.integers(0, 3, 60)
    return metrics.evaluate(probabilities, labels, NAMES, calibration=CALIBRATION)


def test_predictions_are_restored_bit_for_bit(tmp_path, evaluation):
    files.write_evaluation(tmp_path, evaluation)
    header, *rows = read_csv(tmp_path / "predictions.csv")
    assert header == ["index", "true", "predicted", "confidence", "p_0", "p_1", "p_2"]
    table = np.array(rows)
    assert table[:, 0].tolist() == [str(k) for k in range(60)]
    np.testing.assert_array_equal(table[:, 1].astype(int), evaluation.true)
    np.testing.assert_array_equal(table[:, 2].astype(int), evaluation.predicted)
    restored = table[:, 4:].astype(np.float32)
    assert restored.tobytes() == evaluation.probabilities.tobytes()
    np.testing.assert_array_equal(table[:, 3].astype(np.float32), restored.max(axis=1))


def test_metrics_are_restored_exactly(tmp_path, evaluation):
    files.write_evaluation(tmp_path, evaluation)
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))

    def interval(i):
        return {"value": i.value, "low": i.low, "high": i.high}

    assert len(evaluation.metrics) == 9
    for name, found in evaluation.metrics.items():
        assert read.pop(name) == interval(found)
    assert list(read["per_class"]) == list(NAMES)
    for scores, found in zip(evaluation.per_class, read.pop("per_class").values(), strict=True):
        assert found == {
            "precision": interval(scores.precision),
            "recall": interval(scores.recall),
            "f1": interval(scores.f1),
            "support": scores.support,
        }
    assert read == {
        "n": 60,
        "averaging": "macro",
        "confidence": 0.95,
        "confusion_matrix": evaluation.confusion.tolist(),
        "report": evaluation.report,
        "calibration": {
            "temperature": 0.5,
            "target_accuracy": 0.9,
            "threshold": 0.25,
            "n_images": 7,
            "knee": 0.0,
            "slope": 1.0,
            "expected_calibration_error_before": interval(
                evaluation.reliability_before.expected_calibration_error
            ),
            "bins": [
                {
                    "low": b.low,
                    "high": b.high,
                    "n_images": b.n_images,
                    "confidence": b.confidence,
                    "accuracy": interval(b.accuracy),
                }
                for b in evaluation.reliability.bins
            ],
        },
        "abstention": {
            "coverage": interval(evaluation.abstention.coverage),
            "accuracy": interval(evaluation.abstention.accuracy),
        },
    }


def test_predictions_are_read_back_for_a_report_and_a_comparison(tmp_path, evaluation):
    files.write_evaluation(tmp_path, evaluation)
    probabilities, labels = files.read_predictions(tmp_path)
    assert probabilities.tobytes() == evaluation.probabilities.tobytes()
    np.testing.assert_array_equal(labels, evaluation.true)
    found = files.read_tested_run(tmp_path, RECORD)
    np.testing.assert_array_equal(found.true, evaluation.true)
    np.testing.assert_array_equal(found.predicted, evaluation.predicted)
    assert (found.name, found.class_names, found.test_sha256) == (tmp_path.name, NAMES, "bcd")
    assert found.accuracy == pytest.approx(evaluation.metrics["accuracy"].value)


def test_runs_that_differ_by_their_seed_alone_are_of_one_setting(tmp_path, evaluation):
    files.write_evaluation(tmp_path, evaluation)

    def setting(sha256="abc", **changes):
        settings = {**asdict(Settings(seed=5)), **changes}
        dataset = {"sha256": sha256, "test_sha256": "bcd"}
        record = {**RECORD, "settings": settings, "dataset": dataset}
        return files.read_tested_run(tmp_path, record).setting

    assert setting(seed=6) == setting()
    assert setting(epochs=3) != setting()
    assert setting(sha256="other training images") != setting()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "predictions.csv cannot be read: No such file"),
        ("", "holds no predictions"),
        ("index,true,predicted,p_0\n", "holds no predictions .*no rows"),
        ("index,predicted,p_0\n0,1,1\n", "holds no predictions .*true"),
        ("index,true\n0,1\n", "holds no predictions .*p_0"),
        ("index,true,p_0\n0,1,x\n", "holds no predictions .*'x'"),
        ("index,true,p_0\n0,1\n", "holds no predictions"),
    ],
)
def test_broken_predictions_are_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "predictions.csv").write_text(content)
    with pytest.raises(ModelFileError, match=message):
        files.read_tested_run(tmp_path, RECORD)


def test_runs_of_a_version_without_the_hash_are_not_compared(tmp_path):
    with pytest.raises(ModelFileError, match=r"does not say which test images .* Run it once"):
        files.read_tested_run(tmp_path, {**RECORD, "dataset": {"sha256": "abc"}})


def test_accuracies_are_read_back_or_unknown(tmp_path, evaluation):
    assert files.read_accuracy(tmp_path) is None
    more = replace(evaluation.metrics["accuracy"], value=0.5)
    evaluation = replace(evaluation, metrics={**evaluation.metrics, "accuracy_flip_averaged": more})
    files.write_evaluation(tmp_path, evaluation)
    assert files.read_accuracy(tmp_path) == {**asdict(evaluation.metrics["accuracy"]), "n": 60}
    assert files.read_further_accuracies(tmp_path) == {"accuracy_flip_averaged": more}
    (tmp_path / "metrics.json").write_text('{"n": 3, "accuracy_x": 4}')
    for read in (files.read_accuracy, files.read_further_accuracies):
        with pytest.raises(ModelFileError, match="holds no metrics"):
            read(tmp_path)


def test_without_a_threshold_metrics_say_so(tmp_path, evaluation):
    unknown = replace(evaluation, abstention=replace(evaluation.abstention, coverage=None))
    files.write_evaluation(tmp_path, unknown)
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert read["abstention"]["coverage"] is None


def test_a_figure_becomes_a_png_among_the_plots(tmp_path):
    path = files.write_figure(tmp_path, "history", Figure(figsize=(4, 3)))
    assert path == tmp_path / "plots" / "history.png"
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (480, 360))


def test_nothing_temporary_stays_behind(tmp_path, evaluation):
    files.write_evaluation(tmp_path, evaluation)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "predictions.csv"]


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_broken_list_of_exports_is_named(tmp_path, text):
    assert files.read_exports(tmp_path) == {}
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(ModelFileError, match=r"export\.json holds no exported files"):
        files.read_exports(tmp_path)


def test_weights_are_read_back_bit_for_bit(tmp_path):
    random = np.random.default_rng(0)
    weights = {"00.conv2d.kernel": random.random((3, 3, 1, 8), np.float32), "01.x": np.ones(())}
    files.write_weights(tmp_path, weights)
    read = files.read_weights(tmp_path)
    assert read.keys() == weights.keys()
    for name, array in weights.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[name], array)


# -- what the training images look like ------------------------------------------------


@pytest.fixture
def learnt():
    images = np.random.default_rng(0).random((80, 9, 8, 1), np.float32)
    return novelty.fit(images, np.arange(40), np.arange(40, 80), seed=0)


def test_what_the_training_images_look_like_is_read_back_bit_for_bit(tmp_path, learnt):
    assert files.read_novelty(tmp_path) is None
    files.write_novelty(tmp_path, learnt)
    read = files.read_novelty(tmp_path)
    for name, value in learnt.as_arrays().items():
        np.testing.assert_array_equal(read.as_arrays()[name], value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4"])
def test_a_broken_file_of_what_they_look_like_is_named(tmp_path, content):
    (tmp_path / "novelty.npz").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"novelty\.npz holds no novelty score"):
        files.read_novelty(tmp_path)


@pytest.mark.parametrize("change", ["cut", "without location", "pickle", "one array"])
def test_a_changed_file_of_what_they_look_like_is_named(tmp_path, learnt, change):
    path = tmp_path / "novelty.npz"
    files.write_novelty(tmp_path, learnt)
    arrays = learnt.as_arrays()
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif change == "without location":
        np.savez(path, **{name: x for name, x in arrays.items() if name != "location"})
    elif change == "pickle":
        np.savez(path, **arrays | {"location": np.array([{}], object)}, allow_pickle=True)
    else:
        with path.open("wb") as file:
            np.save(file, learnt.location)
    with pytest.raises(ModelFileError, match=r"novelty\.npz holds no novelty score"):
        files.read_novelty(tmp_path)
