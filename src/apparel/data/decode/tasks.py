"""Many image files, read some at a time."""

import errno
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import file_key, pixel_key
from apparel.data.decode import BadImageError, decode, image_size

# Images of one size keep it up to this; larger ones take too long to train on.
LARGEST_SIDE = 64
# Starting processes takes longer than to decode so many small files.
FEWEST_FOR_PROCESSES = 500
# Read by a process before it answers.
MOST_FILES_AT_ONCE = 256
MOST_BYTES_AT_ONCE = 1 << 22
# Errors of the machine, for which a file is not to blame.
TRANSIENT = {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}

# Set in a process that is to end after the current file.
stop = threading.Event()

Mode: TypeAlias = Literal["fit", "alike", "headers"]


class Task(NamedTuple):
    """Files that a process reads at once.

    Attributes:
        positions: of the files among all.
        sources: their paths, or their content.
        names: of the files in messages.
        mode: "fit" brings images to `size`; "alike" keeps images that all have one size of at most
            `LARGEST_SIDE`, and looks at the headers of others; "headers" looks at headers alone.
        size: height and width, for "fit".
    """

    positions: list[int]
    sources: list[str | bytes]
    names: list[str]
    mode: Mode
    size: tuple[int, int] | None = None


class Chunk(NamedTuple):
    """The result of a task.

    Attributes:
        positions: of the files that were read, among all.
        sizes: their original heights and widths.
        pixels: uint8, shape (n, h, w, c), one channel where all images are grey; None where only
            headers were read, or the images are not alike.
        problems: position of a file that could not be read: why.
        keys: hash of the content of each file that was read, as in `Dataset`; 0 where only headers
            were read.
        transient: whether a problem may be gone next time, though the file stays the same.
        crashed: whether the file killed its process.
        steps: processing steps of each image that was read, where photos are brought into a form.
    """

    positions: Sequence[int]
    sizes: Sequence[tuple[int, int]]
    pixels: NDArray[np.uint8] | None
    problems: dict[int, str]
    keys: Sequence[int] = ()
    transient: bool = False
    crashed: bool = False
    steps: Sequence[tuple[str, ...]] = ()


def read_task(task: Task) -> Chunk:
    """Read the files of a task."""
    positions, sizes, images, keys = [], [], [], []
    problems: dict[int, str] = {}
    size, whole, transient = task.size, task.mode != "headers", False
    for position, source, name in zip(task.positions, task.sources, task.names, strict=True):
        if stop.is_set():
            break
        key = 0
        try:
            seen = wanted = size or image_size(source, name=name)
            if size is None:
                whole = whole and max(seen) <= LARGEST_SIDE
            if whole:
                pixels, *sides = decode(source, wanted, name=name)
                seen = sides[0], sides[1]
                whole = task.mode == "fit" or seen == wanted
                size = wanted if whole else None
                images.append(pixels)
                key = _key(source, pixels, seen) if whole else 0
        except BadImageError as error:
            problems[position] = str(error)
            cause = error.__cause__
            transient |= getattr(cause, "errno", None) in TRANSIENT or isinstance(
                cause, MemoryError
            )
        else:
            positions.append(position)
            sizes.append(seen)
            keys.append(key)
    pixels_of_all = stacked(images) if whole else None
    return Chunk(positions, sizes, pixels_of_all, problems, keys, transient)


def _key(source: str | bytes, pixels: NDArray[np.uint8], size: tuple[int, int]) -> int:
    """Hash an image's content, independent of target size and other images.

    A small image is known by its own pixels, as in an array file of the same images; a larger one,
    which may be decoded at a reduced scale, by its file.

    Args:
        source: path of the file, or its content.
        pixels: as decoded.
        size: original height and width.
    """
    if max(size) > LARGEST_SIDE:
        return file_key(source if isinstance(source, bytes) else Path(source).read_bytes())
    return pixel_key(pixels if pixels.shape[:2] == size else decode(source, size).pixels)


def stacked(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put images into one array, with one channel where all of them are grey."""
    if not images:
        return np.empty((0, 1, 1, 1), np.uint8)
    if all(map(_is_grey, images)):
        return np.stack([image[..., :1] for image in images])
    return np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for image in images])


def _is_grey(image: NDArray[np.uint8]) -> bool:
    """Tell whether all channels are equal."""
    return image.shape[-1] == 1 or bool((image == image[..., :1]).all())


def grouped(
    images: Iterable[tuple[int, str, str | bytes]], size: tuple[int, int]
) -> Iterator[Task]:
    """Divide images into tasks.

    Args:
        images: position, name, and path or content of each; taken as they are needed.
        size: height and width to bring them to.
    """
    at_most = min(max(MOST_BYTES_AT_ONCE // (size[0] * size[1] * 3), 1), MOST_FILES_AT_ONCE)
    task, n_bytes = Task([], [], [], "fit", size), 0
    for position, name, source in images:
        task.positions.append(position)
        task.sources.append(source)
        task.names.append(name)
        n_bytes += len(source)
        if len(task.positions) >= at_most or n_bytes >= MOST_BYTES_AT_ONCE:
            yield task
            task, n_bytes = Task([], [], [], "fit", size), 0
    if task.positions:
        yield task


def n_processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
