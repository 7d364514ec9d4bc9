"""A model file, or a run that has one → what is in it, once it was examined."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apparel.core.errors import ModelFileError
from apparel.core.model_formats import ONNX_FILE
from apparel.predict import onnx_check


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file that was read, and found to be as apparel writes them.

    Attributes:
        path: of the file.
        content: what is in it.
        metadata: what it says of itself, each value as JSON.
    """

    path: Path
    content: bytes
    metadata: Mapping[str, str]


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file and examine it.

    Args:
        path: an `.onnx` file, or a run directory that has one.

    Raises:
        ModelFileError: the file is missing, broken, unsafe, or was not written by apparel.
    """
    file = _model_file(Path(path))
    content, metadata = onnx_check.read_model(file)
    return ModelFile(path=file, content=content, metadata=metadata)


def _model_file(path: Path) -> Path:
    """The model file that a path names.

    Raises:
        ModelFileError: it is a folder without one.
    """
    if not path.is_dir():
        return path
    inside = path / ONNX_FILE
    if not inside.is_file():
        raise ModelFileError(
            f"the folder {path} holds no {ONNX_FILE}. Give an .onnx file or a finished run, or "
            f"write it with: apparel export {path} --format onnx"
        )
    return inside
