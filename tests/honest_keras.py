"""Models that have to be opened: those of apparel, and what plain Keras image classifiers are."""

import contextlib
import random
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from apparel import keras_file
from apparel.core import backend
from apparel.core.records import UNCALIBRATED
from apparel.core.settings import Settings
from apparel.export import keras_format
from apparel.models import architectures
from apparel.training import fit

keras = backend.load_keras()
layers = keras.layers

SHAPES = ((6, 6, 1), (8, 9, 1), (10, 12, 3), (13, 7, 2), (28, 28, 1), (16, 16, 4))
WIDTHS: dict[str, tuple[int | None, ...]] = {
    "cnn": (None,),
    "fast": (None, 1, 16, 33, 64),
    "best": (None, 8, 48, 70),
}
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64")


def honest(seed: int) -> tuple[str, Any]:
    """A model by chance.

    Args:
        seed: of the chances; every fifth model is one of apparel's by turns.

    Returns:
        What it is, and a `keras.Model`: images in [0, 1] to probabilities.
    """
    chance = random.Random(seed)  # noqa: S311  # no secrets
    keras.utils.set_random_seed(seed)
    kind = chance.choice(("cnn", "fast", "best", "sequential", "functional"))
    shape, n_classes = chance.choice(SHAPES), chance.choice((2, 3, 10, 101))
    if kind in WIDTHS:
        return _apparel(kind, shape, n_classes, seed, chance)
    policy = chance.choice(POLICIES)
    with policy_set(policy):
        build = _sequential if kind == "sequential" else _functional
        model = None
        while model is None:
            with contextlib.suppress(ValueError):  # of images that ran out of pixels
                model = build(shape, n_classes, chance)
        compiled = _compile(model, chance)
        # In others, some of Keras's own measures fail.
        if compiled and policy == "float32":
            _train(model, chance)
    return f"{seed}: {kind} {policy} {shape} {n_classes} {compiled}", model


def _apparel(
    kind: str, shape: tuple[int, int, int], n_classes: int, seed: int, chance: random.Random
) -> tuple[str, Any]:
    width = chance.choice(WIDTHS[kind])
    settings = Settings(model_name=kind, width=width)
    model = architectures.create(kind, n_classes=n_classes, img_shape=shape, seed=seed, width=width)
    fit.compile_model(model, settings)
    _train(model, chance)
    slope = chance.choice((None, 1.0, 2.5))
    if slope:
        found = replace(UNCALIBRATED, temperature=1.3, slope=slope, knee=-1.5)
        model = architectures.calibrated(model, found)
        if slope != 1:
            fit.compile_model(model, settings)
    if chance.random() < 0.2:
        model = architectures.logits_model(model)
    return f"{seed}: {kind} {width} {shape} {n_classes} {slope}", model


@contextlib.contextmanager
def policy_set(policy: str) -> Iterator[None]:
    """Build layers in another number format."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _train(model: Any, chance: random.Random) -> None:
    """Train for a step, or not."""
    if chance.random() < 0.5:
        return
    draw = np.random.default_rng(0)
    images = draw.random((4, *model.input_shape[1:]), dtype=np.float32)
    labels = np.eye(model.output_shape[-1], dtype=np.float32)[
        draw.integers(0, model.output_shape[-1], 4)
    ]
    model.run_eagerly = True  # which the file does not say; it saves seconds of tracing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of inputs in a list of one
        model.train_on_batch(images, labels)


def _compile(model: Any, chance: random.Random) -> str:
    """Compile in one of the ways that users do, or not at all."""
    optimizers = keras.optimizers
    schedules = optimizers.schedules
    chosen = chance.choice((
        "", "adam", "rmsprop", "sgd", optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        optimizers.AdamW(weight_decay=1e-4, amsgrad=True), optimizers.Nadam(), optimizers.Lion(),
        optimizers.Adam(schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=5)),
        optimizers.SGD(schedules.PiecewiseConstantDecay([5, 10], [0.1, 0.01, 0.001])),
        optimizers.Adam(schedules.ExponentialDecay(0.1, 100, 0.9), clipnorm=1.0, use_ema=True),
        optimizers.RMSprop(centered=True, momentum=0.5), optimizers.Adafactor(),
        optimizers.Ftrl(), optimizers.Adamax(), optimizers.Adagrad(), optimizers.Adadelta(),
        optimizers.Lamb(), optimizers.Muon(), optimizers.Adam(gradient_accumulation_steps=2),
    ))  # fmt: skip
    if not chosen:
        return ""
    loss = chance.choice((
        "categorical_crossentropy", keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        keras.losses.CategoricalFocalCrossentropy(), "kl_divergence", "mse",
        keras.losses.categorical_crossentropy,
    ))  # fmt: skip
    metrics = chance.choice((
        None, ["accuracy"], ["accuracy", keras.metrics.Precision(name="precision")],
        [keras.metrics.categorical_accuracy],
        ["acc", keras.metrics.AUC(name="auc"), keras.metrics.TopKCategoricalAccuracy(2)],
        [keras.metrics.F1Score(average="macro"), "mse", "top_k_categorical_accuracy"],
    ))  # fmt: skip
    model.compile(chosen, loss, metrics=metrics)
    return f"{getattr(chosen, 'name', chosen)} {getattr(loss, 'name', loss)}"


def _convolution(chance: random.Random) -> Any:
    padding = chance.choice(("same", "valid"))
    filters, activation = chance.choice((1, 4, 8)), chance.choice(("relu", "gelu", "silu", None))
    return chance.choice((
        lambda: layers.Conv2D(filters, 3, padding=padding, activation=activation,
                              kernel_regularizer="l2", kernel_initializer="he_normal"),
        lambda: layers.Conv2D(filters, (1, 2), strides=2, padding="same", use_bias=False,
                              kernel_constraint=keras.constraints.MaxNorm(2)),
        lambda: layers.Conv2D(filters, 2, dilation_rate=2, padding="same",
                              activity_regularizer=keras.regularizers.L1L2(1e-5, 1e-5)),
        lambda: layers.DepthwiseConv2D(3, padding=padding, depth_multiplier=2),
        lambda: layers.SeparableConv2D(filters, 3, padding=padding, activation=activation),
    ))()  # fmt: skip


def _between(chance: random.Random) -> Any:
    initializer = keras.initializers.RandomNormal(stddev=0.1, seed=3)
    return chance.choice((
        lambda: layers.BatchNormalization(momentum=0.6, scale=chance.random() < 0.5),
        lambda: layers.BatchNormalization(center=False, gamma_initializer=initializer),
        layers.LayerNormalization,
        lambda: layers.LayerNormalization(axis=[1, 2], scale=False),
        layers.ReLU,
        lambda: layers.ReLU(6.0, negative_slope=0.1),
        lambda: layers.LeakyReLU(0.2),
        lambda: layers.Activation("hard_swish"),
        lambda: layers.Dropout(0.25, seed=7),
        lambda: layers.Dropout(0.0),
        lambda: layers.SpatialDropout2D(0.1),
        lambda: layers.ZeroPadding2D(((1, 0), (0, 2))),
        lambda: layers.Rescaling(1 / 2, offset=-1),
    ))()  # fmt: skip


def _pooling(chance: random.Random) -> Any:
    return chance.choice((
        lambda: layers.MaxPooling2D(padding="same"),
        lambda: layers.AveragePooling2D(2, strides=1, padding="same"),
    ))()  # fmt: skip


def _flattening(chance: random.Random) -> Any:
    return chance.choice((
        layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D,
    ))()  # fmt: skip


def _end(n_classes: int, chance: random.Random) -> list[Any]:
    """From features to probabilities."""
    return chance.choice((
        lambda: [layers.Dense(n_classes, activation="softmax")],
        lambda: [layers.Dense(5, "relu", trainable=False), layers.Dropout(0.5),
                 layers.Dense(n_classes, use_bias=False), layers.Activation("softmax")],
        lambda: [layers.Dense(6), layers.BatchNormalization(), layers.Reshape((2, 3)),
                 layers.Reshape((-1,)), layers.Dense(n_classes), layers.Softmax(dtype="float32")],
    ))()  # fmt: skip


def _sequential(shape: tuple[int, int, int], n_classes: int, chance: random.Random) -> Any:
    first = [keras.Input(shape)] if chance.random() < 0.8 else []
    middle = [
        made
        for _ in range(chance.randrange(1, 3))
        for made in (_convolution(chance), _between(chance), _pooling(chance))
    ]
    model = keras.Sequential(
        [*first, *middle, _flattening(chance), *_end(n_classes, chance)],
        name=chance.choice((None, "my_model", "net1", "m-2")),
    )
    if not first:
        model.build((None, *shape))
    return model


def _functional(shape: tuple[int, int, int], n_classes: int, chance: random.Random) -> Any:
    inputs = x = keras.Input(shape, name=chance.choice((None, "images")))
    for _ in range(chance.randrange(1, 3)):
        x = _between(chance)(_convolution(chance)(x))
        same = layers.Conv2D(x.shape[-1], 3, padding="same")(x)
        kind = chance.choice(("add", "multiply", "squeeze", "concatenate"))
        if kind == "add":
            x = layers.Add()([x, same])
        elif kind == "multiply":
            x = layers.multiply([x, same])
        elif kind == "squeeze":
            weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
            x = layers.Multiply()([x, layers.Dense(x.shape[-1], "sigmoid")(weights)])
        else:
            x = layers.Concatenate(axis=chance.choice((-1, 3)))([x, same, x])
        x = layers.BatchNormalization()(x, training=chance.choice((None, False)))
    x = _flattening(chance)(x)
    for made in _end(n_classes, chance):
        x = made(x)
    ends = chance.choice(((inputs, x), ([inputs], [x]), ([inputs], x)))
    return keras.Model(*ends, name=chance.choice((None, "my_model")))


def check(model: Any, path: Path) -> None:
    """Assert that a model comes back from a file as it is, bit for bit, and as Keras reads it.

    Args:
        model: to save.
        path: the file to write.
    """
    model.save(path)
    found = keras_file.read(path)
    for layer in model.layers:
        variables = [*layer._trainable_variables, *layer._non_trainable_variables]
        arrays = found.weights[layer.name]
        assert len(arrays) == len(variables), layer.name
        for array, variable in zip(arrays, variables, strict=True):
            held = keras.ops.convert_to_numpy(variable)
            np.testing.assert_array_equal(array, held.astype(array.dtype))
            assert array.shape == held.shape
            assert array.dtype == (held.dtype if held.dtype != "bfloat16" else np.float32)
    opened = keras_format.load_keras_model(path)
    with warnings.catch_warnings():
        # Of optimisers whose state it leaves out.
        warnings.simplefilter("ignore", UserWarning)
        expected = keras.models.load_model(path)
    assert [layer.name for layer in opened.layers] == [layer.name for layer in expected.layers]
    for one, other in zip(opened.weights, expected.weights, strict=True):
        assert one.path == other.path
        assert one.dtype == other.dtype
        assert one.trainable == other.trainable
        values = [keras.ops.convert_to_numpy(variable) for variable in (one, other)]
        np.testing.assert_array_equal(*values)
    assert named(opened.get_config()) == named(expected.get_config())
    assert named(opened.get_compile_config()) == named(expected.get_compile_config())
    images = np.random.default_rng(1).random((3, *model.input_shape[1:]), dtype=np.float32)
    with warnings.catch_warnings():
        # Of inputs in a list of one.
        warnings.simplefilter("ignore", UserWarning)
        said = [keras.ops.convert_to_numpy(m(images, training=False)) for m in (opened, expected)]
    np.testing.assert_array_equal(*said)


def named(config: Any) -> Any:
    """A configuration with names in the place of functions, and lists in that of tuples."""
    if isinstance(config, dict):
        if config.get("class_name") == "function":
            return config["config"]
        return {key: named(value) for key, value in config.items()}
    return [named(value) for value in config] if isinstance(config, list | tuple) else config


def check_many(folder: Path, n: int, *, first: int = 0) -> list[str]:
    """Check models by chance; give what each was.

    Args:
        folder: to write the files to.
        n: how many.
        first: the seed of the first one.
    """
    found = []
    for seed in range(first, first + n):
        name, model = honest(seed)
        try:
            check(model, folder / "m.keras")
        except Exception as error:
            error.add_note(name)
            raise
        found.append(name)
        keras.backend.clear_session()
    return found
