"""Images that were read, some at a time → the batches that a model answers.

What a runtime answers may depend, in its last bits, on what else is in a batch. So a batch depends
on the places of images in their part alone, and not on how they were read.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apparel.data.decode.tasks import Chunk
from apparel.predict.reading import NamedSource


class ReadImage(NamedTuple):
    """What became of an image.

    Attributes:
        name: what it is called.
        pixels: uint8, shape (h, w, c); None where it could not be read.
        steps: what was done to it.
        problem: why it could not be read.
    """

    name: str
    pixels: NDArray[np.uint8] | None
    steps: tuple[str, ...] = ()
    problem: str = ""


def batches(
    parts: Iterable[Iterable[NamedSource]],
    read: Callable[[Iterable[NamedSource]], Iterator[Chunk]],
    size: int,
) -> Iterator[list[ReadImage]]:
    """Read images, and divide them into batches.

    Args:
        parts: of images; no batch has images of two.
        read: reads images of all parts, in order.
        size: images of a batch, the last one of each part apart.

    Yields:
        The images of a batch, in order.
    """
    ahead: deque[tuple[str, int]] = deque()  # of images that are being read: name, batch

    def numbered() -> Iterator[NamedSource]:
        number = 0
        for part in parts:
            for place, (name, source) in enumerate(part):
                number += place % size == 0
                ahead.append((name, number))
                yield name, source

    batch, current = list[ReadImage](), 1
    for chunk in read(numbered()):
        for pixels, steps, problem in _in_order(chunk):
            name, number = ahead.popleft()
            if number != current:
                yield batch
                batch, current = [], number
            batch.append(ReadImage(name, pixels, steps, problem))
    if batch:
        yield batch


def _in_order(chunk: Chunk) -> Iterator[tuple[NDArray[np.uint8] | None, tuple[str, ...], str]]:
    """Pixels, steps and problem of each image, whether or not it was read."""
    row_of = {position: row for row, position in enumerate(chunk.positions)}
    for position in sorted((*chunk.positions, *chunk.problems)):
        row = row_of.get(position)
        if row is None or chunk.pixels is None:
            yield None, (), chunk.problems[position]
        else:
            yield chunk.pixels[row], tuple(chunk.steps[row]), ""
