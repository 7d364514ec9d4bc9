"""What training did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class History:
    """What training did, epoch by epoch.

    Attributes:
        history: for each measure (loss, accuracy, …, and its `val_` twin) a value an epoch,
            named and laid out as in the `History` of Keras.
        seconds: wall time of each epoch.
        dtype: the number format that training used.
        interrupted: whether training was stopped before its last epoch.
        restored_epoch: the epoch, counted from 1, whose weights were kept; None for the last.
        harder: whether the training images were changed at random and easy ones left out, which
            makes their measures worse than those of the images as they are.
    """

    history: Mapping[str, tuple[float, ...]]
    seconds: tuple[float, ...]
    dtype: str
    interrupted: bool = False
    restored_epoch: int | None = None
    harder: bool = False

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.seconds)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch, counted from 1, with the lowest validation loss."""
        losses = self.history.get("val_loss")
        if not losses:
            return None
        # Training that breaks down has losses that are no numbers; those are never the best.
        return min(range(len(losses)), key=lambda k: (math.isnan(losses[k]), losses[k])) + 1
