"""Which pixels a model needs to see for a class.

By how much the log-odds of the class fall where a square is covered (M. D. Zeiler and R. Fergus,
"Visualizing and Understanding Convolutional Networks", 2013, arXiv 1311.2901).
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

# Of the square that covers a part, and how far it moves, as shares of the image's side.
SQUARE, STRIDE = 1 / 4, 1 / 14

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)
LogOdds: TypeAlias = "Callable[[NDArray[_Pixel], NDArray[np.int64]], NDArray[np.float64]]"


def occlusion_maps(
    log_odds: "LogOdds[_Pixel]", images: NDArray[_Pixel], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Say which pixels a model needs to see for a class.

    Args:
        log_odds: gives log(p / (1 - p)) of m images, shape (m, h, w, c), p the probability of the
            class that is given for each, shape (m,).
        images: shape (n, h, w, c); a covered part has the colour of the upper left pixel.
        classes: shape (n,), the class to ask for in each image.

    Returns:
        Shape (n, h, w), each map 0 to 1. Where covering anything makes the model surer, the map
        shows what does so least.
    """
    n, height, width, _ = images.shape
    corner = images[:, :1, :1]
    squares = _squares(height, width)
    covered = np.concatenate([np.where(square[..., None], corner, images) for square in squares])
    before = log_odds(images, classes)
    after = log_odds(covered, np.tile(classes, len(squares)))
    falls = before - after.reshape(len(squares), n)
    # Each pixel: the mean over the squares that cover it.
    maps = np.tensordot(falls.T, squares.astype(np.float64), 1) / squares.sum(axis=0)
    return np.stack([scaled(positive(evidence)) for evidence in maps])


def positive(evidence: NDArray[Any]) -> NDArray[np.float64]:
    """What is positive in a map or, in a map without anything positive, what exceeds its least."""
    if evidence.max() <= 0:
        evidence = evidence - evidence.min()
    return np.asarray(np.maximum(evidence, 0), np.float64)


def scaled(evidence: NDArray[np.float64]) -> NDArray[np.float32]:
    """A map of at least 0 divided by its maximum; 0 where all is 0."""
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
