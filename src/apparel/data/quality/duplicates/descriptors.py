"""Images → a few numbers each, which are nearly the same for copies.

An image is described as it appears in nine windows, each a pixel smaller on all sides and shifted
by up to a pixel. Of two images that are shifted against each other, one shows in some window the
content of the other's middle window, so that they share a descriptor.

A window's brightness is smoothed, sampled on a grid, put in relation to its contrast and projected
onto principal components: of the part that is the same once mirrored, and of the part that changes
its sign. Of the latter only sizes are kept, so that an image and its mirror image have one
descriptor. None of this makes the distance of two images greater, so no copy gets lost by it (C.
Faloutsos, M. Ranganathan and Y. Manolopoulos, "Fast Subsequence Matching in Time-Series Databases",
1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apparel.data.quality.duplicates.comparison import GREY_LEVELS, Pixels

N_WINDOWS, MIDDLE = 9, 4
GRID = 13  # Fashion-MNIST's windows have 26 pixels a side
N_SAME, N_CHANGING = 24, 10


@dataclass(frozen=True, eq=False)
class Descriptors:
    """The description of images of one size.

    Attributes:
        mean: float32, shape (g,), of the part that is the same once mirrored.
        same: float32, shape (g, at most N_SAME), its principal components.
        changing: float32, shape (g, at most N_CHANGING), those of the other part.
    """

    mean: Pixels
    same: Pixels
    changing: Pixels

    @classmethod
    def fitted(cls, images: Pixels) -> Descriptors:
        """Find the principal components of some images, shape (n, h, w)."""
        same, changing = _parts(_windows(images)[0][:, MIDDLE])
        mean = same.mean(axis=0)
        return cls(mean, _components(same - mean, N_SAME), _components(changing, N_CHANGING))

    @property
    def n_numbers(self) -> int:
        """Length of a descriptor: components, contrast, and the residual of either part."""
        return int(self.same.shape[1] + self.changing.shape[1] + 3)

    def describe(self, images: Pixels) -> Pixels:
        """Describe images by their brightness.

        Args:
            images: shape (n, h, w), in grey levels.

        Returns:
            Shape (n, 9, n_numbers), a descriptor for each window.
        """
        windows, contrast = _windows(images)
        same, changing = _parts(windows.reshape(-1, *windows.shape[2:]))
        same -= self.mean
        of_same, of_changing = same @ self.same, changing @ self.changing
        numbers = [
            np.log(contrast).reshape(-1, 1),
            of_same,
            np.abs(of_changing),
            _left_over(same, of_same),
            _left_over(changing, of_changing),
        ]
        return np.concatenate(numbers, axis=1).reshape(len(images), N_WINDOWS, -1)


def _windows(images: Pixels) -> tuple[Pixels, Pixels]:
    """Show each image in nine windows.

    Returns:
        Grids, shape (n, 9, g, g), relative to the contrast, and the contrast, shape (n, 9), in grey
        levels with what makes little of low contrast added.
    """
    n, *sides = images.shape
    (samples_down, mean_down), (samples_across, mean_across) = map(_samples, sides)
    grids = _apply(samples_down, images, samples_across)
    mean = _apply(mean_down, images, mean_across)
    variance = _apply(mean_down, images**2, mean_across) - mean**2
    contrast = np.asarray(np.sqrt(np.maximum(variance, 0)) + GREY_LEVELS, np.float32)
    # A root, so that distances are root mean squares and do not depend on the size of the grid.
    size = np.float32(grids.shape[3] * grids.shape[4])
    grids = np.asarray((grids - mean) / (contrast * np.sqrt(size)), np.float32)
    shape = (n, N_WINDOWS, *grids.shape[3:])
    return grids.reshape(shape), contrast.reshape(shape[:2])


def _apply(down: Pixels, images: Pixels, across: Pixels) -> Pixels:
    """Apply three matrices to the columns and three to the rows: (n, 3, 3, g, g) of (n, h, w)."""
    rows = down.reshape(-1, down.shape[2]) @ images @ across.reshape(-1, across.shape[2]).T
    split = rows.reshape(len(images), 3, down.shape[1], 3, across.shape[1])
    return np.asarray(split.transpose(0, 1, 3, 2, 4), np.float32)


def _samples(side: int) -> tuple[Pixels, Pixels]:
    """Make the matrices that smooth and sample a line in three windows, and that average it.

    Returns:
        Shapes (3, g, side) and (3, 1, side).
    """
    inner = side - 2
    grid = min(GRID, inner)
    centres = (np.arange(grid) + 0.5) * inner / grid - 0.5
    deviation = max(inner / grid / 2, 1)
    weights = np.exp(-(((np.arange(inner) - centres[:, np.newaxis]) / deviation) ** 2) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    samples, mean = np.zeros((3, grid, side), np.float32), np.zeros((3, 1, side), np.float32)
    for start in range(3):
        samples[start, :, start : start + inner] = weights
        mean[start, :, start : start + inner] = 1 / inner
    return samples, mean


def _parts(grids: Pixels) -> tuple[Pixels, Pixels]:
    """Split grids (n, g, g) into what mirroring keeps and what it negates, each (n, g * g)."""
    mirrored = grids[:, :, ::-1]
    half = np.float32(0.5)
    same, changing = (grids + mirrored) * half, (grids - mirrored) * half
    return same.reshape(len(grids), -1), changing.reshape(len(grids), -1)


def _components(values: Pixels, count: int) -> Pixels:
    """Find the principal components of centred values, greatest variance first."""
    _, vectors = np.linalg.eigh(values.T @ values)
    return np.ascontiguousarray(vectors[:, ::-1][:, :count])


def _left_over(values: Pixels, components: Pixels) -> Pixels:
    """Measure the residual of values after their components, shape (n, 1)."""
    squares = np.einsum("ij,ij->i", values, values) - np.einsum("ij,ij->i", components, components)
    return np.asarray(np.sqrt(np.maximum(squares, 0))[:, np.newaxis])
