"""A `.keras` file, examined before Keras sees it.

Keras makes what a file names: layers, functions and files by any name that it can resolve, with
whatever arguments the file gives; and weights are read by a large C library that follows a file to
others. Both have been led astray by files more than once, in Keras's safe mode as well. Image
classifiers need little of this. So a file is read here in full, by readers that know this little
and nothing else, and is refused if it has anything more:

- `archive`: the zip file and its three members, in a form that has one meaning only
- `text`: their JSON, likewise
- `model` with `following`, `entries`, `layers`, `shapes`, `training`, `optimizers`, `objects` and
  `fields`: which layers and arguments may occur, how they fit together, what an image may take
- `weights` with `hdf5`, `headers`, `links` and `datasets`: the weights that follow from that, each
  there once and with exactly its shape, and no others

The values of the weights are not looked at. Needs the standard library and NumPy only.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from apparel.core.errors import ModelFileError
from apparel.keras_file import archive, model, text, weights
from apparel.keras_file.fields import check_table, label
from apparel.keras_file.foreign import check_foreign
from apparel.keras_file.model import FUNCTIONAL, SEQUENTIAL
from apparel.keras_file.problems import REMEDY, MalformedError, ProblemError
from apparel.keras_file.weights import Weights

__all__ = ["FUNCTIONAL", "MAX_FILE", "SEQUENTIAL", "KerasFile", "read"]

MAX_FILE = 512 << 20

_METADATA = {"keras_version": label, "date_saved": label}


@dataclass(frozen=True, kw_only=True)
class KerasFile:
    """What a `.keras` file holds, once it has been examined.

    Attributes:
        kind: `SEQUENTIAL` or `FUNCTIONAL`.
        config: of the model, as its class takes it.
        compile_config: how it was compiled; empty where it was not.
        weights: names of layers → their variables in Keras's order, read-only; bfloat16 as float32.
    """

    kind: str
    config: Mapping[str, Any]
    compile_config: Mapping[str, Any]
    weights: Weights


def read(path: str | os.PathLike[str]) -> KerasFile:
    """Read a model file and examine it.

    Args:
        path: a file that Keras 3 saved, of at most `MAX_FILE` bytes.

    Returns:
        What was examined, for Keras, which must not read the file once more.

    Raises:
        ModelFileError: it is missing, no such file, damaged, or has what image classifiers of
            Keras's own layers do not have.
    """
    path = Path(path)
    try:
        return _read(path)
    except ProblemError as problem:
        message = f"{path} {problem.verdict}: {problem}. {problem.remedy}"
        raise ModelFileError(message) from problem


def _read(path: Path) -> KerasFile:
    """Open a file without waiting for one that is none, and examine it.

    Raises:
        ModelFileError: it is missing, or cannot be read.
        ProblemError: it is not to be opened.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            # It may become a pipe now; so it is opened without waiting, and looked at again.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(path, flags), "rb") as file:
                return _examine(file, path)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no model file {path}. {REMEDY}") from error
    except (OSError, ValueError) as error:  # no permission; a name that cannot be
        raise ModelFileError(f"the model file {path} cannot be read ({error}). {REMEDY}") from error
    raise ModelFileError(f"there is no model file {path}: it is a folder, pipe or device. {REMEDY}")


def _examine(file: BinaryIO, path: Path) -> KerasFile:
    """Refuse what is not known.

    Raises:
        ProblemError: it has something of the kind.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise MalformedError("it was replaced while it was opened")
    check_foreign(path, file.read(16))
    if status.st_size > MAX_FILE:
        raise ProblemError(
            f"it has {status.st_size:,} bytes, and models of at most {MAX_FILE:,} are opened"
        )
    members = archive.members(file, status.st_size)
    metadata = archive.content(file, members[archive.METADATA], text.MAX_TEXT)
    check_table(text.parse(metadata, archive.METADATA), _METADATA, archive.METADATA)
    config = archive.content(file, members[archive.CONFIG], text.MAX_TEXT)
    checked = model.check(text.parse(config, archive.CONFIG))
    held = archive.content(file, members[archive.WEIGHTS], weights.most_bytes(checked))
    return KerasFile(
        kind=checked.kind,
        config=checked.config,
        compile_config=checked.compile_config,
        weights=weights.read(held, checked),
    )
