"""Runtimes of exported models, imported without what they do unasked."""

import importlib
import os
import sys
from typing import Any

# Importing OpenVINO imports its converter, which reports the import to its vendor and takes longer
# than all the rest. Nothing here needs it.
CONVERTER = "openvino.tools.ovc"

# ONNX Runtime 1.32 can report its use to its vendor, and leaves a file for it in the folder for
# temporary files when it is imported, unless this is set before.
SILENCE = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> Any:
    """Import ONNX Runtime, and let it report nothing.

    Returns:
        The `onnxruntime` module.

    Raises:
        ImportError: it is broken.
    """
    os.environ.setdefault(SILENCE, "1")
    return importlib.import_module("onnxruntime")


def load_openvino() -> Any:
    """Import OpenVINO's runtime. Its converter is left out, and with it what calls home.

    Returns:
        The `openvino` module.

    Raises:
        ImportError: it is not installed.
    """
    if loaded := sys.modules.get("openvino"):
        return loaded
    absent: Any = None  # what makes an import fail; OpenVINO then goes on without
    sys.modules[CONVERTER] = absent
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[CONVERTER]
