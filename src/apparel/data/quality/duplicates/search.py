"""Images → every copy of an earlier image, with that image."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray, digests, first_equal
from apparel.core.records import Duplicates
from apparel.data.quality.duplicates.candidates import near_pairs
from apparel.data.quality.duplicates.comparison import MIN_CONTRAST, brightness, compare, limit
from apparel.data.quality.duplicates.descriptors import N_WINDOWS, Descriptors

# With shorter sides, too little is left to compare; only images with the same bytes are found.
MIN_SIDE = 8
# Of descriptors, in limits of the distance. JPEG of quality 50 moves one in a thousand of
# Fashion-MNIST's images by more than 1.8; a greater radius found no more copies.
RADIUS = 2.5
# Images that principal components are computed from, and pixels that are worked on at once.
MOST_FITTED = 4000
N_PIXELS = 1 << 22


def find_duplicates(images: ImageArray) -> Duplicates:
    """Find the images of a set that are copies of an earlier one.

    Found are images with the same bytes and, where both sides have at least 8 pixels and contrast
    is at least 2 grey levels, images that were mirrored left to right, shifted by a pixel, saved
    again as JPEG, or several of these. The smaller an image, the less of JPEG's changes is
    accepted.

    The time grows with the square of the number of images (70,000 images of 28x28 pixels take some
    10 s on one core, a million about half an hour), the memory by 1.5 kB an image.

    Args:
        images: uint8, shape (n, h, w, c), 0 to 255, n at least 1; c is 1 or 3.

    Returns:
        The copies. Of an image with many copies among earlier images, the 20 are looked at whose
        descriptors are nearest.
    """
    same = first_equal(digests(images))
    pairs, distance, mirrored = _alike(images, _candidates(images, same))
    order = np.lexsort((pairs[:, 0], distance, pairs[:, 1]))
    nearest = order[np.flatnonzero(np.diff(pairs[order, 1], prepend=-1))]
    second = np.flatnonzero(same != np.arange(len(same)))
    links = np.concatenate([np.stack([same[second], second], axis=1), pairs[nearest]])
    rising = np.argsort(links[:, 1])
    return Duplicates(
        n_images=len(same),
        first=links[rising, 0],
        second=links[rising, 1],
        exact=rising < len(second),
        mirrored=np.append(np.zeros(len(second), np.bool_), mirrored[nearest])[rising],
        distance=np.append(np.zeros(len(second), np.float32), distance[nearest])[rising],
        alike=pairs,
        alike_mirrored=mirrored,
        group=_groups(images, pairs[nearest])[same],
    )


def _candidates(images: ImageArray, same: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find pairs of images with different bytes that might be copies, shape (m, 2)."""
    firsts = np.flatnonzero(same == np.arange(len(same)))
    side = min(images.shape[1:3])
    if side < MIN_SIDE:
        return np.zeros((0, 2), np.int64)
    parts = _parts(images, len(firsts))
    fitted = np.linspace(0, len(firsts) - 1, min(MOST_FITTED, parts[0].stop)).astype(np.int64)
    descriptors = Descriptors.fitted(brightness(images[firsts[fitted]]))
    described = np.empty((len(firsts), N_WINDOWS, descriptors.n_numbers), np.float32)
    positions, n_described = np.empty_like(firsts), 0
    for part in parts:
        pixels = brightness(images[firsts[part]])
        wanted = pixels.std(axis=(1, 2)) >= MIN_CONTRAST
        if not wanted.any():
            continue
        stop = n_described + int(wanted.sum())
        described[n_described:stop] = descriptors.describe(pixels[wanted])
        positions[n_described:stop] = firsts[part][wanted]
        n_described = stop
    return positions[near_pairs(described[:n_described], RADIUS * limit(side))]


def _alike(
    images: ImageArray, pairs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Choose the pairs that are copies.

    Returns:
        The copies among `pairs`, the distance of each, and whether it is mirrored.
    """
    distance, mirrored = np.empty(len(pairs), np.float32), np.empty(len(pairs), np.bool_)
    for part in _parts(images, len(pairs)):
        first, second = (images[positions] for positions in pairs[part].T)
        distance[part], mirrored[part] = compare(first, second)
    alike = distance <= limit(min(images.shape[1:3]))
    return pairs[alike], distance[alike], mirrored[alike]


def _groups(images: ImageArray, links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put every image into the group of the earlier one it is linked to, if that is right.

    Args:
        images: shape (n, h, w, c).
        links: shape (m, 2), copies, each with the one earlier image that it is linked to.

    Returns:
        Shape (n,), the first image of the group of each: the one that it is linked to is in the
        same group, and it is a copy of the first one as well.
    """
    group, is_open = np.arange(len(images)), np.zeros(len(images), np.bool_)
    is_open[links[:, 1]] = True
    while len(links):
        ready = ~is_open[links[:, 0]]
        first, second = links[ready].T
        heads = np.stack([group[first], second], axis=1)
        joining = np.concatenate(
            [heads[group[first] == first], _alike(images, heads[group[first] != first])[0]]
        )
        group[joining[:, 1]] = joining[:, 0]
        is_open[second] = False
        links = links[~ready]
    return group


def _parts(images: ImageArray, n: int) -> list[slice]:
    """Cut n images into parts that are worked on at once."""
    step = max(N_PIXELS // (images.shape[1] * images.shape[2]), 1)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]
