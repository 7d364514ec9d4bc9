"""The architectures: a name and the data's shape → an uncompiled `keras.Model`; heads and weights.

`cnn` is the small CNN that apparel started from. `fast` and `best` follow the networks that
train quickest to a given accuracy on CIFAR-10 (K. Jordan, "94 % on CIFAR-10 in 3.29 Seconds on a
Single GPU", 2024, arXiv 2404.00498, and the networks of D. Page, "How to Train Your ResNet", 2018,
before it): stages of two 3 x 3 convolutions without bias, batch normalisation (S. Ioffe and
C. Szegedy, 2015, arXiv 1502.03167) without scale, pooling before the normalisation, a global
maximum and one dense layer. The first stage sees the images at full resolution, with few channels.
The activation is ReLU: on a CPU in bfloat16, GELU costs as much as a convolution. `best` is
`fast`, wider. docs/performance.md says what else was tried.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import DataError, ModelFileError, UsageError
from apparel.core.recipes import HEAD, RECIPES, STEM, check_name
from apparel.core.records import Calibration
from apparel.core.validation import whole_number

# Two 3 x 3 convolutions take four pixels, and pooling needs two.
SMALLEST_SIDE = 6


def create(
    name: str,
    *,
    n_classes: int,
    img_shape: tuple[int, int, int],
    seed: int,
    width: int | None = None,
) -> Any:
    """Build a model with fresh weights.

    Args:
        name: a name of `recipes.RECIPES`.
        n_classes: number of probabilities that the model gives.
        img_shape: height, width and channels of one image.
        seed: random seed of the initial weights.
        width: channels of the first stage; None for the default, or for a model of one size.

    Returns:
        A `keras.Model` in float32, uncompiled: float32 (n, h, w, c) in [0, 1] to
        probabilities (n, n_classes).

    Raises:
        UsageError: the name is unknown, or the number of classes or the shape is invalid.
        DataError: the images are too small for this model.
    """
    check_name(name)
    n_classes = whole_number("n_classes", n_classes, minimum=2)
    img_shape = _checked_shape(img_shape)
    if min(img_shape[:2]) < SMALLEST_SIDE:
        raise DataError(
            f"images of shape {img_shape} are too small: the model {name} needs a height and "
            f"width of at least {SMALLEST_SIDE}. Give larger images, as height, width, channels."
        )
    backend.seed_everything(seed)
    if name == "cnn":
        return _cnn(n_classes, img_shape)
    return _convnet(name, n_classes, img_shape, width or RECIPES[name].width or 0)


def calibrated(model: Any, calibration: Calibration) -> Any:
    """Build a calibration into the head of a model.

    Args:
        model: a `keras.Model` whose last layer is dense, with softmax; its weights may change.
        calibration: gives temperature, knee and slope.

    Returns:
        A `keras.Model` that ends in softmax: the same one, with its last weights divided by the
        temperature; or with a slope, one that shares all layers but the last.
    """
    dense = model.layers[-1]
    kernel, *bias = (weights / calibration.temperature for weights in dense.get_weights())
    if calibration.slope == 1:
        dense.set_weights([kernel, *bias])
        return model
    offset = sum((b - b.mean() for b in bias), np.zeros(kernel.shape[1], np.float32))
    scaled = _with_scaled_logits(model, calibration.slope)
    centred = kernel - kernel.mean(axis=1, keepdims=True)
    scaled.layers[-3].set_weights([centred, offset - calibration.knee / calibration.temperature])
    return scaled


def uncalibrated(model: Any) -> Any:
    """Remove the layers that `calibrated` added, so that training can continue.

    A temperature in the weights stays: it is as good a start as any.

    Args:
        model: a `keras.Model` that ends in softmax.

    Returns:
        The same one, or one that ends in a dense layer with softmax again.
    """
    layers = backend.load_keras().layers
    if not isinstance(model.layers[-1], layers.Softmax):
        return model
    linear = model.layers[-3]
    dense = layers.Dense(
        linear.units, activation="softmax", use_bias=False, name=HEAD, dtype="float32"
    )
    outputs = dense(linear.input)
    # Its bias is the same for all classes, which softmax does not see.
    dense.set_weights(linear.get_weights()[:1])
    return _with_head(model, outputs)


def logits_model(model: Any) -> Any:
    """Give the same network without its softmax.

    Args:
        model: a `keras.Model` that ends in softmax, as a layer or as the activation of one.

    Returns:
        A `keras.Model` that shares all other layers: images to logits, shape (n, k).
    """
    keras, last = backend.load_keras(), model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return _with_head(model, last.input)
    linear = keras.layers.Dense.from_config(last.get_config() | {"activation": "linear"})
    shortened = _with_head(model, linear(last.input))
    linear.set_weights(last.get_weights())
    return shortened


def named_weights(model: Any) -> dict[str, NDArray[np.float32]]:
    """Give the weights of a model by name, for a file.

    Args:
        model: a float32 `keras.Model`.

    Returns:
        Each array by the number of its layer, the kind of layer and the kind of weight, for
        example "00.conv2d.kernel": Keras's own names depend on the models built before.
    """
    return {name: np.asarray(weight) for name, weight in _named_variables(model)}


def rebuild(
    name: str,
    *,
    n_classes: int,
    img_shape: tuple[int, int, int],
    width: int | None,
    calibration: Calibration,
    weights: Mapping[str, NDArray[Any]],
) -> Any:
    """Build a trained and calibrated model again, from its settings and its weights.

    Args:
        name: a name of `recipes.RECIPES`.
        n_classes: number of probabilities that the model gives.
        img_shape: height, width and channels of one image.
        width: channels of the first stage; None for the default, or for a model of one size.
        calibration: that `calibrated` built into the model.
        weights: by `named_weights`.

    Returns:
        The `keras.Model`, uncompiled; it computes what the trained one computed, bit for bit.

    Raises:
        ModelFileError: the weights do not fit this model exactly.
        UsageError: the name is unknown, or the number of classes or the shape is invalid.
        DataError: the images are too small for this model.
    """

    def build() -> Any:
        model = create(name, n_classes=n_classes, img_shape=img_shape, seed=0, width=width)
        slope = calibration.slope
        return model if slope == 1 else _with_scaled_logits(model, slope)

    # Settings may claim any size: variables take no memory before the weights are known to fit.
    with backend.load_keras().StatelessScope(initialize_variables=False):
        expected = {
            name: (tuple(variable.shape), str(variable.dtype))
            for name, variable in _named_variables(build())
        }
    found = {name: (array.shape, str(array.dtype)) for name, array in weights.items()}
    for key in sorted(expected.keys() | found.keys()):
        if found.get(key) != expected.get(key):
            raise ModelFileError(
                f"the weights do not fit the model {name}: {key} is "
                f"{_described(found.get(key))}, expected {_described(expected.get(key))}"
            )
    model = build()
    for key, variable in _named_variables(model):
        variable.assign(weights[key])
    return model


def _named_variables(model: Any) -> Iterator[tuple[str, Any]]:
    """Each weight of a model with its name in a file."""
    layers = [layer for layer in model.layers if layer.weights]
    for k, layer in enumerate(layers):
        for variable in layer.weights:
            yield f"{k:02d}.{type(layer).__name__.lower()}.{variable.name}", variable


def _described(array: tuple[tuple[int, ...], str] | None) -> str:
    """The shape and dtype of an array, or that there is none."""
    return f"{array[1]} of shape {array[0]}" if array else "missing"


def weights_sha256(model: Any) -> str:
    """Hash the weights of a model: equal hashes mean equal weights, bit for bit.

    It is the SHA-256 of the shape, dtype and little-endian bytes of each weight, in the order of
    `model.weights`.
    """
    digest = hashlib.sha256()
    for weight in model.get_weights():
        array = np.asarray(weight)
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _with_scaled_logits(model: Any, slope: float) -> Any:
    """A model with another head: a dense layer, negative logits times the slope, softmax."""
    layers, dense = backend.load_keras().layers, model.layers[-1]
    x = layers.Dense(dense.units, name=HEAD, dtype="float32")(dense.input)
    x = layers.LeakyReLU(slope, dtype="float32")(x)
    return _with_head(model, layers.Softmax(dtype="float32")(x))


def _with_head(model: Any, outputs: Any) -> Any:
    """A model with another head: the same inputs and name, other outputs."""
    return backend.load_keras().Model(model.inputs[0], outputs, name=model.name)


def _checked_shape(img_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return height, width and channels as plain integers.

    Raises:
        UsageError: the shape is invalid.
    """
    if not isinstance(img_shape, Sequence) or len(img_shape) != 3:  # noqa: PLR2004  # h, w, c
        raise UsageError(
            f"img_shape must be height, width and channels, but is {img_shape!r}. "
            "Give three whole numbers, for example (28, 28, 1)."
        )
    height, width, channels = (whole_number("img_shape", n, minimum=1) for n in img_shape)
    return height, width, channels


def _cnn(n_classes: int, img_shape: tuple[int, int, int]) -> Any:
    """Two convolutions and three dense layers: the small CNN that apparel started from."""
    keras = backend.load_keras()
    layers = keras.layers
    # Explicit, because the user's configuration of Keras may differ.
    plain = {"dtype": "float32"}
    maps = {"data_format": "channels_last", **plain}
    relu = {"activation": "relu", **plain}
    return keras.Sequential(
        [
            layers.Input(img_shape, **plain),
            layers.Conv2D(32, (3, 3), activation="relu", kernel_initializer="he_normal", **maps),
            layers.Conv2D(64, (3, 3), activation="relu", **maps),
            layers.MaxPooling2D((2, 2), **maps),
            layers.Dropout(0.25, **plain),
            layers.Flatten(**maps),
            layers.Dense(128, kernel_initializer="he_normal", **relu),
            layers.Dense(64, **relu),
            layers.Dense(n_classes, activation="softmax", **plain),
        ],
        name="cnn",
    )


def _convnet(name: str, n_classes: int, img_shape: tuple[int, int, int], width: int) -> Any:
    """Two convolutions at full resolution, three stages of two, and a dense layer."""
    keras = backend.load_keras()
    layers = keras.layers
    plain = {"dtype": "float32"}
    maps = {"data_format": "channels_last", **plain}

    def convolved(x: Any, channels: int, name: str) -> Any:
        return layers.Conv2D(
            channels,
            (3, 3),
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
            **maps,
        )(x)

    def pooled(x: Any) -> Any:
        # Small images run out of pixels before the stages do.
        return layers.MaxPooling2D((2, 2), **maps)(x) if min(x.shape[1:3]) > 1 else x

    def normalized(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.6, epsilon=1e-5, scale=False, **plain)(x)

    def activated(x: Any) -> Any:
        return layers.ReLU(**plain)(x)

    inputs = x = layers.Input(img_shape, **plain)
    # Kernels take 16 or a multiple of 32 channels whole: 48 are as slow as 64.
    narrow = width // 64 * 32 or 16
    x = activated(normalized(convolved(x, narrow, STEM)))
    x = activated(normalized(pooled(convolved(x, narrow, "stage0_conv2"))))
    for stage, channels in enumerate((width, 2 * width, 4 * width), start=1):
        x = convolved(x, channels, f"stage{stage}_conv1")
        x = activated(normalized(pooled(x) if stage > 1 else x))
        x = activated(normalized(convolved(x, channels, f"stage{stage}_conv2")))
    x = layers.GlobalMaxPooling2D(**maps)(x)
    # Small at first, so that the first steps do not have to undo a random confidence.
    x = layers.Rescaling(0.1, **plain)(x)
    outputs = layers.Dense(n_classes, activation="softmax", use_bias=False, name=HEAD, **plain)(x)
    return keras.Model(inputs, outputs, name=name)
