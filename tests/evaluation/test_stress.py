"""The figures of `apparel stress` against corruptions and predictions made by hand."""

import json
import shutil

import keras
import numpy as np
import pytest

from apparel.core.errors import ModelFileError
from apparel.evaluation.intervals import wilson_interval
from apparel.evaluation.robustness import attack, stress
from apparel.evaluation.robustness.corruptions import CORRUPTIONS, corrupt
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory
from tests.conftest import Command


def brightness_model():
    """Class 1 where the mean pixel is above a half; the logits alone."""
    inputs = keras.Input((8, 8, 1))
    dense = keras.layers.Dense(2)
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    kernel = np.stack([np.zeros(64), np.ones(64)], axis=1)
    dense.set_weights([kernel, np.array([0.0, -32.0])])
    return model


def predict(images):
    bright = images.mean(axis=(1, 2, 3)) > 0.5
    return np.stack([~bright, bright], axis=1).astype(np.float32)


@pytest.fixture
def robustness():
    random = np.random.default_rng(0)
    images = (random.random((60, 8, 8, 1)) * 0.4 + random.random((60, 1, 1, 1)) * 0.6).astype(
        np.float32
    )
    labels = (images.mean(axis=(1, 2, 3)) > 0.5).astype(np.int64)
    labels[:6] = 1 - labels[:6]
    found = stress.stress(predict, brightness_model(), images, labels, seed=3)
    return found, images, labels


def test_every_figure_is_that_of_the_images_made_worse_by_hand(robustness):
    found, images, labels = robustness
    assert found.n_images == 60
    assert found.accuracy == wilson_interval(54, 60)
    assert [curve.name for curve in found.curves] == [c.name for c in CORRUPTIONS]
    for curve, corruption in zip(found.curves, CORRUPTIONS, strict=True):
        assert (curve.unit, curve.strengths) == (corruption.unit, corruption.strengths)
        for strength, accuracy in zip(curve.strengths, curve.accuracies, strict=True):
            worse = predict(corrupt(corruption, images, strength, seed=3)).argmax(axis=1)
            assert accuracy == wilson_interval(int((worse == labels).sum()), 60)
    brightness = next(curve for curve in found.curves if curve.name == "brightness")
    assert brightness.accuracies[-1].value < found.accuracy.value


def test_the_attack_leaves_what_lies_far_from_the_border(robustness):
    found, images, _ = robustness
    far = np.abs(images.mean(axis=(1, 2, 3)) - 0.5) > 0.1
    far[:6] = False
    assert found.attack.accuracy == wilson_interval(int(far.sum()), 60)
    assert (found.attack.epsilon, found.attack.steps) == (0.1, attack.STEPS)
    assert found.attack.n_images == 60


def test_what_is_written_is_read_back(robustness, tmp_path):
    found = robustness[0]
    assert files.read_robustness(tmp_path) is None
    path = tmp_path / "stress.json"
    path.write_text(json.dumps(files.robustness(found)), encoding="utf-8")
    assert files.read_robustness(tmp_path) == found
    path.write_text('{"n": 3}', encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"holds no robustness .*apparel stress"):
        files.read_robustness(tmp_path)


def test_the_command_records_what_it_prints(finished_run, command: Command, tmp_path):
    shutil.copytree(finished_run[0], tmp_path / "run")
    looks = RunDirectory.open(tmp_path / "run").settings()["test_looks"]
    done = command("stress", "run")
    assert done.returncode == 0, done.stderr
    read = json.loads((tmp_path / "run" / "stress.json").read_text(encoding="utf-8"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert read["n"] == metrics["n"] == 1000
    assert read["accuracy"] == metrics["accuracy"]
    assert f"{read['corruptions']['noise']['accuracies'][0]['value']:6.1%}" in done.stdout
    assert f"Under attack: {read['attack']['accuracy']['value']:.1%}" in done.stdout
    assert f"have been scored {looks + 1} times" in done.stdout
    assert (tmp_path / "run" / "plots" / "robustness.png").read_bytes()[:4] == b"\x89PNG"
    assert done.stderr == ""
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "On images made worse" in page


def test_a_folder_that_is_no_run_is_refused(command: Command, tmp_path):
    done = command("stress", tmp_path)
    assert done.returncode == 4
    assert "is not a run directory" in done.stderr
