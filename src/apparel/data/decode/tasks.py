"""Many image files, some at a time."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.data.decode import BadImageError, decode, inspect

# Images of one size keep it up to this; larger ones take too long to train on.
LARGEST_SIDE = 64
# Starting processes takes longer than to decode so many small files.
FEWEST_FOR_PROCESSES = 500
# What a process reads before it answers.
MOST_FILES_AT_ONCE = 256
MOST_BYTES_AT_ONCE = 1 << 22
# What the machine does wrong at times, and a file is not to blame for.
PASSING = {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}

# Set in a process that is to end once it is through with the file that it is at.
stop = threading.Event()

Mode: TypeAlias = Literal["fit", "alike", "headers"]


class Task(NamedTuple):
    """Files that a process reads at once.

    Attributes:
        positions: of the files among all.
        sources: their paths, or what is in them.
        names: what messages call them.
        mode: "fit" brings images to `size`; "alike" keeps images that all have one size of at most
            `LARGEST_SIDE`, and looks at the headers of others; "headers" looks at headers alone.
        size: height and width, for "fit".
    """

    positions: Sequence[int]
    sources: Sequence[str | bytes]
    names: Sequence[str]
    mode: Mode
    size: tuple[int, int] | None = None


class Chunk(NamedTuple):
    """What became of a task.

    Attributes:
        positions: of the files that were read, among all.
        sizes: their heights and widths as they were found.
        pixels: uint8, shape (n, h, w, c), one channel where all images are grey; None where only
            headers were read, or the images are not alike.
        problems: position of a file that could not be read: why.
        transient: whether a problem may be gone next time, though the file stays the same.
        crashed: whether the file killed its process.
        steps: what was done to each image that was read, where photos are brought into a form.
    """

    positions: Sequence[int]
    sizes: Sequence[tuple[int, int]]
    pixels: NDArray[np.uint8] | None
    problems: dict[int, str]
    transient: bool = False
    crashed: bool = False
    steps: Sequence[tuple[str, ...]] = ()


def read_task(task: Task) -> Chunk:
    """Read the files of a task."""
    positions, sizes, pixels = [], [], []
    problems: dict[int, str] = {}
    size, whole, transient = task.size, task.mode != "headers", False
    for position, source, name in zip(task.positions, task.sources, task.names, strict=True):
        if stop.is_set():
            break
        try:
            wanted = size
            if wanted is None:
                facts = inspect(source, name=name)
                seen = wanted = facts.height, facts.width
                whole = whole and max(seen) <= LARGEST_SIDE
            if whole:
                image = decode(source, wanted, name=name)
                seen = image.height, image.width
                whole = task.mode == "fit" or seen == wanted
                size = wanted if whole else None
                pixels.append(image.pixels)
        except BadImageError as error:
            problems[position] = str(error)
            cause = error.__cause__
            transient |= getattr(cause, "errno", None) in PASSING or isinstance(cause, MemoryError)
        else:
            positions.append(position)
            sizes.append(seen)
    return Chunk(positions, sizes, stacked(pixels) if whole else None, problems, transient)


def stacked(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put images into one array, with one channel where all of them are grey."""
    if not images:
        return np.empty((0, 1, 1, 1), np.uint8)
    if all(map(_is_grey, images)):
        return np.stack([image[..., :1] for image in images])
    return np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for image in images])


def _is_grey(image: NDArray[np.uint8]) -> bool:
    """Whether all channels are equal."""
    return image.shape[-1] == 1 or bool((image == image[..., :1]).all())


def grouped(
    positions: Sequence[int], sources: Sequence[str | bytes], size: tuple[int, int]
) -> Iterator[tuple[list[int], list[str | bytes]]]:
    """Divide images into groups that a process reads at once.

    Args:
        positions: of the images that are wanted.
        sources: of all images.
        size: height and width that they are brought to.

    Yields:
        Positions and sources of a group.
    """
    at_most = min(max(MOST_BYTES_AT_ONCE // (size[0] * size[1] * 3), 1), MOST_FILES_AT_ONCE)
    some: list[int] = []
    found: list[str | bytes] = []
    n_bytes = 0
    for position in positions:
        source = sources[position]
        some.append(position)
        found.append(source)
        n_bytes += len(source)
        if len(some) >= at_most or n_bytes >= MOST_BYTES_AT_ONCE:
            yield some, found
            some, found, n_bytes = [], [], 0
    if some:
        yield some, found


def n_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
