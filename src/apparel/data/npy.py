"""Images in a file that NumPy reads too: written as they come, mapped into memory when read.

The format is .npy, version 1.0:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import hashlib
import mmap
import os
from io import FileIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, int, int, int]

HEADER_BYTES = 128  # a multiple of 64, as the format asks for, in which any shape has room
BLOCK_BYTES = 1 << 20


class DamagedFileError(Exception):
    """A file does not hold what it should; the message goes on after its name."""


class ImageWriter:
    """Writes images, with one channel until the first coloured ones come.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n_images = 0
        self._begin(channels=1)

    def append(self, images: NDArray[np.uint8]) -> None:
        """Write images after the earlier ones.

        Args:
            images: shape (n, h, w, c), one channel where all are grey, else three; of the height
                and width of the earlier ones.

        Raises:
            OSError: the disk is full, or broken.
        """
        if images.shape[-1] > self._channels:
            self._add_colour()
        self._write(np.repeat(images, self._channels // images.shape[-1], axis=-1))
        self._n_images += len(images)

    def finish(self, size: tuple[int, int]) -> tuple[str, Shape]:
        """Complete the file.

        Args:
            size: height and width of the images, also where there are none.

        Returns:
            SHA-256 of the pixels and their shape, and the shape.

        Raises:
            OSError: the disk is full, or broken.
        """
        shape = (self._n_images, *size, self._channels)
        header = _header(shape)
        self._digest.update(header)
        self._file.seek(0)
        self._file.write(header)
        self._file.close()
        return self._digest.hexdigest(), shape

    def close(self) -> None:
        """Leave the file as it is."""
        self._file.close()

    def _begin(self, channels: int) -> None:
        """Begin a file."""
        self._channels = channels
        self._digest = hashlib.sha256()
        self.path = self._folder / f"{channels}.npy"
        self._file = self.path.open("x+b")
        self._file.write(bytes(HEADER_BYTES))

    def _write(self, images: NDArray[np.uint8]) -> None:
        """Write and hash."""
        self._digest.update(images.data)
        self._file.write(images.data)

    def _add_colour(self) -> None:
        """Write what has been written once more, with three equal channels."""
        grey, grey_path = self._file, self.path
        self._begin(channels=3)
        grey.seek(HEADER_BYTES)
        while block := grey.read(BLOCK_BYTES):
            self._write(np.repeat(np.frombuffer(block, np.uint8), 3))
        grey.close()
        grey_path.unlink()


def open_images(path: Path, shape: Shape, *, sha256: str | None = None) -> NDArray[np.uint8]:
    """Map images into memory; those that are not looked at take none.

    Args:
        path: a file that `ImageWriter` wrote.
        shape: that it should have.
        sha256: that it should have; None where that is known.

    Returns:
        Read-only, of that shape.

    Raises:
        DamagedFileError: it has another size, shape or content.
        OSError: it cannot be read.
    """
    n_bytes = HEADER_BYTES + int(np.prod(shape, dtype=np.int64))
    with path.open("rb", buffering=0) as file:
        found = os.fstat(file.fileno()).st_size
        if found != n_bytes:
            raise DamagedFileError(f"has {found:,} bytes, but expected were {n_bytes:,}")
        if sha256 is not None and _content_hash(file, shape) != sha256:
            raise DamagedFileError("has another content than its name says")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray(shape, np.uint8, buffer=mapped, offset=HEADER_BYTES)


def _content_hash(file: FileIO, shape: Shape) -> str:
    """Hash pixels and shape of the very file that is mapped, without keeping them."""
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    if file.read(HEADER_BYTES) != _header(shape):
        raise DamagedFileError(f"has another shape than {shape}")
    while n_read := file.readinto(block):
        digest.update(block[:n_read])
    digest.update(_header(shape))
    return digest.hexdigest()


def _header(shape: Shape) -> bytes:
    """What stands before the pixels."""
    magic = b"\x93NUMPY\x01\x00"
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    n_bytes = HEADER_BYTES - len(magic) - 2
    return magic + n_bytes.to_bytes(2, "little") + text.ljust(n_bytes - 1) + b"\n"
