"""Import the runtimes of exported models, without their telemetry."""

import importlib
import os
import sys
from typing import Any

# Importing OpenVINO imports its converter, which reports the import to its vendor and takes longer
# than all the rest. It is not needed here.
CONVERTER = "openvino.tools.ovc"

# ONNX Runtime 1.32 can report its use to its vendor, and leaves a file for it in the folder for
# temporary files when it is imported, unless this is set before.
SILENCE = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> Any:
    """Import ONNX Runtime with its telemetry off.

    Returns:
        The `onnxruntime` module.

    Raises:
        ImportError: it is broken.
    """
    os.environ.setdefault(SILENCE, "1")
    return importlib.import_module("onnxruntime")


def load_openvino() -> Any:
    """Import OpenVINO's runtime without its converter, and so without its telemetry.

    Returns:
        The `openvino` module.

    Raises:
        ImportError: it is not installed.
    """
    if loaded := sys.modules.get("openvino"):
        return loaded
    absent: Any = None  # makes the import fail; OpenVINO then does without it
    sys.modules[CONVERTER] = absent
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[CONVERTER]
