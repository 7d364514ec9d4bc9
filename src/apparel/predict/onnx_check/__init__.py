"""An ONNX file, examined before a runtime sees it.

A runtime for ONNX is some hundred thousand lines of C++ that trust a file in much: it may name
other files to read, ask for any amount of memory, run loops without end, or reach code with known
holes. Files that `apparel export` wrote do none of this, and what they do is little. So a file is
read here in full, by a parser that knows the form of these files and nothing else, and is refused
if it has anything that they do not have:

- `wire`, `schema`: the bytes, in a form that has one meaning only
- `tensors`: constants, each with exactly the bytes that its shape needs
- `operators` with `layers`, `shaping` and `calls`: which operators may occur, and what they give
- `graph`: the memory and time that an image may take at most
- `description`: the metadata, and inputs and outputs that agree with them

The weights themselves are not looked at. Needs the standard library only.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from apparel.core.errors import ModelFileError
from apparel.core.messages import shown
from apparel.predict.onnx_check import description, graph, schema, wire
from apparel.predict.onnx_check.problems import MalformedError, ProblemError
from apparel.predict.onnx_check.tensors import FLOAT
from apparel.predict.onnx_check.wire import Message

__all__ = ["MAX_FILE", "MAX_IR", "MAX_OPSET", "MIN_IR", "MIN_OPSET", "read_model"]

MAX_FILE = 512 << 20
# From the first operator set whose shapes are as in today's to the last of ONNX 1.21, with which
# ONNX Runtime 1.25 came, the oldest that apparel works with.
MIN_OPSET, MAX_OPSET = 13, 26
MIN_IR, MAX_IR = 7, 13

# By these bytes 4 to 7, runtimes take a file for one of another format, which nobody has examined:
# ONNX Runtime's own, and TensorFlow Lite's. A file may be both.
OTHER_FORMATS = {b"ORTM", b"TFL3"}
# Operator sets that are imported but not used. ONNX Runtime cuts larger numbers to 32 bits.
MAX_VERSION = 1_000

_ONE_MODEL = "Give an .onnx file or a run."


def read_model(path: str | os.PathLike[str]) -> tuple[bytes, dict[str, str]]:
    """Read a model file and examine it.

    Args:
        path: a file that `apparel export` wrote, of at most `MAX_FILE` bytes.

    Returns:
        The bytes that were examined, for a runtime, which must not read the file once more; and
        their metadata: names → values, each JSON where apparel wrote it.

    Raises:
        ModelFileError: it is missing, no such file, damaged, or has what apparel's files never
            have.
    """
    content = _read(Path(path))
    try:
        return content, _examine(content)
    except ProblemError as problem:
        message = f"{path} {problem.verdict}: {problem}. {problem.remedy}"
        raise ModelFileError(message) from problem


def _read(path: Path) -> bytes:
    """What a file holds.

    Raises:
        ModelFileError: it is missing, empty, too large, of another kind, or cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and path.suffix != ".keras":
            # It may become a pipe now; so it is opened without waiting, and looked at again.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(path, flags), "rb") as file:
                return _read_open(file, path)
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no model file {path}. {_ONE_MODEL}") from error
    except (OSError, ValueError) as error:  # no permission; a name that cannot be
        raise ModelFileError(
            f"the model file {path} cannot be read ({error}). {_ONE_MODEL}"
        ) from error
    if not stat.S_ISREG(mode):  # a pipe would wait, a device may act
        raise ModelFileError(
            f"there is no model file {path}: it is a folder, pipe or device. {_ONE_MODEL}"
        )
    raise ModelFileError(
        f"{path} is a Keras file, and predicting needs an ONNX file. "
        "Write one with: apparel export RUN --format onnx"
    )


def _read_open(file: BinaryIO, path: Path) -> bytes:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(f"there is no model file {path}: it was replaced. {_ONE_MODEL}")
    if status.st_size > MAX_FILE:
        raise ModelFileError(
            f"{path} has {status.st_size:,} bytes, and models of at most {MAX_FILE:,} are opened. "
            "Write a smaller one with: apparel export RUN --format onnx"
        )
    content = file.read(status.st_size + 1)
    if len(content) != status.st_size:
        raise ModelFileError(
            f"{path} changed while it was read: it had {status.st_size:,} bytes, and then gave "
            f"{len(content):,}. Try again once it is written."
        )
    if not content:
        raise ModelFileError(
            f"{path} is empty: 0 bytes, expected an ONNX model. "
            "Write one with: apparel export RUN --format onnx"
        )
    return content


def _examine(content: bytes) -> dict[str, str]:
    """Refuse what apparel's files do not have, and give the metadata.

    Raises:
        ProblemError: it has something of the kind.
    """
    if content[4:8] in OTHER_FORMATS:
        raise MalformedError(f"bytes 4 to 7 are {shown(content[4:8])}, as in another format")
    model = wire.parse(content, schema.MODEL, "the model")
    _check_versions(model)
    if "graph" not in model:
        raise MalformedError("it has no graph")
    inputs = _declared(model["graph"]["input"])
    outputs = _declared(model["graph"]["output"])
    metadata = description.metadata_of(model["metadata_props"])
    img_shape = description.check(metadata, inputs, outputs)
    kind = inputs[description.IMAGES][0]
    followed = graph.follow(model["graph"], description.IMAGES, kind, img_shape, len(content))
    for name, (_, shape) in outputs.items():
        for n, tensors in zip(graph.BATCHES, followed, strict=True):
            found = tensors.get(name)
            if found is None or found[:2] != (FLOAT, (n, *shape[1:])):
                raise ProblemError(f"it says to give {name} as {shown(shape)}, and gives {found}")
    return metadata


def _check_versions(model: Message) -> None:
    """Refuse operator sets and file formats that nobody has tried."""
    found: dict[str, int] = {}
    for entry in model["opset_import"]:
        domain = entry.get("domain", "")
        domain = "" if domain in graph.DEFAULT_DOMAINS else domain
        if domain in found or not 1 <= entry.get("version", 0) <= MAX_VERSION:
            raise ProblemError(f"it names the operator set {shown(domain)} twice, or no version")
        found[domain] = entry["version"]
    ir_version = model.get("ir_version", 0)
    if "" not in found or not ir_version:
        raise MalformedError("it does not say which operator set and format it has")
    opset = found[""]
    if opset > MAX_OPSET or ir_version > MAX_IR:
        raise ProblemError(
            f"it has operator set {opset} in format {ir_version}, and this apparel reads operator "
            f"sets {MIN_OPSET} to {MAX_OPSET} in formats {MIN_IR} to {MAX_IR}",
            remedy="Update: pip install -U apparel onnxruntime",
        )
    if opset < MIN_OPSET or ir_version < MIN_IR:
        raise ProblemError(
            f"it has operator set {opset} in format {ir_version}, expected {MIN_OPSET} to "
            f"{MAX_OPSET} in {MIN_IR} to {MAX_IR}"
        )


def _declared(messages: list[Message]) -> dict[str, tuple[int, tuple[int | str, ...]]]:
    found = {}
    for message in messages:
        name = message.get("name", "")
        if name in found:
            raise ProblemError(f"it has {shown(name)} twice among its inputs or outputs")
        found[name] = graph.declared(message, name)
    return found
