"""Muon against the singular value decomposition, and Adam as Keras has it."""

import keras
import numpy as np
import pytest

from apparel.training.muon import MOMENTUM, Muon, orthogonalize


@pytest.mark.parametrize("shape", [(27, 8), (8, 27), (16, 16)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_step_has_the_directions_of_the_gradient_and_equal_lengths(shape, dtype):
    random = np.random.default_rng(0)
    matrix = random.normal(size=shape).astype(np.float32)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    step = np.asarray(orthogonalize(keras.ops.convert_to_tensor(matrix), dtype))
    assert (step.shape, step.dtype) == (shape, np.float32)
    along = left.T @ step @ right.T  # diagonal where the directions are kept
    clear = values > 0.1 * values.max()
    assert (np.diag(along)[clear] > 0.5).all()
    assert (np.diag(along)[clear] < 1.5).all()
    off_diagonal = along - np.diag(np.diag(along))
    assert np.abs(off_diagonal).max() < (0.05 if dtype == "bfloat16" else 1e-5)


def optimizer(**changes):
    settings = {"adam_lr_ratio": 0.5, "exclude_layers": ("stem",), "dtype": "float32"} | changes
    return Muon(0.1, **settings)


def kernel_model():
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, name="stem"),
            layers.Conv2D(5, 3, name="other"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def test_kernels_keep_their_norm_and_move_along_the_orthogonal_step():
    model, muon = kernel_model(), optimizer()
    muon.build(model.trainable_variables)
    kernel = model.get_layer("other").kernel
    index = [v.path for v in model.trainable_variables].index(kernel.path)
    before = np.asarray(kernel).copy()
    random = np.random.default_rng(0)
    values = [random.normal(size=v.shape).astype(np.float32) for v in model.trainable_variables]
    muon.apply([keras.ops.convert_to_tensor(value) for value in values])
    momentum = values[index]
    rows = (values[index] + MOMENTUM * momentum).reshape(-1, 5)
    step = np.asarray(orthogonalize(keras.ops.convert_to_tensor(rows), "float32"))
    expected = before * np.sqrt(5) / np.linalg.norm(before) - 0.1 * step.reshape(before.shape)
    np.testing.assert_allclose(np.asarray(kernel), expected, atol=1e-6)


def test_all_other_weights_are_adams():
    model, muon = kernel_model(), optimizer()
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    adam = keras.optimizers.Adam(0.05, beta_1=0.9, beta_2=0.95, epsilon=1e-8)
    random = np.random.default_rng(0)
    for _ in range(5):
        values = [random.normal(size=v.shape).astype(np.float32) for v in model.trainable_variables]
        for one, rule in ((model, muon), (copy, adam)):
            rule.apply(
                [keras.ops.convert_to_tensor(value) for value in values], one.trainable_variables
            )
    for ours, theirs in zip(model.weights, copy.weights, strict=True):
        equal = np.allclose(np.asarray(ours), np.asarray(theirs), atol=1e-5)
        assert equal == ("other/kernel" not in ours.path), ours.path
