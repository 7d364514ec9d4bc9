"""Two images → whether one is a copy of the other, from their pixels.

The pair is laid on top of each other in the best of 18 ways: mirrored or not, shifted by up to a
pixel down and across. JPEG changes fine detail, and the more of it, the more there is; what tells
two pictures of the same kind of thing apart is coarse. So both are smoothed before they are
compared, and what still differs is put in relation to contrast and fine detail:

    distance = rms(G * x - G * y) / (contrast + 4 detail + 20)

The numerator is about brightness in grey levels, where both pictures show something; G is a
Gaussian of deviation 1 pixel. Contrast is rms(x - mean x) and detail rms(x - G * x), over all
channels; of x and y, those count that make the distance greater. The measure, its weights and its
limits are ours, chosen on the images named below.
"""

from itertools import product
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Pixels: TypeAlias = NDArray[np.float32]
# Whether mirrored, then by how many pixels shifted down and to the right.
Alignment: TypeAlias = tuple[bool, int, int]
T = TypeVar("T", np.uint8, np.float32)

SIGMA = 1.0  # pixels
DETAIL_WEIGHT = 4
# Grey levels. Below, noise and rounding are most of a picture.
MIN_CONTRAST = 2
# JPEG also changes pictures of low contrast, by up to a grey level.
GREY_LEVELS = 20
# Of 60,000 training images of Fashion-MNIST, 0.07 % are as near to an earlier one, and 0.2 % within
# 0.025; up to 0.015, most of these are the same photograph or product, above, many are trousers of
# one cut. Of 4,000 that were saved as JPEG, all are as near to what they were at quality 75 (the
# furthest 0.014) and 99.7 % at quality 50.
LIMIT, SIDE = 0.02, 28
# The fewer pixels, the less two pictures can differ in: the limit grows with the shorter side, up
# to this one, from where on few pairs of overlapping parts of a photograph came too near.
GREATEST_SIDE = 40
# In contrasts, before smoothing: a limit for pictures that have the coarse in common, but not the
# fine. JPEG of quality 50 changes Fashion-MNIST by up to 0.35, grainy photographs by 0.6.
MAX_ROUGH_DISTANCE = 0.6
# Grey levels. JPEG of quality 50 changed Fashion-MNIST, painted in one colour, by up to 13.
MAX_COLOUR_DISTANCE = 15.0
# JPEG's weights of red, green and blue in brightness (ITU-R BT.601).
BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)

# Those that change least come first: the first wins ties.
SHIFTS = sorted(product((-1, 0, 1), (-1, 0, 1)), key=lambda shift: abs(shift[0]) + abs(shift[1]))
ALIGNMENTS = [(mirrored, *shift) for mirrored in (False, True) for shift in SHIFTS]


def limit(side: int) -> float:
    """Give the greatest distance of two copies whose shorter side has so many pixels."""
    return LIMIT * min(side, GREATEST_SIDE) / SIDE


def brightness(images: NDArray[T]) -> Pixels:
    """Give the brightness of images (n, h, w, c) in grey levels, shape (n, h, w)."""
    if images.shape[-1] == 1:
        return images[..., 0].astype(np.float32)
    return np.asarray(images @ BRIGHTNESS)


def compare(
    first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Measure the difference of images.

    Args:
        first: shape (n, h, w, c), sides of at least 3.
        second: likewise, one for each of `first`.

    Returns:
        The distance of each pair, at least 0, infinite where they cannot be copies because fine
        detail or colours differ or there is too little to compare; and whether the pair is most
        alike with one image mirrored.
    """
    bright = brightness(first), brightness(second)
    rough = np.stack([_rms(np.subtract(*_overlap(*bright, way))) for way in ALIGNMENTS])
    best = rough.argmin(axis=0)
    distance = np.empty(len(first), np.float32)
    for k in np.unique(best):
        of = best == k
        x, y = _overlap(first[of], second[of], ALIGNMENTS[k])
        distance[of] = _distance(x.astype(np.float32), y.astype(np.float32), rough[k, of])
    return distance, best >= len(SHIFTS)


def _overlap(
    first: NDArray[T], second: NDArray[T], alignment: Alignment
) -> tuple[NDArray[T], NDArray[T]]:
    """Cut out the common part once the first is mirrored and then shifted."""
    mirrored, down, across = alignment
    height, width = first.shape[1:3]
    first = first[:, :, ::-1] if mirrored else first
    rows, columns = (
        (slice(max(-by, 0), length - max(by, 0)), slice(max(by, 0), length - max(-by, 0)))
        for by, length in ((down, height), (across, width))
    )
    return first[:, rows[0], columns[0]], second[:, rows[1], columns[1]]


def _distance(x: Pixels, y: Pixels, rough: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure the distance of images (n, h, w, c) that lie on top of each other.

    Args:
        x: the first images.
        y: the second images.
        rough: shape (n,), their difference before they are smoothed.
    """
    smooth = _smooth(x), _smooth(y)
    contrast = [_rms(pixels - pixels.mean(axis=(1, 2), keepdims=True)) for pixels in (x, y)]
    detail = _rms(x - smooth[0]), _rms(y - smooth[1])
    scale = np.minimum(*(c + DETAIL_WEIGHT * d for c, d in zip(contrast, detail, strict=True)))
    difference = smooth[0] - smooth[1]
    bright = brightness(difference)
    distance = _rms(bright) / (scale + GREY_LEVELS)
    colour = _rms(difference - bright[..., np.newaxis])
    least = np.minimum(*contrast)
    differ = (rough > MAX_ROUGH_DISTANCE * least) | (least < MIN_CONTRAST)
    differ |= colour > MAX_COLOUR_DISTANCE
    return np.asarray(np.where(differ, np.inf, distance), np.float32)


def _smooth(images: Pixels) -> Pixels:
    """Smooth images (n, h, w, c)."""
    return np.asarray(ndimage.gaussian_filter(images, (0, SIGMA, SIGMA, 0), mode="nearest"))


def _rms(images: Pixels) -> NDArray[np.float32]:
    """Give the root mean square of each image."""
    flat = images.reshape(len(images), -1)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", flat, flat) / np.float32(flat.shape[1])))
