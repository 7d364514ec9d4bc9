"""Labels that are probably wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSuspects:
    """Images of one split whose labels are probably wrong, the most suspicious first.

    Attributes:
        split: where they are.
        n_images: how many images the split has.
        class_names: one name a class.
        indices: int64, shape (m,), positions in the split.
        given: int64, shape (m,), their labels.
        suggested: int64, shape (m,), the classes that models which never saw them say.
        label_quality: float64, shape (m,), 0 to 1, rising: the lower, the more suspicious.
    """

    split: Literal["train", "test"]
    n_images: int
    class_names: tuple[str, ...]
    indices: NDArray[np.int64]
    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    label_quality: NDArray[np.float64]

    @property
    def split_name(self) -> str:
        """The split in plain words."""
        return "training" if self.split == "train" else "test"
