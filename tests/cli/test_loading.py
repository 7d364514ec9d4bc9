"""The model of a run is built again from its settings and its weights, or refused."""

import json
import os

import numpy as np
import pytest

from apparel.classifier import ApparelClassifier
from apparel.cli.loading import load_model
from apparel.core.errors import ModelFileError
from apparel.core.records import Calibration
from apparel.evaluation import calibration
from apparel.models import keras_inference
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory


@pytest.mark.parametrize("name", ["cnn", "fast"])
def test_the_model_of_a_run_is_the_trained_one_bit_for_bit(
    name, digits_file, tmp_path, monkeypatch
):
    bent = Calibration(
        temperature=1.3, slope=2.5 if name == "fast" else 1.0, knee=-0.5, target_accuracy=0.9,
        threshold=0.6, n_images=10,
    )  # fmt: skip
    monkeypatch.setattr(calibration, "fit", lambda *_, **__: bent)
    width = {"width": 8} if name == "fast" else {}
    classifier = ApparelClassifier(
        model_name=name, **width, epochs=1, batch_size=32, run_dir=tmp_path / "run"
    )
    classifier.import_data(digits_file).prepare_data().create_model().setup_model().run_training()
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


def widen(run, width):
    recipe = json.loads((run / "settings.json").read_text())["recipe"]
    set_record(run, recipe={**recipe, "model_name": "fast", "width": width})


def scaled(weights):
    weights["00.conv2d.kernel"] = weights["00.conv2d.kernel"] * np.float32(1.001)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: (run / files.WEIGHTS_FILE).unlink(), "has no weights.safetensors"),
        (lambda run: (run / files.WEIGHTS_FILE).write_bytes(b"\xff" * 200), "holds no weights"),
        (lambda run: os.truncate(run / files.WEIGHTS_FILE, 3 << 30), "larger than 2 GiB"),
        (
            lambda run: change_weights(run, lambda w: w.pop("04.dense.bias")),
            r"04\.dense\.bias is missing, expected float32 of shape \(10,\)",
        ),
        (
            lambda run: change_weights(run, lambda w: w.update(x=np.zeros(2, np.uint8))),
            r"x is uint8 of shape \(2,\), expected missing",
        ),
        (lambda run: change_weights(run, scaled), "other weights than those that were trained"),
        (lambda run: set_record(run, class_names=["a"] * 10**6), "do not fit the model cnn"),
        # Refused before it is built: it is larger than all memory.
        (lambda run: widen(run, 10**7), "do not fit the model fast"),
        (lambda run: set_record(run, img_shape=["a"]), "img_shape must be height"),
        (lambda run: set_record(run, recipe={"model_name": "cnn"}), "cannot be used"),
        (lambda run: set_record(run, calibration={"slope": "steep"}), "cannot be used"),
    ],
)
def test_damaged_and_foreign_weights_are_refused_in_a_line(run_copy, damage, words):
    damage(run_copy)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(RunDirectory.open(run_copy))
    assert "\n" not in str(caught.value)
    assert str(run_copy) in str(caught.value)
