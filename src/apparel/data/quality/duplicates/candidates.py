"""Descriptors → pairs of images that might be copies.

Images are sorted into boxes of alike ones by halving them where they differ most, as in a k-d tree
(J. H. Friedman, J. L. Bentley and R. A. Finkel, "An Algorithm for Finding Best Matches in
Logarithmic Expected Time", 1977). Boxes that are too far from each other for copies are passed
over. Of the others, all pairs are looked at by matrix products: of 70,000 images of Fashion-MNIST,
a quarter of the boxes are. The time still grows with the square of the number of images.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

from apparel.data.quality.duplicates.comparison import Pixels
from apparel.data.quality.duplicates.descriptors import MIDDLE, N_WINDOWS

BOX_SIZE = 512
# Descriptors that a box's are compared with at once.
N_AT_ONCE = 1 << 12
# An image may have that many copies among earlier images; the nearest are compared.
MOST_EARLIER = 20
# Pairs that are held before all but the nearest are let go.
MOST_HELD = 1 << 22

# Pairs of positions, shape (m, 2), and the squares of the distances of their descriptors.
Found: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]


def near_pairs(descriptors: Pixels, radius: float) -> NDArray[np.int64]:
    """Find images whose descriptors are near.

    Args:
        descriptors: shape (n, 9, d).
        radius: the greatest distance.

    Returns:
        Shape (m, 2), rows sorted: an image's position and, before it, that of an earlier one whose
        descriptor is near; at most MOST_EARLIER of them, the nearest.
    """
    if not len(descriptors):
        return np.zeros((0, 2), np.int64)
    held, n_held, most_held = [(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))], 0, MOST_HELD
    reach = np.full(len(descriptors), radius**2, np.float32)
    # Threads that share such small products wait for each other: with another program beside it,
    # two threads took five times as long as one.
    with threadpool_limits(1, "blas"):
        for pairs, squares in _all_near(descriptors, radius):
            wanted = squares <= reach[pairs[:, 1]]
            held.append((pairs[wanted], squares[wanted]))
            n_held += len(held[-1][0])
            if n_held > most_held:
                held = [_nearest(held, reach)]
                n_held = len(held[0][0])
                most_held = n_held + MOST_HELD
    pairs, _ = _nearest(held, reach)
    return pairs[np.lexsort(pairs.T)]


def _all_near(descriptors: Pixels, radius: float) -> Iterator[Found]:
    """Find near pairs, some more than once."""
    middle = descriptors[:, MIDDLE]
    boxes = _boxes(middle)
    low = np.stack([middle[box].min(axis=0) for box in boxes])
    high = np.stack([middle[box].max(axis=0) for box in boxes])
    for k, box in enumerate(boxes):
        wanted = descriptors[box]
        lowest, highest = wanted.min(axis=(0, 1)), wanted.max(axis=(0, 1))
        # A shift and the one back make the same pairs, so half of the pairs of boxes will do.
        near_boxes = k + np.flatnonzero(_gaps(low[k:], high[k:], lowest, highest) <= radius)
        others = np.concatenate([boxes[i] for i in near_boxes])
        points = middle[others]
        others = others[_gaps(points, points, lowest, highest) <= radius]
        for start in range(0, len(others), N_AT_ONCE):
            some = others[start : start + N_AT_ONCE]
            right = _beside(middle[some], ones_first=False)
            closeness = np.full((len(box), len(some)), -np.inf, np.float32)
            for window in range(N_WINDOWS):
                # Minus half the square of the distance: one product and one comparison a pair.
                product = _beside(wanted[:, window], ones_first=True) @ right.T
                np.maximum(closeness, product, out=closeness)
            found = np.flatnonzero(closeness >= -(radius**2) / 2)
            i, j = np.divmod(found, len(some))
            pairs = np.stack([box[i], some[j]], axis=1)
            pairs.sort(axis=1)
            distinct = pairs[:, 0] != pairs[:, 1]
            yield pairs[distinct], -2 * closeness.ravel()[found[distinct]]


def _gaps(low: Pixels, high: Pixels, lowest: Pixels, highest: Pixels) -> Pixels:
    """Measure the gaps from boxes `low` to `high`, each (n, d), to one `lowest` to `highest`."""
    gaps = np.maximum(np.maximum(low - highest, lowest - high), 0)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", gaps, gaps)))


def _beside(descriptors: Pixels, *, ones_first: bool) -> Pixels:
    """Append to descriptors 1 and minus half the square of their length, or the other way round."""
    halves = -np.einsum("ij,ij->i", descriptors, descriptors)[:, np.newaxis] / 2
    added = (np.ones_like(halves), halves) if ones_first else (halves, np.ones_like(halves))
    return np.concatenate([descriptors, *added], axis=1)


def _boxes(points: Pixels) -> list[NDArray[np.int64]]:
    """Sort points, shape (n, d), into boxes of at most BOX_SIZE, each by position."""
    unsorted: list[NDArray[np.int64]] = [np.arange(len(points))]
    boxes: list[NDArray[np.int64]] = []
    while unsorted:
        box = unsorted.pop()
        if len(box) <= BOX_SIZE:
            boxes.append(np.sort(box))
            continue
        inside = points[box]
        widest = np.ptp(inside, axis=0).argmax()
        order, half = np.argpartition(inside[:, widest], len(box) // 2), len(box) // 2
        unsorted += [box[order[half:]], box[order[:half]]]
    return boxes


def _nearest(found: list[Found], reach: NDArray[np.float32]) -> Found:
    """Keep every pair once, and of each image's only those with its nearest earlier ones.

    Args:
        found: pairs.
        reach: shape (n,), is lowered to the square of the distance up to which an image's pairs
            are still wanted.
    """
    pairs = np.concatenate([pairs for pairs, _ in found])
    squares = np.concatenate([squares for _, squares in found])
    order = np.lexsort((squares, *pairs.T))
    order = order[np.diff(pairs[order], axis=0, prepend=-1).any(axis=1)]
    order = order[np.lexsort((squares[order], pairs[order, 1]))]
    pairs, squares = pairs[order], squares[order]
    start = np.flatnonzero(np.diff(pairs[:, 1], prepend=-1))
    rank = np.arange(len(pairs)) - np.repeat(start, np.diff(start, append=len(pairs)))
    last = rank == MOST_EARLIER - 1
    reach[pairs[last, 1]] = squares[last]
    return pairs[rank < MOST_EARLIER], squares[rank < MOST_EARLIER]
