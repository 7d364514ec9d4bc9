"""Named images → pixels as a model takes them, some at a time, in several processes if many."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from apparel import decode, photo
from apparel.decode.tasks import (
    FEWEST_FOR_PROCESSES,
    Chunk,
    Task,
    grouped,
    n_processors,
    stacked,
)
from apparel.errors import DataError

NamedSource = tuple[str, decode.Source]


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
        return photo.read(source, name=name)
    return decode.read(source, img_shape, name=name), ()


def read_chunks(
    sources: Sequence[NamedSource], img_shape: tuple[int, int, int], *, as_photo: bool
) -> Iterator[Chunk]:
    """Read images, some at a time, with all processors where that is faster.

    Args:
        sources: names and paths, or what is in the files.
        img_shape: height, width and channels to bring them to.
        as_photo: as in `read_image`.

    Yields:
        In order: pixels of shape (m, *img_shape), the steps taken with each, and what was wrong
        with those that could not be read.

    Raises:
        ApparelError: far too many files killed the process that reads them.
    """
    names = [name for name, _ in sources]
    contents = [s if isinstance(s, bytes) else os.fspath(s) for _, s in sources]
    tasks = (
        Task(some, found, [names[position] for position in some], "fit", img_shape[:2])
        for some, found in grouped(range(len(names)), contents, img_shape[:2])
    )
    read = partial(_read_task, img_shape=img_shape, as_photo=as_photo)
    if len(names) < FEWEST_FOR_PROCESSES:
        return map(read, tasks)
    from apparel.decode.processes import read_in_processes  # noqa: PLC0415  # for many only

    return read_in_processes(tasks, read, n_processors())


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
