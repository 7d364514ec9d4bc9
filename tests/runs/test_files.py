"""The files of a run directory: what is written is read back, and broken files are refused."""

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

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


def test_the_history_is_read_back_exactly(tmp_path):
    values = {"loss": (0.1 + 0.2, 1e-300), "val_accuracy": (1 / 3, 0.5)}
    history = History(history=values, seconds=(1.25, 2 / 3), dtype="float32", restored_epoch=1)
    files.write_history(tmp_path, history)
    assert (tmp_path / "history.csv").read_bytes().splitlines()[:2] == [
        b"epoch,loss,val_accuracy,seconds",
        b"1,0.30000000000000004,0.3333333333333333,1.25",
    ]
    record = {
        "number_format": {"policy": "float32"}, "status": "complete", "restored_epoch": 1,
        "recipe": {"prune": 0.0},
    }  # fmt: skip
    assert files.read_history(tmp_path, record) == history
    with pytest.raises(ModelFileError, match=r"history\.csv holds no history .*prune"):
        files.read_history(tmp_path, {**record, "recipe": {}})
    none = History(history={}, seconds=(), dtype="float32", restored_epoch=1)
    files.write_history(tmp_path, none)
    assert files.read_history(tmp_path, record) == none
    (tmp_path / "history.csv").unlink()
    with pytest.raises(ModelFileError, match=r"history\.csv cannot be read"):
        files.read_history(tmp_path, record)


@pytest.fixture
def evaluation():
    random = np.random.default_rng(0)
    odds = np.exp(random.normal(scale=8, size=(60, 3)))  # probabilities down to about 1e-15
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    smallest = np.nextafter(np.float32(0), np.float32(1))
    probabilities[0] = [np.nextafter(np.float32(1), np.float32(0)), smallest, 0]
    labels = random.integers(0, 3, 60)
    return metrics.evaluate(probabilities, labels, NAMES, calibration=CALIBRATION)


def test_metrics_are_restored_exactly(tmp_path, evaluation):
    without_threshold = replace(evaluation.abstention, coverage=None)
    evaluation = replace(evaluation, abstention=without_threshold)
    files.write_evaluation(tmp_path, evaluation)
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert len(evaluation.metrics) == 9
    for name, found in evaluation.metrics.items():
        assert read.pop(name) == asdict(found)
    assert list(read["per_class"]) == list(NAMES)
    for scores, found in zip(evaluation.per_class, read.pop("per_class").values(), strict=True):
        names = ("precision", "recall", "f1", "support")
        assert found == {name: asdict(scores)[name] for name in names}
    assert read == {
        "n": 60,
        "averaging": "macro",
        "confidence": 0.95,
        "confusion_matrix": evaluation.confusion.tolist(),
        "report": evaluation.report,
        "calibration": {
            **asdict(CALIBRATION),
            "expected_calibration_error_before": asdict(
                evaluation.reliability_before.expected_calibration_error
            ),
            "bins": [asdict(each) for each in evaluation.reliability.bins],
        },
        "abstention": {"coverage": None, "accuracy": asdict(evaluation.abstention.accuracy)},
    }


def test_predictions_are_read_back_bit_for_bit(tmp_path, evaluation):
    files.write_evaluation(tmp_path, evaluation)
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["index", "true", "predicted", "confidence", "p_0", "p_1", "p_2"]
    index, _, predicted, confidence, *_ = np.array(rows).T
    assert index.tolist() == [str(k) for k in range(60)]
    np.testing.assert_array_equal(predicted.astype(int), evaluation.predicted)
    probabilities, labels = files.read_predictions(tmp_path)
    assert probabilities.tobytes() == evaluation.probabilities.tobytes()
    np.testing.assert_array_equal(confidence.astype(np.float32), probabilities.max(axis=1))
    np.testing.assert_array_equal(labels, evaluation.true)
    found = files.read_tested_run(tmp_path, RECORD)
    np.testing.assert_array_equal(found.true, evaluation.true)
    np.testing.assert_array_equal(found.predicted, evaluation.predicted)
    assert (found.name, found.class_names, found.test_sha256) == (tmp_path.name, NAMES, "bcd")


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
        ("index,true,predicted,p_0\n", "holds no predictions .*no rows"),
        ("index,predicted,p_0\n0,1,1\n", "holds no predictions .*true"),
        ("index,true,p_0\n0,1,x\n", "holds no predictions .*'x'"),
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


def test_accuracies_are_read_back(tmp_path, evaluation):
    accuracy = evaluation.metrics["accuracy"]
    more = replace(accuracy, value=0.5)
    evaluation = replace(evaluation, metrics={**evaluation.metrics, "accuracy_flip_averaged": more})
    files.write_evaluation(tmp_path, evaluation)
    assert files.read_accuracies(tmp_path) == (60, accuracy, {"accuracy_flip_averaged": more})
    (tmp_path / "metrics.json").write_text('{"n": 3, "accuracy_x": 4}')
    with pytest.raises(ModelFileError, match="holds no metrics"):
        files.read_accuracies(tmp_path)


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


def test_the_novelty_score_is_read_back_or_its_file_is_named(tmp_path):
    images = np.random.default_rng(0).random((80, 9, 8, 1), np.float32)
    learnt = novelty.fit(images, np.arange(40), np.arange(40, 80), seed=0)
    path, arrays = tmp_path / "novelty.npz", learnt.as_arrays()
    assert files.read_novelty(tmp_path) is None
    files.write_novelty(tmp_path, learnt)
    for name, value in files.read_novelty(tmp_path).as_arrays().items():
        np.testing.assert_array_equal(arrays[name], value)

    pickled = arrays | {"location": np.array([{}], object)}
    for spoil, why in (
        (lambda: path.write_bytes(path.read_bytes()[:-100]), ""),
        (lambda: path.write_bytes(b"no archive"), ""),
        (lambda: np.savez(path, location=learnt.location), ""),
        (lambda: np.savez(path, **pickled, allow_pickle=True), "Object arrays cannot be loaded"),
    ):
        spoil()
        with pytest.raises(ModelFileError, match=rf"novelty\.npz holds no novelty score .*{why}"):
            files.read_novelty(tmp_path)
