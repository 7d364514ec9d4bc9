"""Image corruptions as cameras and people cause them, at graded strengths.

The kinds follow N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019,
arXiv 1906.02337, and D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations", 2019, arXiv 1903.12261; the strengths are ours. Lengths are
given for images of 28 pixels and grow with larger ones. Pixels that move into an image from outside
have the colour of its upper left pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Pixels: TypeAlias = NDArray[np.float32]

# The side length, in pixels, of the images that lengths are given for.
SIDE = 28
GREY = 0.5


@dataclass(frozen=True)
class Corruption:
    """A kind of image corruption.

    Attributes:
        name: a name for people.
        unit: the unit of the strengths.
        strengths: ascending.
        apply: a function of float32 images (n, h, w, c) in [0, 1], a strength and a random
            generator. It returns new images, whose pixels may lie outside [0, 1].
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]


def corrupt(corruption: Corruption, images: Pixels, strength: float, *, seed: int) -> Pixels:
    """Corrupt images.

    Args:
        corruption: one of `CORRUPTIONS`.
        images: float32, shape (n, h, w, c), in [0, 1].
        strength: in the corruption's unit.
        seed: random seed; the same seed draws the same for each image at every strength.

    Returns:
        Like `images`.
    """
    corrupted = corruption.apply(images, strength, np.random.default_rng(seed))
    return np.clip(corrupted, 0, 1).astype(np.float32)


def _noise(images: Pixels, deviation: float, random: np.random.Generator) -> Pixels:
    return images + np.float32(deviation) * random.standard_normal(images.shape, np.float32)


def _blur(images: Pixels, deviation: float, _: np.random.Generator) -> Pixels:
    sigma = deviation * _scale(images)
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


def _shift(images: Pixels, pixels: float, random: np.random.Generator) -> Pixels:
    distance = round(pixels * _scale(images))
    directions = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    chosen = random.integers(0, len(directions), len(images))
    moved = np.empty_like(images)
    for k, (dy, dx) in enumerate(directions):
        by = (0, dy * distance, dx * distance, 0)
        part, corner = _without_corner(images[chosen == k])
        moved[chosen == k] = ndimage.shift(part, by, order=0) + corner
    return moved


def _rotation(images: Pixels, degrees: float, random: np.random.Generator) -> Pixels:
    clockwise = random.integers(0, 2, len(images)) == 1
    turned = np.empty_like(images)
    for chosen, angle in ((clockwise, degrees), (~clockwise, -degrees)):
        part, corner = _without_corner(images[chosen])
        turned[chosen] = (
            ndimage.rotate(part, angle, axes=(2, 1), reshape=False, order=1) + corner
            if len(part)
            else part
        )
    return turned


def _shrinking(images: Pixels, share: float, _: np.random.Generator) -> Pixels:
    grown = 1 / (1 - share)
    centre = (np.array(images.shape[1:3]) - 1) / 2
    part, corner = _without_corner(images)
    offset = (0, *(centre - centre * grown), 0)
    return np.asarray(
        ndimage.affine_transform(part, (1, grown, grown, 1), offset, order=1) + corner
    )


def _brightness(images: Pixels, more: float, _: np.random.Generator) -> Pixels:
    return images + np.float32(more)


def _contrast(images: Pixels, less: float, _: np.random.Generator) -> Pixels:
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray((images - mean) * np.float32(1 - less) + mean)


def _occlusion(images: Pixels, share: float, random: np.random.Generator) -> Pixels:
    n, height, width, _ = images.shape
    side = max(round(share * min(height, width)), 1)
    top, left = (random.integers(0, length - side + 1, (n, 1)) for length in (height, width))
    rows, columns = np.arange(height), np.arange(width)
    in_rows, in_columns = (rows >= top) & (rows < top + side), (columns >= left)
    in_columns &= columns < left + side
    covered = in_rows[:, :, None] & in_columns[:, None, :]
    return np.where(covered[..., None], np.float32(GREY), images)


def _scale(images: Pixels) -> float:
    """The factor from lengths in an image of 28 pixels to lengths in these."""
    return float(min(images.shape[1:3]) / SIDE)


def _without_corner(images: Pixels) -> tuple[Pixels, Pixels]:
    """Images minus their upper left pixels, so that 0 fills in from outside, and those pixels."""
    corner = images[:, :1, :1]
    return images - corner, corner


CORRUPTIONS = (
    Corruption("noise", "standard deviation", (0.05, 0.1, 0.15, 0.2, 0.3), _noise),
    Corruption("blur", "standard deviation in pixels", (0.5, 0.75, 1.0, 1.5, 2.0), _blur),
    Corruption("shift", "pixels", (1, 2, 3, 4, 6), _shift),
    Corruption("rotation", "degrees", (5, 10, 20, 30, 45), _rotation),
    Corruption("shrinking", "share of the side", (0.1, 0.2, 0.3, 0.4, 0.5), _shrinking),
    Corruption("brightness", "added to each pixel", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
    Corruption("contrast", "share taken away", (0.3, 0.5, 0.7, 0.8, 0.9), _contrast),
    Corruption("occlusion", "side of a grey square", (0.15, 0.25, 0.35, 0.45, 0.6), _occlusion),
)
