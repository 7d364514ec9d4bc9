"""Test whether one model is better than another, or whether chance explains the difference.

Two models are compared image by image: only images that exactly one of them classifies correctly
count (Q. McNemar, "Note on the Sampling Error of the Difference between Correlated Proportions",
1947, as the exact binomial test). The interval of the difference is that of A. Agresti and Y. Min
("Simple improved confidence intervals for comparing matched proportions", 2005), widened to include
0 where the test finds no difference.

Two settings with several seeds each are compared by their accuracies (B. L. Welch, "The
Generalization of Student's Problem", 1947), so that variation between seeds is no evidence.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from apparel.core.errors import UsageError
from apparel.core.records import (
    SIGNIFICANCE,
    Difference,
    GroupComparison,
    Interval,
    PairComparison,
    TestedRun,
)
from apparel.evaluation.intervals import Z_95


def compare(runs: Sequence[TestedRun]) -> list[PairComparison | GroupComparison]:
    """Compare each setting with the first.

    Args:
        runs: at least two, tested on the same images. Runs of equal settings form a group.

    Returns:
        For two or more runs of a single setting, each run with the first; otherwise each setting
        with the first: pairs where both have one run, groups where both have several.

    Raises:
        UsageError: there are fewer than two runs, or one run would be compared with several.
        DataError: they were tested on different images.
    """
    if len(runs) < 2:  # noqa: PLR2004  # two to compare
        raise UsageError(f"there is {len(runs)} run to compare. Give at least two.")
    groups: dict[str, list[TestedRun]] = {}
    for run in runs:
        runs[0].check_same_test_set(run)
        groups.setdefault(run.setting, []).append(run)
    first, *others = map(tuple, groups.values())
    if not others:
        return [compare_pair(runs[0], run) for run in runs[1:]]
    return [_compare_settings(first, group) for group in others]


def _compare_settings(
    first: tuple[TestedRun, ...], second: tuple[TestedRun, ...]
) -> PairComparison | GroupComparison:
    """Compare two settings.

    Raises:
        UsageError: one has a single run, the other several.
    """
    if len(first) == len(second) == 1:
        return compare_pair(first[0], second[0])
    for group, other in itertools.permutations((first, second)):
        if len(group) == 1:
            raise UsageError(
                f"{group[0].name} is the only run of its settings, but {other[0].name} is one of "
                f"{len(other)}: a single seed does not show how much seeds differ. Give a second "
                "run with another --seed, or one run of each."
            )
    return compare_groups(first, second)


def compare_pair(first: TestedRun, second: TestedRun) -> PairComparison:
    """Compare two models image by image.

    Args:
        first: tested on n images.
        second: tested on the same images.
    """
    right_first, right_second = (run.predicted == run.true for run in (first, second))
    return PairComparison(
        first=first,
        second=second,
        accuracy=_difference(right_first, right_second),
        per_class={
            name: _difference(right_first[of_class], right_second[of_class])
            for k, name in enumerate(first.class_names)
            if (of_class := first.true == k).any()
        },
        only_first=np.flatnonzero(right_first & ~right_second),
        only_second=np.flatnonzero(right_second & ~right_first),
    )


def _difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Difference:
    """The second accuracy minus the first, from correctness on the same images, at least one."""
    n_images = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p_value = float(stats.binomtest(only_second, differing).pvalue) if differing else 1.0
    # Half an image more in each of the four cells.
    total, surplus = n_images + 2, only_second - only_first
    half = Z_95 * np.sqrt(differing + 1 - surplus**2 / total)
    low, high = float((surplus - half) / total), float((surplus + half) / total)
    value = surplus / n_images
    if p_value >= SIGNIFICANCE:
        # Test and interval are two approximations; where they disagree, the cautious one is shown.
        low, high = min(low, 0.0), max(high, 0.0)
    share = Interval(value, max(min(low, value), -1.0), min(max(high, value), 1.0))
    return Difference(share=share, p_value=p_value)


def compare_groups(first: tuple[TestedRun, ...], second: tuple[TestedRun, ...]) -> GroupComparison:
    """Compare the mean accuracies of two settings.

    Args:
        first: at least two runs with different seeds.
        second: likewise, on the same test images.
    """
    ones, others = ([run.accuracy for run in group] for group in (first, second))
    value = float(np.mean(others) - np.mean(ones))
    if np.var(ones) == np.var(others) == 0:
        # Welch's test divides by the variance.
        p_value, bounds = float(value == 0), (value, value)
    else:
        test = stats.ttest_ind(others, ones, equal_var=False)
        interval = test.confidence_interval(0.95)
        p_value, bounds = float(test.pvalue), (float(interval.low), float(interval.high))
    return GroupComparison(
        first=first,
        second=second,
        accuracy=Difference(share=Interval(value, *bounds), p_value=p_value),
    )
