"""Accuracy under corruptions and attack, for models whose every answer is known."""

import json

import keras
import numpy as np
import pytest

from apparel.core.errors import ModelFileError
from apparel.evaluation import robustness
from apparel.evaluation.corruptions import CORRUPTIONS, corrupt
from apparel.evaluation.intervals import wilson_interval
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory
from tests.conftest import Command


def linear_model(weights, bias=0.0):
    """Two logits, the second the weighted sum of the pixels and a bias."""
    weights = np.asarray(weights, float)
    inputs = keras.Input((*weights.shape, 1))
    dense = keras.layers.Dense(2)
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    kernel = np.stack([np.zeros(weights.size), weights.ravel()], axis=1)
    dense.set_weights([kernel, np.array([0.0, bias])])
    return model


def test_an_attack_on_a_linear_model_succeeds_exactly_where_it_can():
    weights = np.array([[1.0, -2.0], [0.5, -0.5]])
    images = np.random.default_rng(0).uniform(0.3, 0.7, (300, 2, 2, 1)).astype(np.float32)
    scores = (images[..., 0] * weights).sum(axis=(1, 2))
    labels = (scores > 0).astype(np.int64)
    labels[:20] = 1 - labels[:20]
    # No pixel reaches 0 or 1, so the worst change moves the score by epsilon times the sum of |w|.
    reach = robustness.EPSILON * np.abs(weights).sum()
    robust = np.abs(scores) > reach
    robust[:20] = False
    found = robustness.attack(linear_model(weights), images, labels, seed=0)
    clear = np.abs(np.abs(scores) - reach) > 1e-4  # otherwise rounding decides
    assert 0 < robust.sum() < 280
    np.testing.assert_array_equal(found[clear], robust[clear])


def test_attacked_pixels_stay_in_their_range():
    # Only a sum below 0 would mislead this model, which needs pixels below 0.
    dark = np.full((3, 2, 2, 1), 0.05, np.float32)
    model = linear_model(-np.ones((2, 2)))
    assert robustness.attack(model, dark, np.zeros(3, np.int64), seed=0).all()


def test_batches_are_joined_in_order(monkeypatch):
    monkeypatch.setattr(robustness, "BATCH_SIZE", 2)
    images = np.full((5, 2, 2, 1), 0.5, np.float32)
    labels = np.array([1, 1, 0, 1, 0])
    found = robustness.attack(linear_model(np.ones((2, 2))), images, labels, seed=0)
    assert found.tolist() == [True, True, False, True, False]


def predict(images):
    """Class 1 where the mean pixel is above a half."""
    bright = images.mean(axis=(1, 2, 3)) > 0.5
    return np.stack([~bright, bright], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def measured():
    """The robustness of `predict`, 6 of 60 labels wrong, with the images and labels."""
    random = np.random.default_rng(0)
    images = random.random((60, 8, 8, 1)) * 0.4 + random.random((60, 1, 1, 1)) * 0.6
    images = images.astype(np.float32)
    labels = (images.mean(axis=(1, 2, 3)) > 0.5).astype(np.int64)
    labels[:6] = 1 - labels[:6]
    model = linear_model(np.ones((8, 8)), bias=-32.0)
    return robustness.measure_robustness(predict, model, images, labels, seed=3), images, labels


def test_each_accuracy_is_that_on_images_corrupted_or_attacked_here(measured):
    found, images, labels = measured
    assert found.n_images == 60
    assert found.accuracy == wilson_interval(54, 60)
    assert [curve.name for curve in found.curves] == [c.name for c in CORRUPTIONS]
    for curve, corruption in zip(found.curves, CORRUPTIONS, strict=True):
        assert (curve.unit, curve.strengths) == (corruption.unit, corruption.strengths)
        for strength, accuracy in zip(curve.strengths, curve.accuracies, strict=True):
            corrupted = corrupt(corruption, images, strength, seed=3)
            right = predict(corrupted).argmax(axis=1) == labels
            assert accuracy == wilson_interval(int(right.sum()), 60)
    # The attack spares images far from the decision boundary.
    far = np.abs(images.mean(axis=(1, 2, 3)) - 0.5) > 0.1
    far[:6] = False
    assert found.attack.accuracy == wilson_interval(int(far.sum()), 60)
    assert (found.attack.epsilon, found.attack.n_images) == (0.1, 60)


def test_a_broken_record_names_the_command_that_makes_it(tmp_path):
    (tmp_path / "stress.json").write_text('{"n": 3}', encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"apparel stress"):
        files.read_robustness(tmp_path)


def test_the_command_records_and_prints_the_same_result(
    run_copy, command: Command, tmp_path, monkeypatch
):
    monkeypatch.setattr(robustness, "STEPS", 1)  # the full attack takes a minute
    monkeypatch.setattr(robustness, "CORRUPTIONS", CORRUPTIONS[:1])
    looks = RunDirectory.open(run_copy).settings()["test_looks"]
    done = command("stress", "run")
    assert (done.returncode, done.stderr) == (0, "")
    read = json.loads((run_copy / "stress.json").read_text(encoding="utf-8"))
    metrics = json.loads((run_copy / "metrics.json").read_text(encoding="utf-8"))
    assert read["n"] == metrics["n"] == 1000
    assert read["accuracy"] == metrics["accuracy"]
    assert f"{read['corruptions']['noise']['accuracies'][0]['value']:6.1%}" in done.stdout
    assert f"Under attack: {read['attack']['accuracy']['value']:.1%}" in done.stdout
    assert f"have been scored {looks + 1} times" in done.stdout
    assert (run_copy / "plots" / "robustness.png").read_bytes()[:4] == b"\x89PNG"
    assert 'id="robustness"' in (run_copy / "report.html").read_text(encoding="utf-8")
