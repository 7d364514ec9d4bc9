"""Many image files → one array, decoded once and kept."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.data.decoding import Reading, decode_into
from apparel.data.pixel_cache import PixelCache, fingerprint


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedImages:
    """What many image files hold.

    Attributes:
        pixels: uint8, shape (n, h, w, c), 0 to 255; read-only, mapped from a file: the files that
            could be read, in their order.
        positions: int64, shape (n,), which of the files each is.
        problems: position of a file that could not be read: why.
        sizes: int32, shape (n, 2), height and width as they were found.
    """

    pixels: NDArray[np.uint8]
    positions: NDArray[np.int64]
    problems: Mapping[int, str]
    sizes: NDArray[np.int32]


def decode_files(
    paths: Sequence[bytes | str | os.PathLike[str]],
    *,
    root: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None,
    cache: Path,
) -> DecodedImages:
    """Decode image files, or get from the cache what they were decoded to.

    The images have one channel if all of them are grey, also where grey is stored as red, green
    and blue that are equal in every pixel; else they have three.

    Args:
        paths: of the files.
        root: a folder; files are known again by their paths relative to it, their sizes and times.
        image_size: height and width, or one number for both. None keeps the size where all images
            that can be read have the same, of at most 64 pixels a side; else it means a square
            whose side is the median of the images' longer sides, rounded, or 64 if that is less.
        cache: the folder where what was decoded is kept.

    Returns:
        The images; files that cannot be read are named, and cost nothing but themselves.

    Raises:
        ApparelError: the cache cannot be written, or decoding kills too many processes.
    """
    files = [os.fsdecode(path) for path in paths]
    names = _relative(files, os.fsdecode(root))
    return _known_or_decoded(Reading(files, names), files, image_size, cache)


def decode_encoded(
    images: Sequence[bytes],
    names: Sequence[str],
    *,
    stored_in: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None,
    cache: Path,
) -> DecodedImages:
    """Decode images that are encoded as in files, but stored in a table, like `decode_files`.

    Args:
        images: encoded; are asked for in order, more than once where they have several sizes.
        names: one an image.
        stored_in: the file that they are from; they are known again by its size and time.
        image_size: as for `decode_files`.
        cache: the folder where what was decoded is kept.

    Raises:
        ApparelError: the cache cannot be written, or decoding kills too many processes.
    """
    files = [os.fsdecode(stored_in)] * len(names)
    return _known_or_decoded(Reading(images, names), files, image_size, cache)


def _known_or_decoded(
    reading: Reading, files: Sequence[str], image_size: int | tuple[int, int] | None, cache: Path
) -> DecodedImages:
    """Get images from the cache, or decode them into it.

    Args:
        reading: of them.
        files: where each of them is stored.
        image_size: height and width, or one number for both; None for what fits.
        cache: its folder.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    store, key = PixelCache(cache), fingerprint(files, reading.names, size)
    listing, pixels = store.find(key) or decode_into(store, key, reading, size)
    positions = np.setdiff1d(np.arange(len(files)), list(listing.problems), assume_unique=True)
    return DecodedImages(
        pixels=pixels,
        positions=positions.astype(np.int64),
        problems=listing.problems,
        sizes=np.array(listing.sizes, np.int32).reshape(-1, 2),
    )


def _relative(files: Sequence[str], root: str) -> list[str]:
    """Paths relative to a folder, of those that are in it."""
    inside = os.path.join(root, "")  # noqa: PTH118  # ends in a separator
    return [file.removeprefix(inside) for file in files]
