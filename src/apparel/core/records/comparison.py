"""What tested models are beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apparel.core.errors import DataError

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    import numpy as np
    from numpy.typing import NDArray

    from apparel.core.records.evaluation import Interval

# Of tests, to go with 95 % intervals.
SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class TestedRun:
    """What one model said of the test images.

    Attributes:
        name: for people.
        setting: how it was trained, but for the seed; runs of equal settings form a group.
        true: int64, shape (n,), the labels.
        predicted: int64, shape (n,), the predicted classes.
        class_names: one name a class.
        test_sha256: hash of the test images, labels and class names.
    """

    __test__ = False  # not one of pytest's

    name: str
    setting: str
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    class_names: tuple[str, ...]
    test_sha256: str

    @property
    def accuracy(self) -> float:
        """The share of test images that was named correctly."""
        return float((self.true == self.predicted).mean())

    def check_same_test_set(self, other: TestedRun) -> None:
        """Check that another model was tested on the same images.

        Raises:
            DataError: it was not.
        """
        if self.test_sha256 != other.test_sha256:
            raise DataError(
                f"{self.name} and {other.name} were tested on different images "
                f"({len(self.true):,} with hash {self.test_sha256[:12]}, {len(other.true):,} with "
                f"hash {other.test_sha256[:12]}), so their accuracies cannot be compared. Compare "
                "runs on the same data set, with the same --limit and, where there is one, --seed."
            )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how much more of the images a second model names correctly than a first.

    Attributes:
        share: of all images; negative where the first is better.
        p_value: of no difference.
    """

    share: Interval
    p_value: float

    @property
    def is_evident(self) -> bool:
        """Whether chance alone gives so much in 5 % of the cases at most."""
        return self.p_value < SIGNIFICANCE and not self.share.low <= 0 <= self.share.high


@dataclass(frozen=True, kw_only=True, eq=False)
class PairComparison:
    """Two models on the same images.

    Attributes:
        first: one.
        second: the other.
        accuracy: the difference over all images, second minus first.
        per_class: the difference over the images of each class that has any, by its name.
        only_first: int64, positions of the test images that the first alone names correctly.
        only_second: likewise.
    """

    first: TestedRun
    second: TestedRun
    accuracy: Difference
    per_class: dict[str, Difference]
    only_first: NDArray[np.int64]
    only_second: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupComparison:
    """Two ways of training, each with several seeds, on the same images.

    Attributes:
        first: runs of one way.
        second: runs of the other.
        accuracy: the difference of the mean accuracies, second minus first.
    """

    first: tuple[TestedRun, ...]
    second: tuple[TestedRun, ...]
    accuracy: Difference
