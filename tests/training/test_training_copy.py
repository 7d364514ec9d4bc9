"""The training copy: the same function and the same weights, in another form."""

import keras
import numpy as np
import pytest

from apparel.core import backend
from apparel.models import architectures
from apparel.training import fused_layers
from apparel.training.training_copy import copy_variables, training_copy, training_optimizer
from tests.conftest import ON_TENSORFLOW, without_dropout


def test_a_bfloat16_copy_has_the_same_weights_and_a_float32_last_layer():
    model = architectures.create("cnn", n_classes=3, img_shape=(8, 8, 1), seed=0)
    copy = training_copy(model, "mixed_bfloat16")
    assert type(copy) is type(model)
    assert copy is not model
    *inner, last = copy.layers
    assert {layer.compute_dtype for layer in inner} == {"bfloat16"}
    assert last.compute_dtype == "float32"
    assert {weight.dtype for weight in copy.weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    for one, two in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    copy.layers[0].bias.assign(np.ones(32, np.float32))
    assert not np.asarray(model.layers[0].bias).any()  # nothing is shared


def test_a_float32_copy_gives_the_same_probabilities():
    model = architectures.create("cnn", n_classes=3, img_shape=(8, 8, 1), seed=0)
    # The copy adds it, and applies ReLU, after pooling.
    model.layers[1].bias.assign(np.linspace(-0.3, 0.3, 64, dtype=np.float32))
    copy = training_copy(model, "float32")
    images = np.random.default_rng(0).random((4, 8, 8, 1), dtype=np.float32)
    np.testing.assert_allclose(np.asarray(model(images)), np.asarray(copy(images)), atol=1e-6)


@ON_TENSORFLOW
def test_a_copy_drops_the_same_share_and_scales_the_rest():
    layer = training_copy(
        keras.Sequential([keras.Input((1001,)), keras.layers.Dropout(0.25), keras.layers.Dense(1)]),
        "float32",
    ).layers[0]
    ones = np.ones((400, 1001), np.float32)
    dropped = np.asarray(layer(ones, training=True))
    assert set(np.unique(dropped)) == {0, np.float32(4 / 3)}
    # 400,400 draws: five standard deviations are 0.0034.
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.0034)
    assert (dropped == 0).mean(axis=0).max() < 0.40  # 22 of 400 for each is the deviation
    assert (np.asarray(layer(ones, training=True)) != dropped).any()
    np.testing.assert_array_equal(np.asarray(layer(ones, training=False)), ones)


def test_a_copy_continues_the_models_random_state():
    model = architectures.create("cnn", n_classes=3, img_shape=(8, 8, 1), seed=0)
    images = np.random.default_rng(0).random((4, 8, 8, 1), dtype=np.float32)
    first = training_copy(model, "float32")
    earlier = np.asarray(first(images, training=True))
    copy_variables(first, model)
    second = training_copy(model, "float32")
    expected = np.asarray(first(images, training=True))
    assert (expected != earlier).any()
    np.testing.assert_array_equal(np.asarray(second(images, training=True)), expected)


def gradients(model, images, labels):
    """Loss and gradient of each weight, in training mode."""
    import tensorflow as tf  # noqa: PLC0415  # only where it is the backend

    with tf.GradientTape() as tape:
        loss = keras.ops.mean(
            keras.losses.categorical_crossentropy(labels, model(images, training=True))
        )
    return float(loss), [
        np.asarray(g) for g in tape.gradient(loss, [v.value for v in model.trainable_variables])
    ]


def largest_gradient_error(name, seed):
    """The largest error in a copy's gradients, as a share of the largest value of the gradient."""
    random = np.random.default_rng(seed)
    model = without_dropout(
        architectures.create(name, n_classes=3, img_shape=(12, 12, 1), seed=seed, width=8)
    )
    images = random.random((16, 12, 12, 1), dtype=np.float32)
    labels = np.eye(3, dtype=np.float32)[random.integers(0, 3, 16)]
    copy = training_copy(model, "float32")
    loss, expected = gradients(model, images, labels)
    copy_loss, found = gradients(copy, images, labels)
    assert copy_loss == pytest.approx(loss, rel=1e-5)
    return max(
        np.abs(one - two).max() / np.abs(two).max()
        for one, two in zip(found, expected, strict=True)
    )


@ON_TENSORFLOW
@pytest.mark.parametrize("name", ["cnn", "fast"])
def test_a_float32_copy_has_the_models_gradients(name):
    errors = sorted(largest_gradient_error(name, seed) for seed in range(5))
    # Not of all: rounding decides which of two nearly equal values a maximum picks, and where it
    # picks another one, a gradient moves elsewhere.
    assert errors[2] <= 2e-5, errors


@ON_TENSORFLOW
def test_fused_normalization_keeps_the_statistics_that_keras_keeps():
    random = np.random.default_rng(0)
    model = architectures.create("fast", n_classes=3, img_shape=(12, 12, 1), seed=0, width=4)
    copy = training_copy(model, "float32")
    images = random.random((5, 12, 12, 1), dtype=np.float32)
    for one in (model, copy):
        one(images, training=True)
    moved = 0
    for one, two in zip(model.non_trainable_variables, copy.non_trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(two), rtol=1e-4, atol=1e-6)
        moved += int("moving_mean" in one.path and np.abs(one).max() > 0)
    assert moved == 8
    np.testing.assert_allclose(model(images), copy(images), atol=1e-5)


def plain_and_faster(side, n_images, channels, *, amx):
    """The traced functions of a convolution of Keras and of its faster form.

    They give outputs and gradients of images and kernel.
    """
    import tensorflow as tf  # noqa: PLC0415  # only where it is the backend

    random = np.random.default_rng(side)
    images = tf.constant(random.normal(size=(n_images, side, side, 3)), tf.float32)
    upstream = tf.constant(random.normal(size=(n_images, side, side, channels)), tf.float32)
    faster = fused_layers.JoinedConv2D if amx else fused_layers.TransposedConv2D
    kinds = (keras.layers.Conv2D, faster)
    layers = [kind(channels, 3, padding="same", use_bias=False) for kind in kinds]
    for layer in layers:
        layer.build(images.shape)
        layer.set_weights(layers[0].get_weights())

    def traced(layer):
        @tf.function
        def differentiate():
            with tf.GradientTape() as tape:
                tape.watch(images)
                convolved = layer(images)
            by = [images, layer.kernel.value]
            return convolved, *tape.gradient(convolved, by, output_gradients=upstream)

        return differentiate.get_concrete_function()

    return map(traced, layers)


def kernel_gradients(found, expected):
    """The operations for the gradient of a kernel in a function that gives the expected results."""
    for one, two in zip(found(), expected(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    return [x for x in found.graph.get_operations() if x.type == "Conv2DBackpropFilter"]


@ON_TENSORFLOW
@pytest.mark.parametrize(
    ("side", "n_images", "row"),
    [(3, 5, 32), (7, 8, 32), (4, 3, 20), (1, 9, 32), (8, 4, 8)],
)
def test_images_side_by_side_give_the_gradients_of_single_ones(side, n_images, row):
    expected, found = plain_and_faster(side, n_images, 4, amx=True)
    (gradient,) = kernel_gradients(found, expected)
    assert gradient.inputs[0].shape[2] == row


@ON_TENSORFLOW
@pytest.mark.parametrize(
    ("side", "n_images", "channels", "transposes"),
    [(7, 5, 64, True), (1, 1, 80, True), (8, 4, 64, False), (3, 8, 63, False)],
)
def test_transposed_images_give_the_gradients_of_images_as_they_are(
    side, n_images, channels, transposes
):
    expected, found = plain_and_faster(side, n_images, channels, amx=False)
    assert bool(kernel_gradients(found, expected)) != transposes


@ON_TENSORFLOW
def test_kernel_gradients_are_replaced_only_on_a_processor_with_bfloat16(monkeypatch):
    model = architectures.create("fast", n_classes=3, img_shape=(28, 28, 1), seed=0)

    def copy_kinds(policy, *flags):
        monkeypatch.setattr(backend, "processor_flags", lambda: frozenset(flags))
        layers = training_copy(model, policy).layers
        return {type(x).__name__ for x in layers if isinstance(x, keras.layers.Conv2D)}

    assert copy_kinds("mixed_bfloat16", "amx_bf16", "avx512f") == {"JoinedConv2D"}
    assert copy_kinds("mixed_bfloat16", "avx512_bf16") == {"TransposedConv2D"}
    assert copy_kinds("float32", "amx_bf16", "avx512_bf16") == {"Conv2D"}
    monkeypatch.setattr(backend, "_compute_capabilities", lambda: [(9, 0)])
    assert copy_kinds("mixed_bfloat16", "avx512_bf16") == {"Conv2D"}


@ON_TENSORFLOW
def test_fused_adam_is_adam():
    random = np.random.default_rng(0)
    start = random.normal(size=(40, 3)).astype(np.float32)
    plain = keras.optimizers.Adam(0.01, beta_1=0.8, epsilon=1e-6)
    fused = training_optimizer(plain)
    assert type(fused) is not type(plain)
    weights = [keras.Variable(start) for _ in range(2)]
    for _ in range(20):
        gradient = random.normal(size=start.shape).astype(np.float32)
        for optimizer, weight in zip((plain, fused), weights, strict=True):
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    assert np.abs(np.asarray(weights[0]) - start).max() > 0.05
    np.testing.assert_allclose(*map(np.asarray, weights), rtol=1e-5, atol=1e-7)


def test_an_optimizer_without_a_fused_form_stays_what_it_is():
    for optimizer in (keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.1, amsgrad=True)):
        copy = training_optimizer(optimizer)
        assert type(copy) is type(optimizer)
        assert copy is not optimizer
        assert copy.get_config() == optimizer.get_config()
