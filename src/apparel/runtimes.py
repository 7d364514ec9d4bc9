"""Runtimes that are extras, imported without what they do unasked."""

import importlib
import sys
from typing import Any

# Importing OpenVINO imports its converter, which reports the import to its vendor and takes longer
# than all the rest. Nothing here needs it.
CONVERTER = "openvino.tools.ovc"


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
