"""`.keras`: Keras's own file, with standard layers only."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.model_formats import PROBABILITIES
from apparel.export.format import Format, Network, Run

# Keras's 32 would keep two cores waiting.
BATCH_SIZE = 256


class KerasFormat(Format):
    """See `Format`. Such a file takes scaled images, and holds no facts."""

    runtime = "Keras"

    def version(self) -> str:
        return str(backend.load_keras().__version__)

    def write(self, network: Network, path: Path) -> None:
        network.model.save(path)

    def open(self, path: Path) -> Run:
        # This process has just written the file; files of others are never opened.
        return model_run(backend.load_keras().models.load_model(path, compile=False))


FORMAT = KerasFormat()


def model_run(model: Any) -> Run:
    """Compute with a `keras.Model` that takes images in [0, 1]."""

    def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        images = pixels / np.float32(255)
        return {PROBABILITIES: np.asarray(model.predict(images, batch_size=BATCH_SIZE, verbose=0))}

    return run
