"""Keep decoded images, by the names, sizes and times of the files they are from.

    listings/<hash of names, sizes and times>.json    what became of each file
    images/<hash of pixels and shape>.npy             the pixels, for whatever listing has them

So a folder that was copied, or that another table lists, shares the pixels of the first.
"""

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from apparel.core.atomic_files import write_text
from apparel.core.errors import ApparelError
from apparel.data.decode import RULE_VERSION
from apparel.data.decode.cost import LIMITS
from apparel.data.npy import DamagedFileError, ImageWriter, Shape, open_images

LOGGER = logging.getLogger("apparel")
# To be raised when the files of the cache change, or what decides on the size of images.
FORMAT_VERSION = 1
# What images are called: the hash is the name of a file, and must not lead to another folder.
_HASH = re.compile("[0-9a-f]{64}")

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What became of files.

    Attributes:
        images: hash of the pixels of those that could be read, and of their shape.
        shape: of these pixels.
        sizes: their height and width as they were found.
        problems: position of each other file: why.
    """

    images: str
    shape: Shape
    sizes: Sequence[Sequence[int]]
    problems: Mapping[int, str]


def fingerprint(
    paths: Sequence[str], names: Sequence[str], image_size: tuple[int, int] | None
) -> str:
    """Hash all that decides on what files decode to, short of their content.

    Args:
        paths: of the files.
        names: of the files, which stay when all are moved together.
        image_size: height and width that are asked for.
    """
    limits = (Image.MAX_IMAGE_PIXELS, *LIMITS)
    rule = [FORMAT_VERSION, RULE_VERSION, PIL.__version__, limits, image_size]
    digest = hashlib.sha256(json.dumps(rule).encode())
    for path, name in zip(paths, names, strict=True):
        try:
            status = os.stat(path)  # noqa: PTH116  # a Path takes longer to make than to look up
            facts = f"\0{status.st_size} {status.st_mtime_ns} {status.st_mode}\0"
        except (OSError, ValueError):  # which one is told where it is read
            facts = "\0\0"
        digest.update((name + facts).encode(errors="surrogatepass"))
    return digest.hexdigest()


class PixelCache:
    """A folder of listings and images. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> tuple[Listing, NDArray[np.uint8]] | None:
        """Get what is stored under a key; what is damaged is removed.

        Args:
            key: by `fingerprint`.

        Returns:
            The listing and its pixels, or None where there are none.

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
        content = _content(listing)
        with self.explained():
            write_text(
                self._listing_path(key),
                json.dumps({"sha256": _hash(content), "listing": content}),
            )

    @contextmanager
    def new_images(self) -> Iterator[ImageWriter]:
        """Begin a file of images, which is deleted unless it is put into the cache.

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
        """Finish a file of images and keep it.

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
        """Say of the system's errors what they are about.

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
        except OSError as error:  # a bad sector, for example: what is written next takes its place
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


def _content(listing: Listing) -> dict[str, object]:
    """A listing in plain types."""
    return {
        "images": listing.images,
        "shape": listing.shape,
        "sizes": listing.sizes,
        "problems": {str(position): why for position, why in listing.problems.items()},
    }


def _hash(content: object) -> str:
    """Hash plain types."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read_listing(path: Path) -> Listing:
    """Read a listing.

    Raises:
        DamagedFileError: it is not as it was written.
    """
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
            problems=problems,
        )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedFileError("is no listing of images") from error
