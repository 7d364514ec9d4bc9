"""Named images → batches of pixels that a model answers, read in several processes if many.

A runtime's answers may depend, in their last bits, on what else is in a batch. So a batch depends
on the places of images in their part alone, and not on how they were read.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.data import decode, fashion_photo
from apparel.data.decode import NamedSource, tasks
from apparel.data.decode.tasks import Chunk, Task

# Encoded images that take longer to decode than processes to start.
LARGE_BYTES = 1 << 25


class ReadImage(NamedTuple):
    """An image that was read, or not.

    Attributes:
        name: of the image.
        pixels: uint8, shape (h, w, c); None where it could not be read.
        steps: those that brought it into the form of the training images.
        problem: the reason why it could not be read.
    """

    name: str
    pixels: NDArray[np.uint8] | None
    steps: tuple[str, ...]
    problem: str


def read_image(
    source: decode.Source, img_shape: tuple[int, int, int], *, name: str, as_photo: bool
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read an image as a model takes it.

    Args:
        source: a path, or the content of the file.
        img_shape: height, width and channels.
        name: of the image, for messages.
        as_photo: whether to bring it into the form of Fashion-MNIST's images.

    Returns:
        Shape `img_shape`, and the steps that were taken.

    Raises:
        DataError: it is missing, broken, too large to open safely, or no image.
    """
    if as_photo:
        return fashion_photo.read(source, name=name)
    return decode.read(source, img_shape, name=name), ()


def read_batches(
    parts: Iterable[Iterable[NamedSource]],
    img_shape: tuple[int, int, int],
    size: int,
    *,
    as_photo: bool,
    n_processes: int | None = None,
) -> Iterator[list[ReadImage]]:
    """Read images, and divide them into batches.

    Args:
        parts: of images, as names and paths or contents of files; consumed only a little ahead.
            No batch has images of two parts.
        img_shape: height, width and channels to bring them to.
        size: number of images in a batch; the last one of each part may have fewer.
        as_photo: as in `read_image`.
        n_processes: number of subprocesses that read; 0 for none, None for one a processor where
            that is faster.

    Yields:
        The images of a batch, in order.

    Raises:
        ApparelError: far too many files killed the process that reads them.
    """
    ahead: deque[tuple[str, int]] = deque()  # of images that are being read: name, batch

    def numbered() -> Iterator[tuple[int, str, str | bytes]]:
        number, position = 0, count()
        for part in parts:
            for place, (name, source) in enumerate(part):
                number += place % size == 0
                ahead.append((name, number))
                content = source if isinstance(source, bytes) else os.fspath(source)
                yield next(position), name, content

    batch, current = list[ReadImage](), 1
    for chunk in _read(tasks.grouped(numbered(), img_shape[:2]), img_shape, as_photo, n_processes):
        row_of = {position: row for row, position in enumerate(chunk.positions)}
        for position in sorted((*chunk.positions, *chunk.problems)):
            name, number = ahead.popleft()
            if number != current:
                yield batch
                batch, current = [], number
            row = row_of.get(position)
            if row is None or chunk.pixels is None:
                batch.append(ReadImage(name, None, (), chunk.problems[position]))
            else:
                batch.append(ReadImage(name, chunk.pixels[row], chunk.steps[row], ""))
    if batch:
        yield batch


def _read(
    waiting: Iterator[Task],
    img_shape: tuple[int, int, int],
    as_photo: bool,
    n_processes: int | None,
) -> Iterator[Chunk]:
    """Read tasks in order, in other processes if there are many."""
    read = partial(_read_task, img_shape=img_shape, as_photo=as_photo)
    if n_processes is None:
        first, are_many = _beginning(waiting)
        waiting = chain(first, waiting)
        n_processes = tasks.n_processors() if are_many else 0
    if not n_processes:
        return map(read, waiting)
    from apparel.data.decode.processes import read_in_processes  # noqa: PLC0415  # for many only

    return read_in_processes(waiting, read, n_processes)


def _beginning(waiting: Iterator[Task]) -> tuple[list[Task], bool]:
    """Take the first tasks, until it is known whether there are many images."""
    taken, n_images, n_bytes = list[Task](), 0, 0
    for task in waiting:
        taken.append(task)
        n_images += len(task.positions)
        n_bytes += sum(map(len, task.sources))
        if n_images >= tasks.FEWEST_FOR_PROCESSES or n_bytes >= LARGE_BYTES:
            return taken, True
    return taken, False


def _read_task(task: Task, *, img_shape: tuple[int, int, int], as_photo: bool) -> Chunk:
    """Read some images as a model takes them."""
    positions, images, steps = [], [], []
    problems: dict[int, str] = {}
    for position, source, name in zip(task.positions, task.sources, task.names, strict=True):
        try:
            image, taken = read_image(source, img_shape, name=name, as_photo=as_photo)
        except DataError as error:
            problems[position] = str(error)
            continue
        positions.append(position)
        images.append(image)
        steps.append(taken)
    pixels = np.stack(images) if images else None
    return Chunk(positions, [img_shape[:2]] * len(images), pixels, problems, steps=steps)
