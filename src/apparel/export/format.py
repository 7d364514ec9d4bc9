"""What every format has to offer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.core.records import Novelty

# The name of the facts where a format keeps them under one.
FACTS = "apparel"

# Pixels, uint8 of shape (n, h, w, c) → each output by its name.
Run: TypeAlias = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """What is to be written.

    Attributes:
        model: a float32 `keras.Model` taking images in [0, 1].
        novelty: what the training images look like, with a threshold; None for no novelty score.
        calibration: uint8, shape (n, h, w, c), images to choose the steps of int8 by; None for
            float32.
    """

    model: Any
    novelty: Novelty | None = None
    calibration: NDArray[np.uint8] | None = None


class Format(Protocol):
    """A format of model files.

    Attributes:
        runtime: what computes with such files.
    """

    runtime: str

    def version(self) -> str:
        """Give the runtime's version.

        Raises:
            ApparelError: it is not installed.
        """

    def write(self, network: Network, path: Path) -> None:
        """Write a network, without facts, into a folder that holds nothing else.

        Raises:
            ApparelError: Keras or its backend lacks what is needed.
        """

    def open(self, path: Path) -> Run:
        """Open what was written in its runtime, computing in the precision of the file."""

    def needs(self, path: Path) -> dict[str, object]:
        """Say what reads the file."""

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:
        """Let a file say something of itself, each fact in a form that JSON knows."""

    def read_facts(self, path: Path) -> dict[str, object] | None:
        """Read back what `add_facts` wrote; None of a format that holds no facts."""


def missing_package(package: str, extra: str, error: ImportError) -> ApparelError:
    """The error that says how to install what a format needs."""
    return ApparelError(
        f"this format needs the package {package}, which cannot be imported ({error}). Install it "
        f"with: pip install 'apparel[{extra}]'"
    )


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
