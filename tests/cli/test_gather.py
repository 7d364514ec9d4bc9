"""A report is made of what a run left behind, or refused where that is broken."""

import csv
import json
import os
import shutil

import numpy as np
import pytest

from apparel import ApparelClassifier
from apparel.cli.loading import load_model
from apparel.cli.report import load_report, report
from apparel.core.errors import ModelFileError
from apparel.core.records import Calibration
from apparel.data import loading
from apparel.data.quality.check import check_data, exact_duplicates_of
from apparel.evaluation import calibration
from apparel.models import keras_inference
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory


@pytest.fixture
def run(finished_run, tmp_path):
    shutil.copytree(finished_run[0], tmp_path / "run")
    return tmp_path / "run"


def test_everything_of_a_run_is_gathered(run):
    content = load_report(RunDirectory.open(run), None)
    written = np.genfromtxt(run / "predictions.csv", delimiter=",", names=True, dtype=np.float64)
    np.testing.assert_array_equal(content.evaluation.true, written["true"])
    np.testing.assert_array_equal(content.evaluation.predicted, written["predicted"])
    used = loading.load(limit=1000, seed=3)
    np.testing.assert_array_equal(content.train_images, used.train_images)
    np.testing.assert_array_equal(content.test_images, used.test_images)
    assert content.title == "cnn on fashion-mnist"
    assert content.summary == (
        "The model cnn, with 1,207,498 parameters, was trained on 900 images of 10 classes from "
        "fashion-mnist, and tested on 1,000 others."
    )
    wrong = written["true"] != written["predicted"]
    sure = written["confidence"][wrong]
    assert [m.confidence for m in content.mistakes] == pytest.approx(sorted(sure)[:-25:-1])
    assert content.saliency.grad_cam.shape == content.saliency.occlusion.shape == (24, 28, 28)
    assert (content.label_issues, content.robustness) == ((), None)
    assert content.check == check_data(used, exact_duplicates_of(used), None)
    assert content.command == (
        "apparel run --epochs 1 --batch-size 100 --seed 3 --dtype float32 "
        "--weight-averaging 0.5 --limit 1000"
    )


def test_a_check_of_other_images_is_not_shown(run):
    found = json.loads((run / "check.json").read_text(encoding="utf-8"))
    (run / "check.json").write_text(json.dumps({**found, "sha256": "another"}), encoding="utf-8")
    assert load_report(RunDirectory.open(run), None).check is None


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p_0", "nan", "not finite numbers"),
        ("p_0", "7", "sum to"),
        ("true", "12", "go from 0 to 12"),
        ("true", "-1", "go from -1 to 9"),
        ("true", "many", "invalid literal"),
    ],
)
def test_broken_predictions_are_refused_and_the_report_stays(run, column, value, words):
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[7][column] = value
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    before = (run / "report.html").read_bytes()
    with pytest.raises(ModelFileError, match=rf"predictions\.csv holds no predictions.*{words}"):
        report(run)
    assert (run / "report.html").read_bytes() == before


# -- the model of a run ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["cnn", "fast"])
def test_the_model_of_a_run_is_the_trained_one_bit_for_bit(name, tmp_path, monkeypatch):
    bent = Calibration(
        temperature=1.3, slope=2.5 if name == "fast" else 1.0, knee=-0.5, target_accuracy=0.9,
        threshold=0.6, n_images=10,
    )  # fmt: skip
    monkeypatch.setattr(calibration, "fit", lambda *_, **__: bent)
    width = {"width": 8} if name == "fast" else {}
    classifier = ApparelClassifier(
        model_name=name, **width, epochs=1, batch_size=32, limit=100, run_dir=tmp_path / "run"
    )
    classifier.import_data().prepare_data().create_model().setup_model().run_training()
    assert classifier.calibration == bent
    model = load_model(RunDirectory.open(tmp_path / "run"))
    images = classifier.test_images
    expected = keras_inference.predict_probabilities(classifier.model, images)
    np.testing.assert_array_equal(keras_inference.predict_probabilities(model, images), expected)
    assert len(np.unique(expected)) > 100


def change_weights(run, change):
    weights = files.read_weights(run)
    change(weights)
    files.write_weights(run, weights)


def set_record(run, **values):
    path = run / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def scaled(weights):
    weights["00.conv2d.kernel"] = weights["00.conv2d.kernel"] * np.float32(1.001)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: (run / files.WEIGHTS_FILE).unlink(), "has no weights.safetensors"),
        (lambda run: (run / files.WEIGHTS_FILE).write_bytes(b""), "holds no weights"),
        (lambda run: (run / files.WEIGHTS_FILE).write_bytes(b"\xff" * 200), "holds no weights"),
        (lambda run: os.truncate(run / files.WEIGHTS_FILE, 10_000), "holds no weights"),
        (lambda run: os.truncate(run / files.WEIGHTS_FILE, 3 << 30), "larger than 2 GiB"),
        (
            lambda run: change_weights(run, lambda w: w.pop("04.dense.bias")),
            r"04\.dense\.bias is missing, expected float32 of shape \(10,\)",
        ),
        (
            lambda run: change_weights(run, lambda w: w.update(x=np.zeros(2, np.uint8))),
            r"x is uint8 of shape \(2,\), expected missing",
        ),
        (
            lambda run: change_weights(
                run, lambda w: w.update({"04.dense.bias": np.zeros(10, np.float64)})
            ),
            "is float64 of shape",
        ),
        (lambda run: change_weights(run, scaled), "other weights than those that were trained"),
        (lambda run: set_record(run, weights_sha256=None), "other weights than"),
        (lambda run: set_record(run, class_names=["a"] * 10**6), "do not fit the model cnn"),
        (lambda run: set_record(run, img_shape=[30_000, 30_000, 3]), "do not fit the model cnn"),
        (lambda run: set_record(run, img_shape=["a"]), "img_shape must be height"),
        (lambda run: set_record(run, recipe={"model_name": "cnn"}), "cannot be used"),
        (lambda run: set_record(run, calibration={"slope": "steep"}), "cannot be used"),
    ],
)
def test_damaged_and_foreign_weights_are_refused_in_a_line(run, damage, words):
    damage(run)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(RunDirectory.open(run))
    assert "\n" not in str(caught.value)
    assert str(run) in str(caught.value)


def test_a_width_beyond_all_memory_is_refused_before_it_is_built(run):
    recipe = json.loads((run / "settings.json").read_text())["recipe"]
    set_record(run, recipe={**recipe, "model_name": "fast", "width": 10**7})
    with pytest.raises(ModelFileError, match="do not fit the model fast"):
        load_model(RunDirectory.open(run))
