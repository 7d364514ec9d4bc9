"""Saliency maps of models whose reasons are known, and of a trained model beside a random one."""

import keras
import numpy as np
import pytest
from scipy.stats import spearmanr

from apparel.cli.loading import load_model
from apparel.data import arrays, loading
from apparel.explain import saliency
from apparel.models import architectures
from apparel.runs.run_directory import RunDirectory


def one_feature_model(side=28):
    """Class 1 where the upper left quarter is bright, class 0 where it is not."""
    convolution = keras.layers.Conv2D(1, 1, use_bias=False, name="see")
    dense = keras.layers.Dense(2, activation="softmax", name="decide")
    inputs = keras.Input((side, side, 1))
    model = keras.Sequential([inputs, convolution, keras.layers.Flatten(), dense])
    convolution.set_weights([np.ones((1, 1, 1, 1), np.float32)])
    kernel = np.zeros((side, side, 2), np.float32)
    kernel[: side // 2, : side // 2, 1] = 0.05
    dense.set_weights([kernel.reshape(-1, 2), np.array([1.0, 0.0], np.float32)])
    return model


@pytest.fixture
def images():
    return np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32) * 0.2 + 0.4


def test_occlusion_finds_the_quarter_that_decides(images):
    model = one_feature_model()
    images[:, 0, 0] = 0  # what covers is black
    found = saliency.occlusion(architectures.logits_model(model), images, np.ones(3, np.int64))
    assert found.shape == (3, 28, 28)
    assert found.max() == 1
    assert found[:, 20:, 20:].max() == 0
    assert found[:, 2:10, 2:10].min() > 0.5


def test_grad_cam_is_the_formula(images):
    model = one_feature_model()
    found = saliency.grad_cam(
        model, architectures.logits_model(model), images, np.ones(3, np.int64)
    )
    # One map, whose weight, the mean gradient, is positive: the image itself.
    expected = images[..., 0] / images[..., 0].max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_map_is_empty_where_everything_speaks_against_a_class(images):
    model = one_feature_model()
    kernel, bias = model.get_layer("decide").get_weights()
    model.get_layer("decide").set_weights([-np.abs(kernel) - 0.01, bias])
    logits, classes = architectures.logits_model(model), np.ones(3, np.int64)
    for found in (
        saliency.grad_cam(model, logits, images, classes),
        saliency.occlusion(logits, images, classes),
    ):
        assert found.min() >= 0
        np.testing.assert_array_equal(found.max(axis=(1, 2)), 1)


def test_a_blind_model_gives_empty_maps_and_no_images_give_none(images):
    model = one_feature_model()
    model.get_layer("see").set_weights([np.zeros((1, 1, 1, 1), np.float32)])
    logits, classes = architectures.logits_model(model), np.ones(3, np.int64)
    found = saliency.explain_images(model, logits, images, classes)
    assert found.grad_cam.max() == found.occlusion.max() == 0
    none = saliency.explain_images(model, logits, images[:0], classes[:0])
    assert none.grad_cam.shape == none.occlusion.shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("name", "shape"), [("cnn", (28, 28, 1)), ("fast", (9, 14, 3)), ("best", (6, 6, 1))]
)
def test_every_model_and_shape_has_maps(name, shape):
    model = architectures.create(name, n_classes=3, img_shape=shape, seed=0, width=None)
    pixels = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    found = saliency.explain_images(
        model, architectures.logits_model(model), pixels, np.array([0, 2], np.int64)
    )
    for maps in (found.grad_cam, found.occlusion):
        assert maps.shape == (2, *shape[:2])
        assert np.isfinite(maps).all()
        assert maps.min() >= 0
        np.testing.assert_array_equal(maps.max(axis=(1, 2)), 1)


@pytest.mark.slow
def test_maps_change_when_the_weights_are_randomised(finished_run):
    """The sanity check of J. Adebayo et al., 2018, arXiv 1810.03292."""
    trained = load_model(RunDirectory.open(finished_run[0]))
    random = architectures.create("cnn", n_classes=10, img_shape=(28, 28, 1), seed=7)
    images = arrays.scale_pixels(loading.load(limit=1000).test_images[:6])
    classes = np.asarray(trained(images)).argmax(axis=1)
    of_trained, again, of_random = (
        saliency.explain_images(model, architectures.logits_model(model), images, classes)
        for model in (trained, trained, random)
    )
    for kind in ("grad_cam", "occlusion"):
        one, same, other = (
            getattr(maps, kind).reshape(6, -1) for maps in (of_trained, again, of_random)
        )
        np.testing.assert_allclose(one, same, atol=1e-4)
        likeness = [abs(spearmanr(a, b).statistic) for a, b in zip(one, other, strict=True)]
        assert np.mean(likeness) < 0.6
