"""Occlusion maps: the pixels that a model needs to see to predict a class.

They show how far the log-odds of the class fall where a square is covered (M. D. Zeiler and R.
Fergus, "Visualizing and Understanding Convolutional Networks", 2013, arXiv 1311.2901).
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

# Side of the covering square, and its step, as shares of the image's side.
SQUARE, STRIDE = 1 / 4, 1 / 14

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)
LogOdds: TypeAlias = "Callable[[NDArray[_Pixel], NDArray[np.int64]], NDArray[np.float64]]"


def occlusion_maps(
    log_odds: "LogOdds[_Pixel]", images: NDArray[_Pixel], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Compute the pixels that a model needs to see to predict a class.

    Args:
        log_odds: a function of m images, shape (m, h, w, c), and a class for each, shape (m,), that
            returns log(p / (1 - p)), p the probability of the class.
        images: shape (n, h, w, c); covered pixels take the colour of the upper left one.
        classes: shape (n,), the class to explain in each image.

    Returns:
        Shape (n, h, w), each map 0 to 1. Where covering any square raises the log-odds, the map
        shows the squares that raise them least.
    """
    n, height, width, _ = images.shape
    corner = images[:, :1, :1]
    squares = _squares(height, width)
    covered = np.concatenate([np.where(square[..., None], corner, images) for square in squares])
    before = log_odds(images, classes)
    after = log_odds(covered, np.tile(classes, len(squares)))
    falls = before - after.reshape(len(squares), n)
    # The value of a pixel is the mean over the squares that cover it.
    maps = np.tensordot(falls.T, squares.astype(np.float64), 1) / squares.sum(axis=0)
    return np.stack([scaled(positive(evidence)) for evidence in maps])


def positive(evidence: NDArray[Any]) -> NDArray[np.float64]:
    """The positive part of a map or, where nothing is positive, its height above its minimum."""
    if evidence.max() <= 0:
        evidence = evidence - evidence.min()
    return np.asarray(np.maximum(evidence, 0), np.float64)


def scaled(evidence: NDArray[np.float64]) -> NDArray[np.float32]:
    """A non-negative map divided by its maximum; 0 where all is 0."""
    return (evidence / (evidence.max() or 1)).astype(np.float32)


def _squares(height: int, width: int) -> NDArray[np.bool_]:
    """Every position of the covering square, shape (m, h, w); each pixel is covered by some."""
    side, stride = (max(round(share * min(height, width)), 1) for share in (SQUARE, STRIDE))
    tops, lefts = (
        sorted({*range(0, length - side, stride), length - side}) for length in (height, width)
    )
    squares = np.zeros((len(tops) * len(lefts), height, width), np.bool_)
    for square, (top, left) in zip(
        squares, ((top, left) for top in tops for left in lefts), strict=True
    ):
        square[top : top + side, left : left + side] = True
    return squares
