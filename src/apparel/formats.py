"""The formats of model files."""

import os
from pathlib import Path

from apparel.errors import UsageError

SUFFIXES = {"keras": ".keras", "onnx": ".onnx"}


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
