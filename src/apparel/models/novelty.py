"""Novelty detection: how unlike the training images an image is, by its pixels alone.

Principal components of the pixels take digits among clothes for clothes: the residual is small
where an image is mostly black. Texture and layout tell them apart: how often brightness, first and
second differences of a strength occur at each scale, and how bright an image is at each distance
from its border. These few statistics do not depend on exact positions, so that an image that is
mirrored or moved a little stays as likely as before. The score is the squared distance of
P. C. Mahalanobis from their mean ("On the Generalised Distance in Statistics", 1936), with the
shrunk covariance of O. Ledoit and M. Wolf ("A Well-Conditioned Estimator for Large-Dimensional
Covariance Matrices", Journal of Multivariate Analysis 88, 2004), for which any number of images
suffices. The threshold comes from validation images, as in conformal prediction (V. Vovk,
A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", 2005).
"""

from dataclasses import replace
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray, block_means
from apparel.core.records import Novelty

# False positive rate: the share of images like the training images that are flagged.
FALSE_ALARMS = 0.03
# Largest number of training images, and of validation images; more only take time. Of large images,
# at most so many pixel values, but a few hundred images at least.
MOST_IMAGES, MOST_VALUES, ENOUGH_IMAGES = 10_000, 1 << 25, 200
# Pixels that are processed together: 9 floats each.
CHUNK_PIXELS = 1 << 20
# Of brightness and differences. 0 gives their mean.
LEVELS = (0.0, 0.15, 0.4, 0.7, 0.9)
# The shortest side to which images are shrunk: 28 gives 28, 14 and 7.
SHORTEST_SIDE = 4
MOST_RINGS = 7
# About the least share of light that matters in an image.
OFFSET = 0.01
# Lower bound of the variance in any direction, where training images do not vary at all.
LEAST_VARIANCE = 1e-5


def fit(
    images: ImageArray,
    training: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    seed: int,
) -> Novelty:
    """Fit the distribution of the statistics, and the threshold of the score.

    Args:
        images: float32, shape (n, h, w, c), in [0, 1]; may be larger than memory.
        training: positions of training images, at least two. Of many, some are drawn.
        validation: positions of validation images, for the threshold, any number; likewise.
        seed: random seed of the draws.

    Returns:
        The distribution, and the threshold that `FALSE_ALARMS` of further such images exceed on
        average. It is None with fewer than 1 / FALSE_ALARMS - 1 validation images: even the
        largest of so few scores is exceeded more often.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415  # seconds

    random = np.random.default_rng(seed)
    height, width, channels = images.shape[1:]
    n_images = max(MOST_VALUES // (height * width * channels), ENOUGH_IMAGES)
    drawn, held_out = (
        np.sort(random.permutation(positions)[: min(n_images, MOST_IMAGES)])
        for positions in (training, validation)
    )
    novelty = _unfitted((height, width, channels))
    statistics = _all_statistics(novelty, images, drawn)
    location = statistics.mean(axis=0)
    covariance = ledoit_wolf(statistics)[0]
    variances, directions = np.linalg.eigh(covariance)
    novelty = replace(
        novelty,
        location=location.astype(np.float32),
        whitening=(directions / np.sqrt(np.maximum(variances, LEAST_VARIANCE))).astype(np.float32),
    )
    scores = _distances(novelty, _all_statistics(novelty, images, held_out))
    return replace(novelty, threshold=_threshold(scores))


def score(novelty: Novelty, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score how unlike the training images each image is.

    Args:
        novelty: by `fit`.
        images: shape (n, h, w, c), in [0, 1].

    Returns:
        Shape (n,), the squared Mahalanobis distance of each image's statistics, at least 0.
    """
    return _distances(novelty, _all_statistics(novelty, images, np.arange(len(images))))


def _unfitted(img_shape: tuple[int, int, int]) -> Novelty:
    """The statistics of images of a shape, without a distribution."""
    shortest = min(img_shape[:2])
    scales = tuple(2**k for k in range(8) if shortest // 2**k >= SHORTEST_SIDE) or (1,)
    kernels, weights = _kernels(img_shape[2]), _rings(img_shape)
    d = len(scales) * len(kernels) * len(LEVELS) + weights.shape[1]
    return Novelty(
        img_shape=img_shape,
        scales=scales,
        kernels=kernels,
        levels=np.array(LEVELS, np.float32),
        weights=weights,
        offset=OFFSET,
        location=np.zeros(d, np.float32),
        whitening=np.eye(d, dtype=np.float32),
        threshold=None,
    )


def _kernels(channels: int) -> NDArray[np.float32]:
    """Brightness, its differences down and right, its Laplacian, each channel less the next."""
    grey = np.zeros((4, 3, 3), np.float32)
    grey[:3, 1, 1] = 1
    grey[1, 2, 1] = grey[2, 1, 2] = -1
    grey[3, 1, :] = grey[3, :, 1] = -0.25
    grey[3, 1, 1] = 1
    colour = np.zeros((channels - 1, channels, 3, 3), np.float32)
    for k in range(channels - 1):
        colour[k, k, 1, 1], colour[k, k + 1, 1, 1] = 1, -1
    of_mean = np.repeat(grey[:, None] / np.float32(channels), channels, axis=1)
    return np.concatenate([of_mean, colour])


def _rings(img_shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The weights of each pixel in the mean of the ring around the centre that it belongs to."""
    height, width, channels = img_shape
    y, x = np.ogrid[:height, :width]
    distance = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))
    widest = int(distance.max()) + 1
    ring = distance * min(MOST_RINGS, widest) // widest
    member = np.repeat(ring.ravel(), channels)[:, None] == np.arange(ring.max() + 1)
    return np.asarray(member / member.sum(axis=0), np.float32)


def _all_statistics(
    novelty: Novelty, images: ImageArray, positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The statistics of some images, shape (n, d), a bounded number of pixels at a time."""
    step = max(CHUNK_PIXELS // prod(novelty.img_shape), 1)
    parts = (positions[start : start + step] for start in range(0, len(positions), step))
    none = np.empty((0, len(novelty.location)))
    return np.concatenate([none, *(_statistics(novelty, images[part]) for part in parts)])


def _statistics(novelty: Novelty, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """The statistics of images, shape (n, d), as `Novelty` describes them."""
    n = len(images)
    parts = []
    for scale in novelty.scales:
        responses = _responses(block_means(images, scale, scale), novelty.kernels)
        above = np.maximum(responses[..., None] - novelty.levels, 0)
        parts.append(above.mean(axis=(1, 2)).reshape(n, -1))
    parts.append(images.reshape(n, -1) @ novelty.weights)
    return np.log(np.concatenate(parts, axis=1, dtype=np.float64) + novelty.offset)


def _responses(images: NDArray[np.float32], kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The absolute response of each filter at each inner pixel, shape (n, h - 2, w - 2, f)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    flat = windows.reshape(*windows.shape[:3], -1)
    return np.asarray(np.abs(flat @ kernels.reshape(len(kernels), -1).T))


def _distances(novelty: Novelty, statistics: NDArray[np.float64]) -> NDArray[np.float32]:
    """The squared length of whitened statistics."""
    whitened = (statistics - novelty.location) @ novelty.whitening
    return np.asarray(np.square(whitened).sum(axis=1), np.float32)


def _threshold(scores: NDArray[np.float32]) -> float | None:
    """The score that a further one exceeds with a probability of at most `FALSE_ALARMS`."""
    rank = ceil((len(scores) + 1) * (1 - FALSE_ALARMS))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None
