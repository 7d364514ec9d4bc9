"""`.savedmodel`: a folder for TensorFlow and its server; the facts in a file of their own."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.core.model_formats import IMAGES
from apparel.export.format import FACTS, Format, Network, Run, need_tensorflow, write_by_keras

# Where TensorFlow leaves room for the files of others.
FACTS_FILE = Path("assets.extra", f"{FACTS}.json")
SIGNATURE = "serving_default"


class SavedModelFormat(Format):
    """See `Format`."""

    runtime = "TensorFlow"

    def version(self) -> str:
        need_tensorflow("saved_model")
        import tensorflow as tf  # noqa: PLC0415  # only where it is the backend

        return str(tf.__version__)

    def write(self, network: Network, path: Path) -> None:
        write_by_keras(network.model, path, "tf_saved_model")

    def open(self, path: Path) -> Run:
        import tensorflow as tf  # noqa: PLC0415  # only where it is the backend

        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures[SIGNATURE]

        def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            _ = loaded  # its variables live as long as it does
            outputs = signature(**{IMAGES: tf.constant(pixels)})
            return {name: output.numpy() for name, output in outputs.items()}

        return run

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:
        (path / FACTS_FILE).parent.mkdir(exist_ok=True)
        (path / FACTS_FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")

    def read_facts(self, path: Path) -> dict[str, object]:
        return dict(json.loads((path / FACTS_FILE).read_text(encoding="utf-8")))


FORMAT = SavedModelFormat()
