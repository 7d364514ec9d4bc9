"""The architectures: a name and the data's shape → an uncompiled `keras.Model`."""

from collections.abc import Callable
from typing import Any

from apparel import backend
from apparel.errors import UsageError


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
        UsageError: the name is unknown.
    """
    check_name(name)
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


def _cnn(n_classes: int, img_shape: tuple[int, int, int]) -> Any:
    """Two convolutions and three dense layers: the small CNN that apparel started from."""
    keras = backend.load_keras()
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(img_shape),
            layers.Conv2D(32, (3, 3), activation="relu", kernel_initializer="he_normal"),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(64, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ],
        name="cnn",
    )


_BUILDERS: dict[str, Callable[[int, tuple[int, int, int]], Any]] = {"cnn": _cnn}
