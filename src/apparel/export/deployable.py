"""A trained model → the model that is deployed: raw pixels in, named probabilities out."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from apparel.core import backend
from apparel.core.model_formats import IMAGES, PROBABILITIES


def deployable(model: Any) -> Any:
    """Give a model that scales pixels itself.

    Args:
        model: a float32 `keras.Model` taking images in [0, 1].

    Returns:
        A `keras.Model` from "images", uint8 of shape (n, h, w, c), to "probabilities", with the
        same weights.
    """
    keras = backend.load_keras()
    shape = model.input_shape[1:]
    images = keras.layers.Input(shape, dtype="uint8", name=IMAGES)
    probabilities = model(keras.layers.Rescaling(1 / 255, dtype="float32")(images))
    deployed = keras.Model(images, {PROBABILITIES: probabilities})
    deployed(np.zeros((1, *shape), np.uint8))  # Keras exports called models only
    return deployed


def write_by_keras(model: Any, path: Path, kind: str, **options: Any) -> None:
    """Let Keras write a deployable model.

    Args:
        model: what `deployable` gave.
        path: where to.
        kind: Keras's name of the format.
        options: of Keras's exporter.

    Raises:
        ImportError: Keras lacks a package to write it.
    """
    with warnings.catch_warnings(), backend.native_stderr_held():
        # Keras's patch for tf2onnx touches NumPy names that warn, and TensorFlow what is old.
        warnings.simplefilter("ignore")
        model.export(os.fspath(path), format=kind, verbose=False, **options)
