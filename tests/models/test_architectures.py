"""The architectures by name, and calibrated heads, against their formulas."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.special import softmax

from apparel.core.errors import UsageError
from apparel.core.records import UNCALIBRATED
from apparel.evaluation import calibration as calibration_module
from apparel.models import architectures


def create(seed=0, n_classes=10, img_shape=(28, 28, 1)):
    return architectures.create("cnn", n_classes=n_classes, img_shape=img_shape, seed=seed)


def test_the_cnn_has_the_documented_layers():
    model = create()
    assert isinstance(model, keras.Sequential)
    assert not model.compiled
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == [
        "Conv2D", "Conv2D", "MaxPooling2D", "Dropout", "Flatten", "Dense", "Dense", "Dense",
    ]  # fmt: skip
    first, second, pool, dropout, _, wide, narrow, last = model.layers
    assert (first.filters, second.filters) == (32, 64)
    assert first.kernel_size == second.kernel_size == (3, 3)
    assert first.padding == second.padding == "valid"
    assert first.strides == second.strides == (1, 1)
    assert (pool.pool_size, dropout.rate) == ((2, 2), 0.25)
    assert (wide.units, narrow.units, last.units) == (128, 64, 10)
    chosen = [
        (layer.activation.__name__, type(layer.kernel_initializer).__name__)
        for layer in (first, second, wide, narrow, last)
    ]
    assert chosen == [
        ("relu", "HeNormal"), ("relu", "GlorotUniform"), ("relu", "HeNormal"),
        ("relu", "GlorotUniform"), ("softmax", "GlorotUniform"),
    ]  # fmt: skip
    convolutions = 32 * (3 * 3 * 1 + 1) + 64 * (3 * 3 * 32 + 1)
    dense = 128 * (12 * 12 * 64 + 1) + 64 * (128 + 1) + 10 * (64 + 1)
    assert model.count_params() == convolutions + dense == 1_207_498
    other = create(n_classes=3, img_shape=(12, 10, 3))
    assert (other.input_shape, other.output_shape) == ((None, 12, 10, 3), (None, 3))


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"there is no model 'resnet'\. Choose one of: cnn, fast"):
        architectures.create("resnet", n_classes=2, img_shape=(8, 8, 1), seed=0)


@pytest.mark.parametrize("scaling", [{}, {"slope": 3.0, "knee": 0.2}])
@pytest.mark.parametrize(("name", "width"), [("cnn", None), ("fast", 8)])
def test_a_head_is_calibrated_by_the_formula_gives_its_logits_and_can_be_removed(
    name, width, scaling
):
    model = architectures.create(name, n_classes=4, img_shape=(8, 8, 1), seed=0, width=width)
    random = np.random.default_rng(0)
    weights = model.layers[-1].get_weights()
    model.layers[-1].set_weights([w + random.random(w.shape) for w in weights])
    images = random.random((5, 8, 8, 1), dtype=np.float32)
    before, kinds = np.asarray(model(images)), [type(layer) for layer in model.layers]
    calibration = replace(UNCALIBRATED, temperature=2.5, **scaling)
    found = architectures.calibrated(model, calibration)
    probabilities = np.asarray(found(images))
    expected = calibration_module.calibrated(before, calibration)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    logits = np.asarray(architectures.logits_model(found)(images))
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3
    np.testing.assert_allclose(softmax(logits, axis=1), probabilities, atol=1e-6)
    if name == "fast":
        again = architectures.uncalibrated(found)
        assert [type(layer) for layer in again.layers] == kinds
        assert again.name == found.name == name
        # The temperature stays in the weights.
        expected = calibration_module.calibrated(before, replace(calibration, slope=1, knee=0))
        np.testing.assert_allclose(np.asarray(again(images)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "asked", "width", "stem"),
    [("fast", None, 32, 16), ("best", None, 96, 32), ("fast", 8, 8, 16)],
)
def test_fast_and_best_have_as_many_weights_as_counted_by_hand(name, asked, width, stem):
    model = architectures.create(name, n_classes=10, img_shape=(28, 28, 1), seed=0, width=asked)
    expected, before = (3 * 3 * 1 + 3) * stem + (3 * 3 * stem + 3) * stem, stem
    for channels in (width, 2 * width, 4 * width):
        expected += 9 * before * channels + 9 * channels**2
        expected += 3 * 2 * channels  # each normalisation's offset, mean and variance
        before = channels
    assert model.count_params() == expected + 10 * before
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


@pytest.mark.parametrize("img_shape", [(6, 6, 1), (9, 40, 3)])
def test_fast_gives_probabilities_for_images_of_any_size(img_shape):
    model = architectures.create("fast", n_classes=4, img_shape=img_shape, seed=0, width=4)
    images = np.random.default_rng(0).random((5, *img_shape), dtype=np.float32)
    probabilities = np.asarray(model(images))
    assert probabilities.shape == (5, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
