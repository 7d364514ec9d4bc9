"""NumPy's `.npz` files with x_train, y_train, x_test and y_test, as Keras's data sets have them."""

import math
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.messages import reason
from apparel.data.assembly import LabelledImages, Split, join, labelled_arrays
from apparel.data.unpacked_size import check_unpacked_size

_SPLITS: tuple[Split, ...] = ("train", "test")
# Others unpack to anything, and NumPy writes none of them.
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# Kinds of numbers, text, and those that a message names. No structures.
_KINDS = set("biufcSUmMO")


class _Header(NamedTuple):
    """The header of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """Size of the array's values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(path: Path) -> LabelledImages:
    """Read a file.

    Raises:
        DataError: it is broken, lacks an array, holds pickled objects, claims an implausible size,
            or holds no images.
    """
    names = [f"{kind}_{split}" for split in _SPLITS for kind in "xy"]
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd escapes in a damaged header
            headers = {name: _checked_header(archive, name) for name in names}
            check_unpacked_size(
                path,
                sum(header.n_bytes for header in headers.values()),
                n_images=sum(headers[f"x_{split}"].shape[0] for split in _SPLITS),
            )
            arrays = {name: _read_array(archive, name) for name in names}
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
    """Read the header of an array, and compare it with the size of its member of the archive.

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
        held = member.file_size - file.tell()
    if header.dtype.hasobject:
        raise ValueError(f"the array {name} holds pickled objects, which could run code")
    if header.n_bytes != held:
        raise ValueError(f"the array {name} should hold {header.n_bytes} bytes, but holds {held}")
    return header


def _read_header(file: IO[bytes], name: str) -> _Header:
    """Read the header of an array.

    Raises:
        ValueError: it is no such header, or one of a type that no image or label has.
    """
    try:
        read = _HEADER_READERS[npy.read_magic(file)]
        shape, _, dtype = read(file)
    except zipfile.BadZipFile:
        raise
    except Exception as error:  # Python parses it, and may fail in any way
        raise ValueError(
            f"the array {name} has a header that NumPy does not write ({reason(error)})"
        ) from error
    if not shape or min(shape) < 0 or dtype.kind not in _KINDS:
        raise ValueError(
            f"the array {name} has the type {str(dtype)[:20]!r} and shape {str(shape)[:60]}, which "
            "no images or labels have"
        )
    return _Header(shape, dtype)


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an array; zipfile compares it with its checksum."""
    with archive.open(f"{name}.npy") as file:
        values: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the checksum is compared
    return values
