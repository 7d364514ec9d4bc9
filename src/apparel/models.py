"""The architectures: a name and the data's shape → an uncompiled `keras.Model`."""

from collections.abc import Callable, Sequence
from typing import Any

from apparel import backend
from apparel.errors import DataError, UsageError
from apparel.records import whole_number

# Two 3 x 3 convolutions take four pixels, and pooling needs two.
SMALLEST_SIDE = 6


def create(name: str, *, n_classes: int, img_shape: tuple[int, int, int], seed: int) -> Any:
    """Build a model with fresh weights.

    Args:
        name: one of `names()`.
        n_classes: how many probabilities the model gives.
        img_shape: height, width and channels of one image.
        seed: of the initial weights.

    Returns:
        A `keras.Model` in float32, uncompiled: float32 (n, h, w, c) in [0, 1] to
        probabilities (n, n_classes).

    Raises:
        UsageError: the name is unknown, or the number of classes or the shape makes no sense.
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
    return _BUILDERS[name](n_classes, img_shape)


def names() -> tuple[str, ...]:
    """The known architectures."""
    return tuple(_BUILDERS)


def check_name(name: str) -> None:
    """Check that an architecture exists, without loading Keras.

    Raises:
        UsageError: it does not.
    """
    if name not in _BUILDERS:
        raise UsageError(f"there is no model {name!r}. Choose one of: {', '.join(_BUILDERS)}.")


def _checked_shape(img_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Check that a shape is height, width and channels.

    Raises:
        UsageError: it is not.
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
    # Said here, because a user's Keras may be set to something else.
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


_BUILDERS: dict[str, Callable[[int, tuple[int, int, int]], Any]] = {"cnn": _cnn}
