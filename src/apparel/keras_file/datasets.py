"""An HDF5 dataset: a shape, a number format, and where its values are in the file."""

import math
from typing import NamedTuple

from apparel.keras_file.hdf5 import UNDEFINED, Link, Source
from apparel.keras_file.headers import (
    COMMON,
    DATASPACE,
    DATATYPE,
    FILL,
    LAYOUT,
    OLD_FILL,
    messages,
    only,
)
from apparel.keras_file.problems import MalformedError, ProblemError
from apparel.keras_file.shapes import Shape

MAX_RANK = 8
_KNOWN = COMMON | {DATASPACE, DATATYPE, OLD_FILL, FILL, LAYOUT}
# How h5py writes each number format, in full: any other order of bytes or bits is another format.
# NumPy has no bfloat16; h5py writes it as two bytes of unknown meaning, and in later versions as
# what it is.
_FORMATS = {
    "11200f000200000000001000" "0a05000a0f000000": "float16",
    "11201f000400000000002000" "170800177f000000": "float32",
    "11203f000800000000004000" "340b0034ff030000": "float64",
    "11200f000200000000001000" "070800077f000000": "bfloat16",
    "1500000002000000": "bfloat16",
    "10080000080000000000" "4000": "int64",
    "10080000040000000000" "2000": "int32",
    "10000000080000000000" "4000": "uint64",
    "10000000040000000000" "2000": "uint32",
    "1000000001000000" "00000800": "uint8",
}  # fmt: skip
FORMATS = {bytes.fromhex(text): name for text, name in _FORMATS.items()}
SIZES = {
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
    "int32": 4, "int64": 8, "uint8": 1, "uint32": 4, "uint64": 8,
}  # fmt: skip
# Versions of a layout, which agree on values in one piece.
_CONTIGUOUS = {(3, 1), (4, 1)}


class Dataset(NamedTuple):
    """What a file says of a dataset whose values are all there.

    Attributes:
        shape: of it.
        dtype: a key of `SIZES`.
        at: where its values begin, one after the other.
    """

    shape: Shape
    dtype: str
    at: int


def dataset(source: Source, link: Link, name: str) -> Dataset:
    """Read what a file says of a dataset.

    Args:
        source: the file.
        link: to the dataset.
        name: what errors call it.

    Raises:
        ProblemError: it is no dataset of numbers, or its values are not in one piece in this file.
    """
    if link.cached:
        raise MalformedError(f"{name} is described as a group")
    found = messages(source, link.address, _KNOWN, name)
    space, kind, layout = (only(found, part, name) for part in (DATASPACE, DATATYPE, LAYOUT))
    shape = _shape(source, space.at, space.end, name)
    dtype = _dtype(source.content[kind.at : kind.end], name)
    n_bytes = math.prod(shape) * SIZES[dtype]
    if source.numbers("2B", layout.at, layout.end) not in _CONTIGUOUS:
        raise ProblemError(f"{name} does not have its values in one piece in the file")
    at, size = source.numbers("2Q", layout.at + 2, layout.end)
    if size != n_bytes:
        raise MalformedError(f"{name} has {size:,} bytes, and its shape expects {n_bytes:,}")
    if n_bytes:
        source.claim(at, n_bytes, name)
    elif at != UNDEFINED:
        raise MalformedError(f"{name} is empty, and has a place")
    return Dataset(shape, dtype, at if n_bytes else 0)


def _shape(source: Source, at: int, end: int, name: str) -> Shape:
    version, rank, flags, kind = source.numbers("4B", at, end)
    # The second form says its kind: one value, or values in a shape.
    right = (version, kind) == (1, 0) or (version, kind) == (2, min(rank, 1))
    if not right or rank > MAX_RANK or flags not in {0, 1}:
        raise ProblemError(f"{name} has a shape of version {version} and {rank} sizes")
    at += 8 if version == 1 else 4
    shape = source.numbers(f"{rank}Q", at, end)
    if flags and source.numbers(f"{rank}Q", at + 8 * rank, end) != shape:
        raise ProblemError(f"{name} has a shape that may grow")
    return shape


def _dtype(content: bytes, name: str) -> str:
    for written, found in FORMATS.items():
        # The version is in the first four bits, and means the same for these.
        same = content[:1] and content[0] & 15 == written[0] & 15 and content[0] >> 4 in {1, 3}
        if same and content[1 : len(written)] == written[1:] and not any(content[len(written) :]):
            return found
    raise ProblemError(f"{name} does not hold numbers as Keras writes them")
