"""Images that show the same → those that leak into training, and those with two labels."""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apparel.core.records import Duplicates


class Pair(NamedTuple):
    """Two images that show the same.

    Attributes:
        first: position of the earlier one.
        second: position of the other.
        exact: whether they have the same pixels.
        mirrored: whether they are alike once one is mirrored left to right.
    """

    first: int
    second: int
    exact: bool
    mirrored: bool


class _Kind(NamedTuple):
    """Split and label, in which two images with the same pixels may differ."""

    in_test: bool
    label: int


class Copies:
    """Images that show the same, by their positions: training images first, then test images.

    Mirror images with different labels are no copies: an arrow to the left and one to the right
    show different things.
    """

    def __init__(self, duplicates: Duplicates, labels: NDArray[np.int64], n_train: int) -> None:
        """Sort images by their content.

        Args:
            duplicates: among n images.
            labels: shape (n,).
            n_train: images from here on are test images.
        """
        self._links = duplicates
        self._labels, self._n_train = labels, n_train
        same = np.arange(len(labels))
        same[duplicates.second[duplicates.exact]] = duplicates.first[duplicates.exact]
        self._same = same.tolist()
        self._near: dict[int, list[tuple[int, bool]]] = defaultdict(list)
        for (first, second), mirrored in zip(
            duplicates.alike.tolist(), duplicates.alike_mirrored.tolist(), strict=True
        ):
            self._near[first].append((second, mirrored))
            self._near[second].append((first, mirrored))
        several = np.bincount(same, minlength=len(same)) > 1
        several[duplicates.alike] = True
        self._members = np.flatnonzero(several[same]).tolist()
        # Of images with the same pixels, the first of each kind stands for all.
        self._first: dict[int, dict[_Kind, int]] = defaultdict(dict)
        for member in self._members:
            self._first[self._same[member]].setdefault(self._kind(member), member)

    def repeats(self) -> list[Pair]:
        """List every image that shows the same as an earlier one, with that, in their order."""
        links, labels = self._links, self._labels
        columns = (links.first, links.second, links.exact, links.mirrored)
        pairs = map(Pair, *(column.tolist() for column in columns))
        return [p for p in pairs if not p.mirrored or labels[p.first] == labels[p.second]]

    def leaks(self) -> list[Pair]:
        """Find training and test images that show the same.

        Returns:
            Each with one of the other side: one with the same pixels, if there is one.
        """
        return self._pairs(lambda one, other: one.in_test != other.in_test)

    def conflicts(self) -> list[Pair]:
        """Find images that show the same and have different labels.

        Returns:
            Each with one that has another label: one with the same pixels, if there is one.
        """
        return self._pairs(lambda one, other: one.label != other.label)

    def _pairs(self, differ: Callable[[_Kind, _Kind], bool]) -> list[Pair]:
        """Find a partner for every image that has one which differs from it in some way."""
        found = (self._partner(member, differ) for member in self._members)
        return sorted({pair for pair in found if pair})

    def _partner(self, position: int, differ: Callable[[_Kind, _Kind], bool]) -> Pair | None:
        """Find the first image that shows the same as another and differs from it in some way."""
        same, kind = self._same[position], self._kind(position)
        for near, mirrored in [(same, False), *sorted(self._near.get(same, ()))]:
            for other, partner in self._first[near].items():
                if differ(kind, other) and (not mirrored or kind.label == other.label):
                    first, second = sorted((position, partner))
                    return Pair(first, second, near == same, mirrored)
        return None

    def _kind(self, position: int) -> _Kind:
        return _Kind(position >= self._n_train, int(self._labels[position]))
