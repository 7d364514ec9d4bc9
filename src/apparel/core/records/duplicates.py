"""Copies among the images of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Duplicates:
    """Images that are copies of an earlier one, each linked to the earlier one most like it.

    Copies of copies need not be alike. So an image is in the group of the one that it is linked to
    only if it is a copy of that group's first image as well, and who asks whether an image has a
    copy somewhere looks at `alike`, which knows of no groups.

    Attributes:
        n_images: how many images were searched.
        first: int64, shape (m,), positions of the earlier images.
        second: int64, shape (m,), rising, positions of their copies; above `first`.
        exact: bool, shape (m,), whether they have the same bytes.
        mirrored: bool, shape (m,), whether they are most alike once one is mirrored left to right.
        distance: float32, shape (m,), how far they differ relative to their contrast; 0 for not at
            all.
        alike: int64, shape (p, 2), the positions of every two images that are copies without having
            the same bytes, the earlier first. Of images with the same bytes, the first stands for
            all.
        group: int64, shape (n_images,), the smallest position in the group of each image.
    """

    n_images: int
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    exact: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    distance: NDArray[np.float32]
    alike: NDArray[np.int64]
    group: NDArray[np.int64]
