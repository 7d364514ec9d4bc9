"""`.keras`: Keras's own file, with standard layers only."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel import keras_file
from apparel.core import backend
from apparel.core.errors import ModelFileError
from apparel.export.format import PROBABILITIES, Network, Run

# Keras's 32 would keep two cores waiting.
BATCH_SIZE = 256


class KerasFormat:
    """See `Format`. Such a file takes scaled images, and says nothing of itself."""

    runtime = "Keras"

    def version(self) -> str:
        """See `Format`."""
        return str(backend.load_keras().__version__)

    def write(self, network: Network, path: Path) -> None:
        """See `Format`."""
        network.model.save(path)

    def open(self, path: Path) -> Run:
        """See `Format`."""
        return model_run(load_keras_model(path))

    def needs(self, path: Path) -> dict[str, object]:  # noqa: ARG002  # of any file
        """See `Format`."""
        return {"runtime": self.runtime, "version": self.version()}

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:
        """Leave the file as Keras wrote it."""

    def read_facts(self, path: Path) -> None:
        """There are none."""


def model_run(model: Any) -> Run:
    """Compute with a `keras.Model` that takes images in [0, 1]."""

    def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        images = pixels / np.float32(255)
        return {PROBABILITIES: np.asarray(model.predict(images, batch_size=BATCH_SIZE, verbose=0))}

    return run


def load_keras_model(path: str | os.PathLike[str]) -> Any:
    """Examine a `.keras` file, and build its model from what was found.

    Keras makes the layers, of a configuration in which all is known; it never reads the file. The
    optimiser begins anew.

    Returns:
        The `keras.Model`.

    Raises:
        ModelFileError: it is missing, broken, or has what apparel does not open.
    """
    found = keras_file.read(path)
    keras = backend.load_keras()
    kinds = {keras_file.SEQUENTIAL: keras.Sequential, keras_file.FUNCTIONAL: keras.Model}
    try:
        # Keras changes what it is given.
        model = kinds[found.kind].from_config(copy.deepcopy(found.config))
        layers = {layer.name: layer for layer in model.layers}
        for name, arrays in found.weights.items():
            layers[name].load_own_variables({str(k): array for k, array in enumerate(arrays)})
        if found.compile_config:
            model.compile_from_config(copy.deepcopy(found.compile_config))
    except Exception as error:  # whatever does not fit fails anywhere inside Keras
        reason = str(error).partition("\n")[0]
        raise ModelFileError(
            f"{path} is not a model that Keras can open ({reason}). "
            "Give a .keras file that apparel or Keras 3 saved."
        ) from error
    return model
