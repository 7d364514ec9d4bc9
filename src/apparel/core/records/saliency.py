"""Which pixels a class was seen in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Saliency:
    """Which pixels of some images speak for the class that each was taken for.

    Attributes:
        grad_cam: float32, shape (n, h, w), 0 to 1: where the features that speak for it are.
        occlusion: likewise: how much less sure the model is with these pixels covered.
    """

    grad_cam: NDArray[np.float32]
    occlusion: NDArray[np.float32]
