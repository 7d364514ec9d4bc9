"""The interface of a format, and the model that all formats but Keras's own hold."""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.core.model_formats import IMAGES, PROBABILITIES
from apparel.core.records import Novelty

# The name of the facts where a format keeps them under one.
FACTS = "apparel"

# Pixels, uint8 of shape (n, h, w, c) → each output by its name.
Run: TypeAlias = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """The content of a file to be written.

    Attributes:
        model: a float32 `keras.Model` taking images in [0, 1].
        novelty: a fitted novelty score with a threshold; None for no score.
        calibration: uint8, shape (n, h, w, c), images that fix the ranges of int8; None for
            float32.
    """

    model: Any
    novelty: Novelty | None = None
    calibration: NDArray[np.uint8] | None = None


class Format(ABC):
    """A format of model files.

    Attributes:
        runtime: name of the runtime that computes with such files.
    """

    runtime: str

    @abstractmethod
    def version(self) -> str:
        """Give the runtime's version.

        Raises:
            ApparelError: it is not installed.
        """

    @abstractmethod
    def write(self, network: Network, path: Path) -> None:
        """Write a network, without facts, into a folder that holds nothing else.

        Raises:
            ApparelError: Keras or its backend lacks what is needed.
        """

    @abstractmethod
    def open(self, path: Path) -> Run:
        """Open a written file in its runtime, computing in the precision of the file."""

    def needs(self, path: Path) -> dict[str, object]:  # noqa: ARG002  # the same for any file
        """Describe the software that reads the file."""
        return {"runtime": self.runtime, "version": self.version()}

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:  # noqa: B027  # holds none
        """Write facts into the file, in values that JSON knows, if the format holds any."""

    def read_facts(self, path: Path) -> dict[str, object] | None:  # noqa: ARG002  # holds none
        """Read the facts of a file; None of a format that holds none."""
        return None


@contextmanager
def extra_imported(package: str, extra: str) -> Iterator[None]:
    """Import the package that a format needs.

    Args:
        package: its name.
        extra: the extra of apparel that installs it.

    Raises:
        ApparelError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ApparelError(
            f"this format needs the package {package}, which cannot be imported ({error}). Install "
            f"it with: pip install 'apparel[{extra}]'"
        ) from error


def need_tensorflow(kind: str) -> None:
    """Check that Keras can write a format.

    Raises:
        ApparelError: the backend is not TensorFlow.
    """
    if not backend.on_tensorflow():
        raise ApparelError(
            f"Keras writes {kind} on TensorFlow only, and its backend is "
            f"{backend.load_keras().backend.backend()}. Set KERAS_BACKEND=tensorflow and use: "
            f"apparel export RUN --format {kind}"
        )


def write_by_keras(model: Any, path: Path, kind: str, **options: Any) -> None:
    """Let Keras write a model that takes raw pixels and names its probabilities.

    Args:
        model: a float32 `keras.Model` taking images in [0, 1].
        path: the file or folder to write. The model in it takes "images", uint8 of shape
            (n, h, w, c), and gives "probabilities", with the same weights.
        kind: Keras's name of the format.
        options: of Keras's exporter.

    Raises:
        ImportError: Keras lacks a package to write it.
    """
    keras = backend.load_keras()
    shape = model.input_shape[1:]
    images = keras.layers.Input(shape, dtype="uint8", name=IMAGES)
    probabilities = model(keras.layers.Rescaling(1 / 255, dtype="float32")(images))
    deployed = keras.Model(images, {PROBABILITIES: probabilities})
    deployed(np.zeros((1, *shape), np.uint8))  # Keras exports called models only
    with warnings.catch_warnings(), backend.native_stderr_held():
        # Keras's patch for tf2onnx touches NumPy names that warn, and TensorFlow deprecated ones.
        warnings.simplefilter("ignore")
        deployed.export(os.fspath(path), format=kind, verbose=False, **options)
