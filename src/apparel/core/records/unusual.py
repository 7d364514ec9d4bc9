"""Images that stand out of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Unusual:
    """Images that stand out of a set.

    Attributes:
        positions: int64, shape (m,), of images unlike the others, the most unlike first.
        blank: int64, shape (b,), of images of one colour.
    """

    positions: NDArray[np.int64]
    blank: NDArray[np.int64]
