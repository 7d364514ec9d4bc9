"""Images of a set → those that are blank, and those that are unlike the rest.

An image is unlike the rest when even its nearest neighbours are far away (E. M. Knorr and R. T. Ng,
"Algorithms for Mining Distance-Based Outliers in Large Datasets", 1998; S. Ramaswamy, R. Rastogi
and K. Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets", 2000: the distance to
the k-th neighbour). How far is far depends on the image: a faint one is near to all others, a
bright one to none. So the distance is taken relative to the image's brightness, which lets thin
strokes on black stand out, and relative to its contrast, which lets noise and plain photos stand
out; the one by which it is further from the rest counts. Where "far" begins is told from the
quartiles of the set itself (J. W. Tukey, "Exploratory Data Analysis", 1977).
"""

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray, block_means, chunks
from apparel.core.records import Unusual

# Grey levels. Less is the noise of a camera.
BLANK_STANDARD_DEVIATION = 2.0
# Images are compared with so many drawn ones: the time grows with the number of images alone.
N_COMPARED = 2000
# Of those compared with. So many alike are a part of the set, fewer are strangers to it.
SHARE_OF_A_GROUP = 0.005
FEWEST_NEIGHBOURS = 3
# With fewer images, quartiles say little.
FEWEST_IMAGES = 50
# Tukey's, in quartile ranges beyond the upper quartile. Logarithms of distances are about normal,
# and of normal values 0.35 % lie beyond.
FENCE = 1.5
# The side that images are shrunk to, about: details do not count.
SIDE = 14
# Keep the quotients finite where an image is nearly black or plain: 18 and 9 grey levels.
LEAST_BRIGHTNESS, LEAST_CONTRAST = 0.07, 0.035
# A square distance is the difference of sums that are far larger. Below this share of them it is a
# rounding error, which depends on how the processor multiplies matrices.
ROUNDING = 4e-6


def find_unusual(images: ImageArray) -> Unusual:
    """Find images that are blank or unlike the rest.

    Args:
        images: uint8, shape (n, h, w, c); may be larger than memory.

    Returns:
        Their positions. With fewer than `FEWEST_IMAGES`, none is unlike the rest.
    """
    vectors, is_blank = _vectors(images)
    blank = np.flatnonzero(is_blank)
    seen = np.flatnonzero(~is_blank)
    if len(seen) < FEWEST_IMAGES:
        return Unusual(positions=np.empty(0, np.int64), blank=blank)
    drawn = np.random.default_rng(0).permutation(seen)[:N_COMPARED]
    far = _beyond_the_fence(vectors[seen], vectors[drawn])
    order = np.argsort(-far, kind="stable")
    return Unusual(positions=seen[order[far[order] > 0]], blank=blank)


def _vectors(images: ImageArray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Shrink images to vectors in [0, 1], shape (n, d); with a mask of blank images, shape (n,)."""
    parts, blank = [], []
    down, across = (max(side // SIDE, 1) for side in images.shape[1:3])
    for _, some in chunks(images):
        flat = some.reshape(len(some), -1, some.shape[3])
        blank.append((flat.std(axis=1, dtype=np.float32) < BLANK_STANDARD_DEVIATION).all(axis=1))
        small = block_means(some, down, across)
        parts.append(small.reshape(len(some), -1) / np.float32(255))
    return np.concatenate(parts), np.concatenate(blank)


def _beyond_the_fence(
    vectors: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Measure the distance of vectors beyond the fence, in quartile ranges; shape (n,)."""
    distance = _distance_to_neighbours(vectors, others)
    brightness = np.sqrt(np.square(vectors).mean(axis=1)) + LEAST_BRIGHTNESS
    contrast = vectors.std(axis=1) + LEAST_CONTRAST
    relative = np.log(np.stack([distance / brightness, distance / contrast]))
    lower, upper = np.quantile(relative, [0.25, 0.75], axis=1, keepdims=True)
    quartile_range = np.maximum(upper - lower, np.finfo(np.float32).eps)
    return np.asarray(((relative - upper) / quartile_range - FENCE).max(axis=0), np.float32)


def _distance_to_neighbours(
    vectors: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give the root mean square difference from the k-th nearest other vector, above 0; (n,).

    The others are of the same images, so the nearest may be the vector itself.
    """
    k = min(max(FEWEST_NEIGHBOURS, round(SHARE_OF_A_GROUP * len(others))), len(others) - 1)
    squares = np.square(others).sum(axis=1)
    found = np.empty(len(vectors), np.float32)
    step = max((1 << 24) // len(others), 1)
    for start in range(0, len(vectors), step):
        some = vectors[start : start + step]
        own = np.square(some).sum(axis=1, keepdims=True)
        apart = squares - 2 * some @ others.T + own
        apart[apart < ROUNDING * (squares + own)] = 0
        found[start : start + step] = np.partition(apart, k, axis=1)[:, k]
    # Equal images are no distance apart, which has no logarithm.
    return np.asarray(np.sqrt(np.maximum(found, 0) / vectors.shape[1]) + np.float32(1e-4))
