"""A cache of decoded images, by the names, sizes and times of the files they are from.

    listings/<hash of names, sizes and times>.json    the result of each file
    images/<hash of pixels and shape>.npy             the pixels, shared by listings

So a folder that was copied, or that another table lists, shares the pixels of the first. Pixels are
written as they come and mapped into memory when read, in the format .npy, version 1.0:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import hashlib
import json
import logging
import mmap
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from apparel.core.atomic_files import write_text
from apparel.core.errors import ApparelError
from apparel.data.decode import RULE_VERSION
from apparel.data.decode.cost import LIMITS

LOGGER = logging.getLogger("apparel")
# To be raised when the files of the cache change, or the rule for the size of images.
FORMAT_VERSION = 2
HEADER_BYTES = 128  # a multiple of 64, as the format asks for, in which any shape has room
BLOCK_BYTES = 1 << 20
# The name of a file of images, which must not lead to another folder.
_HASH = re.compile("[0-9a-f]{64}")

_T = TypeVar("_T")
Shape: TypeAlias = tuple[int, int, int, int]


class DamagedFileError(Exception):
    """A file has the wrong content; the message goes on after its name."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The result of reading files.

    Attributes:
        images: hash of the pixels of those that could be read, and of their shape.
        shape: of these pixels.
        sizes: their original height and width.
        keys: hash of the content of each, as in `Dataset`.
        problems: position of each other file: why.
    """

    images: str
    shape: Shape
    sizes: Sequence[Sequence[int]]
    keys: Sequence[int]
    problems: Mapping[int, str]


def fingerprint(
    paths: Sequence[str], names: Sequence[str], image_size: tuple[int, int] | None
) -> str:
    """Hash everything that determines the decoded pixels, short of the content of files.

    Args:
        paths: of the files.
        names: of the files, which stay when all are moved together.
        image_size: height and width that were asked for.
    """
    limits = (Image.MAX_IMAGE_PIXELS, *LIMITS)
    rule = [FORMAT_VERSION, RULE_VERSION, PIL.__version__, limits, image_size]
    digest = hashlib.sha256(json.dumps(rule).encode())
    for path, name in zip(paths, names, strict=True):
        try:
            status = os.stat(path)  # noqa: PTH116  # a Path takes longer to make than to look up
            facts = f"\0{status.st_size} {status.st_mtime_ns} {status.st_mode}\0"
        except (OSError, ValueError):  # the reader names the file
            facts = "\0\0"
        digest.update((name + facts).encode(errors="surrogatepass"))
    return digest.hexdigest()


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
        self._channels = channels
        self._digest = hashlib.sha256()
        self.path = self._folder / f"{channels}.npy"
        self._file = self.path.open("x+b")
        self._file.write(bytes(HEADER_BYTES))

    def _write(self, images: NDArray[np.uint8]) -> None:
        self._digest.update(images.data)
        self._file.write(images.data)

    def _add_colour(self) -> None:
        """Rewrite the earlier images with three equal channels."""
        grey, grey_path = self._file, self.path
        self._begin(channels=3)
        grey.seek(HEADER_BYTES)
        while block := grey.read(BLOCK_BYTES):
            self._write(np.repeat(np.frombuffer(block, np.uint8), 3))
        grey.close()
        grey_path.unlink()


def open_images(path: Path, shape: Shape, *, sha256: str | None = None) -> NDArray[np.uint8]:
    """Map images into memory; those that are not used take none.

    Args:
        path: a file that `ImageWriter` wrote.
        shape: expected shape.
        sha256: expected hash; None to skip the comparison.

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
    """Hash pixels and shape of the very file that is mapped, in bounded memory."""
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    if file.read(HEADER_BYTES) != _header(shape):
        raise DamagedFileError(f"has another shape than {shape}")
    while n_read := file.readinto(block):
        digest.update(block[:n_read])
    digest.update(_header(shape))
    return digest.hexdigest()


def _header(shape: Shape) -> bytes:
    """Make the header of the file."""
    magic = b"\x93NUMPY\x01\x00"
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    n_bytes = HEADER_BYTES - len(magic) - 2
    return magic + n_bytes.to_bytes(2, "little") + text.ljust(n_bytes - 1) + b"\n"


def cache_folder() -> Path:
    """Give the folder of the cache: `APPAREL_CACHE`, or `apparel` in the user's cache."""
    named = os.environ.get("APPAREL_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~", ".cache")).expanduser() / "apparel"


class PixelCache:
    """A folder of listings and images. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> tuple[Listing, NDArray[np.uint8]] | None:
        """Look up a key; damaged files are removed.

        Args:
            key: by `fingerprint`.

        Returns:
            The listing and its pixels; None where the cache has none.

        Raises:
            ApparelError: a damaged file cannot be removed.
        """
        listing = self._read(self._listing_path(key), _read_listing)
        if listing is None:
            return None
        pixels = self._read(
            self._images_path(listing.images),
            lambda path: open_images(path, listing.shape, sha256=listing.images),
        )
        return None if pixels is None else (listing, pixels)

    def put_listing(self, key: str, listing: Listing) -> None:
        """Store a listing.

        Raises:
            ApparelError: it cannot be written.
        """
        content = vars(listing)
        with self.explained():
            write_text(
                self._listing_path(key),
                json.dumps({"sha256": _hash(content), "listing": content}),
            )

    @contextmanager
    def new_images(self) -> Iterator[ImageWriter]:
        """Begin a file of images, which is deleted unless `put_images` keeps it.

        Raises:
            ApparelError: it cannot be written.
        """
        with self.explained():
            images = self._folder / "images"
            images.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(prefix=".", dir=images)
        with scratch as name:
            with self.explained():
                writer = ImageWriter(Path(name))
            with closing(writer):
                yield writer

    def put_images(
        self, writer: ImageWriter, size: tuple[int, int]
    ) -> tuple[str, NDArray[np.uint8]]:
        """Complete a file of images and keep it.

        Returns:
            Hash of the pixels and shape, and the pixels.

        Raises:
            ApparelError: it cannot be written.
        """
        with self.explained():
            sha256, shape = writer.finish(size)
            writer.path.replace(self._images_path(sha256))
            return sha256, open_images(self._images_path(sha256), shape)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Explain errors of the operating system.

        Raises:
            ApparelError: in place of an OSError.
        """
        try:
            yield
        except OSError as error:
            raise ApparelError(
                f"Decoded images cannot be kept in {self._folder} ({error.strerror or error}). "
                "Expected was a folder that can be written to, with room for all images. Free some "
                "space, or name another folder: APPAREL_CACHE=FOLDER."
            ) from error

    def _read(self, path: Path, read: Callable[[Path], _T]) -> _T | None:
        """Read a file; None where it is missing, damaged or cannot be read."""
        try:
            return read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:  # a bad sector, for example: the next write replaces it
            LOGGER.warning("%s cannot be read (%s). It is made anew.", path, error.strerror)
            return None
        except DamagedFileError as damage:
            LOGGER.warning("%s %s. It is removed, and made anew.", path, damage)
            with self.explained():
                path.unlink(missing_ok=True)
            return None

    def _listing_path(self, key: str) -> Path:
        return self._folder / "listings" / f"{key}.json"

    def _images_path(self, sha256: str) -> Path:
        return self._folder / "images" / f"{sha256}.npy"


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read_listing(path: Path) -> Listing:
    """Read a listing, or raise DamagedFileError."""
    try:
        stored = json.loads(path.read_bytes())
        content = stored["listing"]
        if _hash(content) != stored["sha256"]:
            raise DamagedFileError("has another content than was written")
        n_images, height, width, channels = map(int, content["shape"])
        if not _HASH.fullmatch(content["images"]):
            raise DamagedFileError("names images that no cache has")
        problems = {int(position): str(why) for position, why in content["problems"].items()}
        return Listing(
            images=content["images"],
            shape=(n_images, height, width, channels),
            sizes=content["sizes"],
            keys=content["keys"],
            problems=problems,
        )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedFileError("is no listing of images") from error
