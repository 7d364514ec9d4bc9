"""Classes by their sizes: draw a share of each, and tell whether they differ much."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# With so many times as many images of one class as of another, accuracy says little of the small
# one, and training leans towards the large one.
IMBALANCE = 3.0


def is_imbalanced(counts: NDArray[Any]) -> bool:
    """Whether a class has more than `IMBALANCE` times the images of another.

    Args:
        counts: shape (k,), images of each class; classes without images do not count.
    """
    present = counts[counts > 0]
    return len(present) > 0 and bool(present.max() > IMBALANCE * present.min())


def stratified_split(
    labels: NDArray[np.int64], *, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out the same share of every class.

    A class of two images or more gives at least one and keeps at least one.
    scikit-learn's own split refuses classes as small as that.

    Args:
        labels: shape (n,), the class of each image.
        share: in (0, 1).
        seed: of the choice.

    Returns:
        The sorted indices that stay and the sorted indices that are held out.
    """
    random = np.random.default_rng(seed)
    held_out = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held_out.append(random.permutation(members)[:count])
    validation = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), validation), validation
