"""NumPy's `.npz` files with x_train, y_train, x_test and y_test, as Keras's data sets have them."""

import ast
import math
import re
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.messages import reason
from apparel.data.assembly import LabelledImages, Split, join, labelled_arrays
from apparel.data.unpacked_size import check_unpacked_size

_SPLITS: tuple[Split, ...] = ("train", "test")
# Others unpack to anything, and NumPy writes none of them.
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_MAGIC = b"\x93NUMPY"
# Bytes of the length of a header, by the version of the format.
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4}
# As NumPy's own limit: Python reads what is in a header, and must not be given too much.
_HEADER_BYTES = 10_000
# Numbers, text, and what is told from them in a message. Not structures, and nothing by its name.
_TYPE = re.compile(r"[<>|=]?[biufcOSUVMm]\d{1,4}|\|?O")
_BLOCK_BYTES = 1 << 20


class _Header(NamedTuple):
    """What an array's header says, and where its values begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    begins: int


def read_npz(path: Path) -> LabelledImages:
    """Read a file.

    Raises:
        DataError: it is broken, lacks an array, holds pickled objects, promises more than it has
            room for, or holds no images.
    """
    names = [f"{kind}_{split}" for split in _SPLITS for kind in "xy"]
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {name: _checked_header(archive, name) for name in names}
            check_unpacked_size(
                path,
                sum(_promised(header) for header in headers.values()),
                n_images=sum(headers[f"x_{split}"].shape[0] for split in _SPLITS),
            )
            arrays = {name: _read_array(archive, name, header) for name, header in headers.items()}
    except DataError:
        raise
    except Exception as error:  # zipfile meets broken files with errors of any kind
        raise DataError(
            f"{path} cannot be used: {reason(error)}. Expected was a file that numpy.savez wrote, "
            "with the arrays x_train, y_train, x_test and y_test. Write it again."
        ) from error
    parts = [
        labelled_arrays(arrays[f"x_{split}"], arrays[f"y_{split}"], f"{path.name}:", split)
        for split in _SPLITS
    ]
    return join(parts, splits=_SPLITS, source=str(path))


def _checked_header(archive: zipfile.ZipFile, name: str) -> _Header:
    """Read the header of an array, and compare it with what the archive says to hold.

    Raises:
        ValueError: there is no such array, it holds objects, or its header is false.
    """
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"there is no array {name} in it") from None
    if member.compress_type not in _COMPRESSIONS:
        raise ValueError(f"the array {name} is packed in a way that NumPy does not use")
    with archive.open(member) as file:
        header = _read_header(file, name)
    if header.dtype.hasobject:
        raise ValueError(f"the array {name} holds pickled objects, which could run code")
    promised, held = _promised(header), member.file_size - header.begins
    if promised != held:
        raise ValueError(f"the array {name} should hold {promised} bytes, but holds {held}")
    return header


def _promised(header: _Header) -> int:
    """Bytes of an array's values."""
    return math.prod(header.shape) * header.dtype.itemsize


def _read_header(file: IO[bytes], name: str) -> _Header:
    """Read what NumPy writes before the values.

    Raises:
        ValueError: it is no such header, or one of a type that no image or label has.
    """
    beginning = file.read(len(_MAGIC) + 2)
    magic, version = beginning[: len(_MAGIC)], beginning[len(_MAGIC) :]
    if magic != _MAGIC or version not in _LENGTH_BYTES:
        raise ValueError(f"the array {name} is of an unknown format, {beginning!r}")
    n_bytes = int.from_bytes(file.read(_LENGTH_BYTES[version]), "little")
    if n_bytes > _HEADER_BYTES:
        raise ValueError(f"the array {name} has a header of {n_bytes:,} bytes")
    text = file.read(n_bytes).decode("latin-1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in a damaged header
            told = ast.literal_eval(text.strip())
        kind, shape, fortran_order = told["descr"], told["shape"], told["fortran_order"]
    except (KeyError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        raise ValueError(f"the array {name} has a header that NumPy does not write") from None
    sizes = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if not sizes or not shape or not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise ValueError(
            f"the array {name} has the type {str(kind)[:20]!r} and shape {str(shape)[:60]!r}, "
            "which no images or labels have"
        )
    return _Header(shape, np.dtype(kind), bool(fortran_order), file.tell())


def _read_array(archive: zipfile.ZipFile, name: str, header: _Header) -> NDArray[Any]:
    """Read the values of an array; zipfile compares them with their checksum.

    Raises:
        ValueError: there are fewer.
    """
    content = bytearray()
    with archive.open(f"{name}.npy") as file:
        file.read(header.begins)
        while block := file.read(_BLOCK_BYTES):
            content += block
    if len(content) != _promised(header):
        raise ValueError(f"the array {name} ends after {len(content)} bytes of its values")
    values: NDArray[Any] = np.frombuffer(content, header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")
