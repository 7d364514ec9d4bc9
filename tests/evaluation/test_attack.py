"""The attack on models for which the smallest change that misleads them is known."""

import keras
import numpy as np
import pytest

from apparel.evaluation.robustness import attack
from apparel.models import gradients


def linear_model(weights):
    """Two logits, the second the weighted sum of the pixels."""
    inputs = keras.Input((2, 2, 1))
    dense = keras.layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    dense.set_weights([np.stack([np.zeros(4), np.ravel(weights)], axis=1)])
    return model


def test_a_linear_model_falls_exactly_where_it_must():
    weights = np.array([1.0, -2.0, 0.5, -0.5])
    model = linear_model(weights)
    images = np.random.default_rng(0).uniform(0.3, 0.7, (300, 2, 2, 1)).astype(np.float32)
    scores = images.reshape(300, 4) @ weights
    labels = (scores > 0).astype(np.int64)
    labels[:20] = 1 - labels[:20]
    # No pixel reaches 0 or 1, so the worst change moves the score by epsilon times the sum of |w|.
    safe = np.abs(scores) > 0.1 * np.abs(weights).sum()
    # Within rounding of the border, either answer is right.
    clear = np.abs(np.abs(scores) - 0.1 * np.abs(weights).sum()) > 1e-4
    found = attack.withstood(model, images, labels, epsilon=0.1, seed=0)
    safe[:20] = False
    assert 0 < safe.sum() < 280
    np.testing.assert_array_equal(found[clear], safe[clear])


def test_no_pixel_leaves_the_range_of_pixels():
    # Only a sum below 0 would mislead this model, which needs pixels below 0.
    model = linear_model([-1.0, -1.0, -1.0, -1.0])
    dark = np.full((3, 2, 2, 1), 0.05, np.float32)
    assert attack.withstood(model, dark, np.zeros(3, np.int64), epsilon=0.1, seed=0).all()


def test_batches_are_put_together_again(monkeypatch):
    monkeypatch.setattr(attack, "BATCH_SIZE", 2)
    model = linear_model([1.0, 1.0, 1.0, 1.0])
    images = np.full((5, 2, 2, 1), 0.5, np.float32)
    labels = np.array([1, 1, 0, 1, 0])
    found = attack.withstood(model, images, labels, epsilon=0.1, seed=0)
    assert found.tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("shape", [(3,), (2, 4)])
def test_a_gradient_is_the_formula(shape):
    at = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = gradients.gradient(lambda x: keras.ops.sum(x**3), at)
    np.testing.assert_allclose(found, 3 * at**2, rtol=1e-5)
    assert found.dtype == np.float32
