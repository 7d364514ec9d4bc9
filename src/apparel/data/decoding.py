"""Decode many images into the cache, in the size that fits them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from apparel.data.decode.processes import read_in_processes
from apparel.data.decode.tasks import (
    FEWEST_FOR_PROCESSES,
    LARGEST_SIDE,
    Chunk,
    Mode,
    Task,
    grouped,
    n_processors,
    read_task,
)
from apparel.data.npy import ImageWriter
from apparel.data.pixel_cache import Listing, PixelCache


class Reading:
    """What is known of images so far.

    Attributes:
        sources: their paths, or what is in their files.
        names: what messages call them.
        sizes: int32, shape (n, 2), height and width; 0 where they are not known.
        problems: position of a file that cannot be read: why.
        passing: whether a problem may be gone next time.
    """

    def __init__(self, sources: Sequence[str | bytes], names: Sequence[str]) -> None:
        self.sources = sources
        self.names = names
        self.sizes = np.zeros((len(names), 2), np.int32)
        self.problems: dict[int, str] = {}
        self.passing = False

    def note(self, chunk: Chunk) -> None:
        """Take note of what became of some files."""
        if chunk.positions:
            self.sizes[chunk.positions] = chunk.sizes
        for position, why in chunk.problems.items():
            self.sizes[position] = 0  # of a file whose header could be read, but not its pixels
            self.problems[position] = why
        self.passing |= chunk.passing

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


def decode_into(
    store: PixelCache, key: str, reading: Reading, asked: tuple[int, int] | None
) -> tuple[Listing, NDArray[np.uint8]]:
    """Decode images into the cache.

    Without a size that is asked for, images are first taken to be alike. Where they are not, their
    headers decide on the size, and then they are decoded. Where pixels then turn out to be broken,
    the other images may fit another size.

    Args:
        store: the cache.
        key: what they are to be found by.
        reading: of the images, as it begins.
        asked: height and width to bring them to; None for what fits.

    Returns:
        What became of them, and the pixels.

    Raises:
        ApparelError: the cache cannot be written, or decoding kills too many processes.
    """
    size, n_images = asked, len(reading.names)
    if not sys.stderr.isatty():
        print(f"Reading {n_images:,} images", file=sys.stderr)
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
        problems=reading.problems,
    )
    if not reading.passing:
        store.put_listing(key, listing)
    return listing, pixels


def _read_all(
    reading: Reading, size: tuple[int, int] | None, store: PixelCache, images: ImageWriter
) -> tuple[int, int] | None:
    """Read all files that are not known to be broken.

    Args:
        reading: what is known of files; is brought up to date.
        size: height and width to bring images to; None to keep theirs.
        store: the cache.
        images: where to put them.

    Returns:
        The size of the images; None where they are of several sizes, or large, so that only their
        headers were read.
    """
    used, alike = size, True
    left = [position for position in range(len(reading.names)) if position not in reading.problems]

    def tasks() -> Iterator[Task]:
        for some, sources in grouped(left, reading.sources, size or (LARGEST_SIDE, LARGEST_SIDE)):
            names = [reading.names[position] for position in some]
            mode: Mode = "fit" if size else "alike" if alike else "headers"
            yield Task(some, sources, names, mode, size)

    with _progress(len(left)) as advance:
        for chunk in _read(tasks(), len(left)):
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


def _read(tasks: Iterable[Task], n_files: int) -> Iterator[Chunk]:
    """Read files, with all processors where that is faster."""
    if n_files < FEWEST_FOR_PROCESSES:
        return map(read_task, tasks)
    return read_in_processes(tasks, read_task, n_processors())


@contextmanager
def _progress(n_files: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _n: None
        return
    from rich.console import Console  # noqa: PLC0415  # only where there is a terminal
    from rich.progress import Progress  # noqa: PLC0415  # as above

    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(f"Reading {n_files:,} images", total=n_files)
        yield lambda n: progress.advance(task, n)
