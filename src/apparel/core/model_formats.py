"""The formats of model files, and what exporters and readers agree on."""

import os
from pathlib import Path

from apparel.core.errors import UsageError

# The input and the outputs of an exported model.
IMAGES, PROBABILITIES, NOVELTY = "images", "probabilities", "novelty"
# Version of the metadata; increased on incompatible changes.
FACTS_FORMAT = 1
# The data set whose images were made of photos, in known steps.
FASHION_MNIST = "fashion-mnist"
# The names of exported models in a run directory; `predict` and `serve` read the ONNX file.
ONNX_FILE = "model.onnx"
KERAS_FILE = "model.keras"
# Where a model is saved unless another place is named.
SAVED_FILE = "refactored_fashion_cnn.keras"
# A SavedModel is a folder, and OpenVINO's .xml has a .bin of the same name beside it.
SUFFIXES = {
    "keras": ".keras",
    "onnx": ".onnx",
    "litert": ".tflite",
    "saved_model": ".savedmodel",
    "openvino": ".xml",
}
# Those whose runtimes compute with whole numbers of eight bits.
INT8_FORMATS = ("onnx", "litert", "openvino")
OPENVINO_WEIGHTS = ".bin"


def format_of(path: str | os.PathLike[str]) -> str:
    """Give the format that a file name asks for.

    Args:
        path: the file to write.

    Returns:
        A key of `SUFFIXES`.

    Raises:
        UsageError: no format has this suffix.
    """
    suffix = Path(path).suffix
    for name, known in SUFFIXES.items():
        if suffix == known:
            return name
    raise UsageError(
        f"{path} ends in {repr(suffix) if suffix else 'no suffix'}, which names no model format. "
        f"End it in one of: {', '.join(SUFFIXES.values())}."
    )


def default_name(kind: str, *, int8: bool = False) -> str:
    """Give the name that a file of a format has in a run directory.

    Args:
        kind: a key of `SUFFIXES`.
        int8: whether the file computes with whole numbers of eight bits.
    """
    return f"model{'.int8' if int8 else ''}{SUFFIXES[kind]}"


def default_files() -> list[str]:
    """Every file that stands in a run directory once its model was exported in each format."""
    names = [default_name(kind) for kind in SUFFIXES if kind != "saved_model"]
    names += [default_name(kind, int8=True) for kind in INT8_FORMATS]
    stems = [default_name("openvino", int8=int8) for int8 in (False, True)]
    return names + [str(Path(stem).with_suffix(OPENVINO_WEIGHTS)) for stem in stems]
