"""Many image files → labelled images: decoded once, by all processors, and kept in the cache."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.messages import is_verbose, say
from apparel.data.assembly import LabelledImages, Split
from apparel.data.decode.processes import read_in_processes
from apparel.data.decode.tasks import (
    FEWEST_FOR_PROCESSES,
    LARGEST_SIDE,
    Chunk,
    Task,
    grouped,
    n_processors,
    read_task,
)
from apparel.data.pixel_cache import ImageWriter, Listing, PixelCache, cache_folder, fingerprint


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedImages:
    """The content of many image files.

    Attributes:
        pixels: uint8, shape (n, h, w, c), 0 to 255; read-only, mapped from a file: the files that
            could be read, in their order.
        positions: int64, shape (n,), the position of each among the files.
        problems: position of a file that could not be read: why.
        sizes: int32, shape (n, 2), original height and width.
        keys: uint64, shape (n,), hash of the content of each, as in `Dataset`.
    """

    pixels: NDArray[np.uint8]
    positions: NDArray[np.int64]
    problems: Mapping[int, str]
    sizes: NDArray[np.int32]
    keys: NDArray[np.uint64]


def read_files(
    root: Path,
    names: Sequence[str],
    *,
    labels: Sequence[str],
    splits: Sequence[Split] | None,
    left_out: Mapping[str, str],
    image_size: int | None,
) -> LabelledImages:
    """Read labelled image files; those that cannot be read are named.

    Args:
        root: folder that names are relative to.
        names: of the files.
        labels: class of each file.
        splits: split of each file; None for a source without splits.
        left_out: files that were left out before, by name: why.
        image_size: height and width; None for the size that fits the images.

    Raises:
        DataError: no file can be read.
        ApparelError: the cache cannot be written.
    """
    paths = [os.path.join(root, name) for name in names]  # noqa: PTH118  # millions of files
    found = decode_files(paths, root=root, image_size=image_size)
    images = labelled(found, names, labels, splits=splits, left_out=left_out)
    if not images.labels:
        raise DataError(
            f"none of the {len(names) + len(left_out):,} files in {root} can be read as an image. "
            f"The first one: {next(iter(images.unreadable.values()))}"
        )
    return images


def labelled(
    found: DecodedImages,
    names: Sequence[str],
    labels: Sequence[str],
    *,
    splits: Sequence[Split] | None,
    left_out: Mapping[str, str] | None = None,
) -> LabelledImages:
    """Add names and labels to images that were decoded; args are those of `read_files`."""
    read = found.positions
    return LabelledImages(
        images=found.pixels,
        labels=[labels[i] for i in read],
        splits=None if splits is None else [splits[i] for i in read],
        names=[names[i] for i in read],
        unreadable={**(left_out or {}), **{names[i]: why for i, why in found.problems.items()}},
        sizes=Counter(map(tuple, found.sizes.tolist())),
        keys=found.keys,
    )


def decode_files(
    paths: Sequence[bytes | str | os.PathLike[str]],
    *,
    root: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None,
    cache: Path | None = None,
) -> DecodedImages:
    """Decode image files, or get them from the cache.

    The images have one channel if all of them are grey, also where grey is stored as red, green
    and blue that are equal in every pixel; else they have three.

    Args:
        paths: of the files.
        root: a folder; the cache knows files by their paths relative to it, their sizes and times.
        image_size: height and width, or one number for both. None keeps the size where all images
            that can be read have the same, of at most 64 pixels a side; else it means a square
            whose side is the median of the images' longer sides, rounded, or 64 if that is less.
        cache: folder of decoded images; None for the user's cache.

    Returns:
        The images; files that cannot be read are named, and change nothing else.

    Raises:
        ApparelError: the cache cannot be written, or decoding kills too many processes.
    """
    files = [os.fsdecode(path) for path in paths]
    inside = os.path.join(os.fsdecode(root), "")  # noqa: PTH118  # ends in a separator
    names = [file.removeprefix(inside) for file in files]
    return _cached_or_decoded(_Reading(files, names), files, image_size, cache)


def decode_encoded(
    images: Sequence[bytes],
    names: Sequence[str],
    *,
    stored_in: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None,
    cache: Path | None = None,
) -> DecodedImages:
    """Decode images that are encoded as in files, but stored in a table, like `decode_files`.

    Args:
        images: encoded; read in order, more than once where they have several sizes.
        names: of the images.
        stored_in: the file that holds them; the cache knows them by its size and time.
        image_size: as for `decode_files`.
        cache: folder of decoded images; None for the user's cache.

    Raises:
        ApparelError: the cache cannot be written, or decoding kills too many processes.
    """
    files = [os.fsdecode(stored_in)] * len(names)
    return _cached_or_decoded(_Reading(images, names), files, image_size, cache)


class _Reading:
    """The progress of reading images.

    Attributes:
        sources: their paths, or the content of their files.
        names: in messages.
        sizes: int32, shape (n, 2), height and width; 0 where they are not known.
        keys: uint64, shape (n,), hash of the content of each; 0 where it is not known.
        problems: position of a file that cannot be read: why.
        transient: whether a problem may be gone next time.
    """

    def __init__(self, sources: Sequence[str | bytes], names: Sequence[str]) -> None:
        self.sources, self.names = sources, names
        self.sizes = np.zeros((len(names), 2), np.int32)
        self.keys = np.zeros(len(names), np.uint64)
        self.problems: dict[int, str] = {}
        self.transient = False

    def note(self, chunk: Chunk) -> None:
        """Record the result of some files."""
        if chunk.positions:
            self.sizes[chunk.positions] = chunk.sizes
            self.keys[chunk.positions] = chunk.keys
        for position, why in chunk.problems.items():
            self.sizes[position] = 0  # of a file whose header could be read, but not its pixels
            self.problems[position] = why
        self.transient |= chunk.transient

    @property
    def known_sizes(self) -> NDArray[np.int32]:
        """Heights and widths of the files that can be read, in their order."""
        return self.sizes[self.sizes[:, 0] > 0]

    def fitting_size(self) -> tuple[int, int]:
        """Choose the size of images, as `decode_files` says."""
        sizes = self.known_sizes
        if len(sizes) == 0:
            return LARGEST_SIDE, LARGEST_SIDE
        if sizes.max() <= LARGEST_SIDE and (sizes == sizes[0]).all():
            height, width = sizes[0].tolist()
            return height, width
        side = min(round(float(np.median(sizes.max(axis=1)))), LARGEST_SIDE)
        return side, side


def _cached_or_decoded(
    reading: _Reading,
    files: Sequence[str],
    image_size: int | tuple[int, int] | None,
    cache: Path | None,
) -> DecodedImages:
    """Get images from the cache, or decode them into it; `files` hold the images."""
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    store, key = PixelCache(cache or cache_folder()), fingerprint(files, reading.names, size)
    listing, pixels = store.find(key) or _decode(reading, size, store, key)
    positions = np.setdiff1d(np.arange(len(files)), list(listing.problems), assume_unique=True)
    return DecodedImages(
        pixels=pixels,
        positions=positions.astype(np.int64),
        problems=listing.problems,
        sizes=np.array(listing.sizes, np.int32).reshape(-1, 2),
        keys=np.array(listing.keys, np.uint64),
    )


def _decode(
    reading: _Reading, asked: tuple[int, int] | None, store: PixelCache, key: str
) -> tuple[Listing, NDArray[np.uint8]]:
    """Decode images into the cache.

    Without a size that is asked for, images are first taken to be alike. Where they are not, their
    headers decide on the size, and then they are decoded. Where pixels then turn out to be broken,
    the other images may fit another size.

    Args:
        reading: of the images, as it begins.
        asked: height and width to bring them to; None for the size that fits.
        store: the cache.
        key: of the listing.

    Returns:
        The result of each file, and the pixels.

    Raises:
        ApparelError: the cache cannot be written, or decoding kills too many processes.
    """
    size, n_images = asked, len(reading.names)
    if not sys.stderr.isatty():
        say(f"Reading {n_images:,} images", file=sys.stderr)
    while True:
        with store.new_images() as images:
            used = _read_all(reading, size, store, images)
            size = asked or reading.fitting_size()
            if used == size or len(reading.problems) == n_images:
                sha256, pixels = store.put_images(images, size)
                break
    height, width, channels = pixels.shape[1:]
    listing = Listing(
        images=sha256,
        shape=(len(pixels), height, width, channels),
        sizes=reading.known_sizes.tolist(),
        keys=reading.keys[reading.sizes[:, 0] > 0].tolist(),
        problems=reading.problems,
    )
    if not reading.transient:
        store.put_listing(key, listing)
    return listing, pixels


def _read_all(
    reading: _Reading, size: tuple[int, int] | None, store: PixelCache, images: ImageWriter
) -> tuple[int, int] | None:
    """Read all files that are not known to be broken.

    Args:
        reading: is brought up to date.
        size: height and width to bring images to; None to keep theirs.
        store: the cache.
        images: the file to write them to.

    Returns:
        The size of the images; None where they are of several sizes, or large, so that only their
        headers were read.
    """
    used, alike = size, True
    left = [position for position in range(len(reading.names)) if position not in reading.problems]

    def tasks() -> Iterator[Task]:
        files = ((i, reading.names[i], reading.sources[i]) for i in left)
        for task in grouped(files, size or (LARGEST_SIDE, LARGEST_SIDE)):
            yield task if size else task._replace(mode="alike" if alike else "headers", size=None)

    # Starting processes takes longer than to decode a few files.
    chunks = (
        map(read_task, tasks())
        if len(left) < FEWEST_FOR_PROCESSES
        else read_in_processes(tasks(), read_task, n_processors())
    )
    with _progress(len(left)) as advance:
        for chunk in chunks:
            reading.note(chunk)
            advance(len(chunk.positions) + len(chunk.problems))
            if not chunk.positions or not alike:
                continue
            found = None if chunk.pixels is None else chunk.pixels.shape[1:3]
            used = used or found
            alike = found is not None and found == used
            if chunk.pixels is not None and alike:
                with store.explained():
                    images.append(chunk.pixels)
    return used if alike else None


@contextmanager
def _progress(n_files: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal."""
    if not (is_verbose() and sys.stderr.isatty()):
        yield lambda _n: None
        return
    from rich.console import Console  # noqa: PLC0415  # only where there is a terminal
    from rich.progress import Progress  # noqa: PLC0415  # as above

    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(f"Reading {n_files:,} images", total=n_files)
        yield lambda n: progress.advance(task, n)
