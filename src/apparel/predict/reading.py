"""Named images → pixels as a model takes them, some at a time, in several processes if many."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.data import decode, fashion_photo
from apparel.data.decode import tasks as reading
from apparel.data.decode.tasks import FEWEST_FOR_PROCESSES, Chunk, Task, n_processors, stacked

NamedSource = tuple[str, decode.Source]
# Encoded images that take longer to decode than processes to start.
LARGE_BYTES = 1 << 25


def read_image(
    source: decode.Source, img_shape: tuple[int, int, int], *, name: str, as_photo: bool
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read an image as a model takes it.

    Args:
        source: a path, or what is in the file.
        img_shape: height, width and channels.
        name: what messages call it.
        as_photo: whether to bring it into the form of Fashion-MNIST's images.

    Returns:
        Shape `img_shape`, and the steps that were taken.

    Raises:
        DataError: it is missing, broken, too large to open safely, or no image.
    """
    if as_photo:
        return fashion_photo.read(source, name=name)
    return decode.read(source, img_shape, name=name), ()


def read_chunks(
    sources: Iterable[NamedSource],
    img_shape: tuple[int, int, int],
    *,
    as_photo: bool,
    n_processes: int | None = None,
) -> Iterator[Chunk]:
    """Read images, some at a time.

    Args:
        sources: names and paths, or what is in the files; taken only a little ahead.
        img_shape: height, width and channels to bring them to.
        as_photo: as in `read_image`.
        n_processes: how many others read; 0 for none, None for all processors where that is faster.

    Yields:
        In order: pixels of shape (m, *img_shape), the steps taken with each, and what was wrong
        with those that could not be read.

    Raises:
        ApparelError: far too many files killed the process that reads them.
    """
    tasks = _tasks(sources, img_shape[:2])
    read = partial(_read_task, img_shape=img_shape, as_photo=as_photo)
    if n_processes is None:
        first, are_many = _beginning(tasks)
        tasks = chain(first, tasks)
        n_processes = n_processors() if are_many else 0
    if not n_processes:
        yield from map(read, tasks)
        return
    from apparel.data.decode.processes import read_in_processes  # noqa: PLC0415  # for many only

    yield from read_in_processes(tasks, read, n_processes)


def _tasks(sources: Iterable[NamedSource], size: tuple[int, int]) -> Iterator[Task]:
    """Divide images into groups that are read at once."""
    most_bytes = reading.MOST_BYTES_AT_ONCE
    at_most = min(max(most_bytes // (size[0] * size[1] * 3), 1), reading.MOST_FILES_AT_ONCE)
    positions, contents, names, n_bytes = list[int](), list[str | bytes](), list[str](), 0
    for position, (name, source) in enumerate(sources):
        content = source if isinstance(source, bytes) else os.fspath(source)
        positions.append(position)
        contents.append(content)
        names.append(name)
        n_bytes += len(content)
        if len(positions) >= at_most or n_bytes >= most_bytes:
            yield Task(positions, contents, names, "fit", size)
            positions, contents, names, n_bytes = [], [], [], 0
    if positions:
        yield Task(positions, contents, names, "fit", size)


def _beginning(tasks: Iterator[Task]) -> tuple[list[Task], bool]:
    """Take the first tasks, until it is known whether there are many images."""
    taken, n_images, n_bytes = list[Task](), 0, 0
    for task in tasks:
        taken.append(task)
        n_images += len(task.positions)
        n_bytes += sum(map(len, task.sources))
        if n_images >= FEWEST_FOR_PROCESSES or n_bytes >= LARGE_BYTES:
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
    pixels = np.stack(images) if images else stacked([])
    return Chunk(positions, [img_shape[:2]] * len(images), pixels, problems, steps=steps)
