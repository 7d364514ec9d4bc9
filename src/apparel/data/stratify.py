"""Classes by their sizes: draw a share of each, and tell whether they differ much."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.records import IMBALANCE


def is_imbalanced(counts: NDArray[Any]) -> bool:
    """Whether a class has more than `IMBALANCE` times the images of another.

    Args:
        counts: shape (k,), images of each class; classes without images do not count.
    """
    present = counts[counts > 0]
    return len(present) > 0 and bool(present.max() > IMBALANCE * present.min())


def stratified_split(
    labels: NDArray[np.int64],
    *,
    share: float,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out the same share of every class.

    A class of two images or more gives at least one and keeps at least one.
    scikit-learn's own split refuses classes as small as that.

    Args:
        labels: shape (n,), the class of each image.
        share: in (0, 1).
        seed: of the choice.
        groups: shape (n,), a number for each image; images of a class with the same number stay
            together. Then a class may give more than its share.

    Returns:
        The sorted indices that stay and the sorted indices that are held out.
    """
    random = np.random.default_rng(seed)
    held_out = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        drawn = random.permutation(members)
        held_out.append(drawn[:count] if groups is None else _whole(drawn, groups[drawn], count))
    validation = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def _whole(drawn: NDArray[np.int64], groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose whole groups, as they were drawn, of at least `count` members; the last one stays.

    Where there is but one, it is divided.
    """
    _, first, group, size = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) == 1:
        return drawn[:count]
    order = np.argsort(first)
    members_before = np.cumsum(size[order]) - size[order]
    chosen = order[members_before < count][: len(order) - 1]
    return drawn[np.isin(group.reshape(-1), chosen)]
