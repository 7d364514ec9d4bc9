"""Tested models side by side: two runs, two groups of seeds, or one setting with several seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.records.evaluation import Interval

# The significance level of tests, to match 95 % intervals.
SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class TestedRun:
    """A model's predictions for the test images.

    Attributes:
        name: a name for people.
        setting: all settings but the seed; runs of equal settings form a group.
        true: int64, shape (n,), the labels.
        predicted: int64, shape (n,), the predicted classes.
        class_names: one name per class.
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
        """The share of test images that were classified correctly."""
        return float((self.true == self.predicted).mean())

    def check_same_test_set(self, other: Self) -> None:
        """Check that another model was tested on the same images.

        Raises:
            DataError: it was not.
        """
        if self.test_sha256 != other.test_sha256:
            raise DataError(
                f"{self.name} and {other.name} were tested on different images "
                f"({len(self.true):,} with hash {self.test_sha256[:12]}, {len(other.true):,} with "
                f"hash {other.test_sha256[:12]}), so their accuracies cannot be compared. Compare "
                "runs on the same data set, with the same --limit, --split-seed and --test-split."
            )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference between two accuracies on the same images.

    Attributes:
        share: the second accuracy minus the first; negative where the first model is better.
        p_value: of the test of no difference.
    """

    share: Interval
    p_value: float

    @property
    def is_evident(self) -> bool:
        """True if chance alone makes a difference this large in at most 5 % of the cases."""
        return self.p_value < SIGNIFICANCE and not self.share.low <= 0 <= self.share.high


@dataclass(frozen=True, kw_only=True, eq=False)
class PairComparison:
    """Two models on the same images.

    Attributes:
        first: one run.
        second: the other.
        accuracy: the difference over all images, second minus first.
        per_class: the difference over the images of each class that has any, by class name.
        only_first: int64, positions of the test images that only the first classifies correctly.
        only_second: int64, likewise for the second.
    """

    first: TestedRun
    second: TestedRun
    accuracy: Difference
    per_class: dict[str, Difference]
    only_first: NDArray[np.int64]
    only_second: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupComparison:
    """Two settings, each trained with several seeds, on the same images.

    Attributes:
        first: runs of one setting.
        second: runs of the other.
        accuracy: the difference of the mean accuracies, second minus first.
    """

    first: tuple[TestedRun, ...]
    second: tuple[TestedRun, ...]
    accuracy: Difference


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A metric over several seeds.

    Attributes:
        values: one per seed, at least 2.
        mean: their mean with its 95 % interval.
        deviation: their sample standard deviation.
    """

    values: tuple[float, ...]
    mean: Interval
    deviation: float


@dataclass(frozen=True, kw_only=True)
class SeedsResult:
    """The metrics of several runs that differ in their seed only.

    Attributes:
        seeds: the seeds, at least 2.
        n_images: number of test images of each run.
        metrics: the metrics by their names in `metrics.json`.
    """

    seeds: tuple[int, ...]
    n_images: int
    metrics: Mapping[str, Spread]
