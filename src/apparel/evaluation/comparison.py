"""Is one model better than another, or was it luck?

Two models are compared image by image: only those count that one alone names correctly (Q. McNemar,
"Note on the Sampling Error of the Difference between Correlated Proportions", 1947, as the exact
binomial test). The interval of the difference is A. Agresti's and Y. Min's ("Simple improved
confidence intervals for comparing matched proportions", 2005), widened to 0 where the test finds
no difference.

Two ways of training, with several seeds each, are compared by their accuracies (B. L. Welch, "The
Generalization of Student's Problem", 1947): what differs from seed to seed is then no evidence.
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
    """Compare each way of training with the first.

    Args:
        runs: at least two, tested on the same images. Those of equal settings form a group.

    Returns:
        For two or more runs of one setting alone, each run with the first; otherwise each
        setting with the first: pairs where both have one run, groups where both have several.

    Raises:
        UsageError: there are fewer than two runs, or one run is to be compared with several.
        DataError: they were tested on different images.
    """
    if len(runs) < 2:  # noqa: PLR2004  # two to compare
        raise UsageError(f"there is {len(runs)} run to compare. Give at least two.")
    for run in runs[1:]:
        runs[0].check_same_test_set(run)
    groups = _by_setting(runs)
    if len(groups) == 1:
        return [compare_pair(runs[0], run) for run in runs[1:]]
    return [_compare_settings(groups[0], group) for group in groups[1:]]


def _by_setting(runs: Sequence[TestedRun]) -> list[tuple[TestedRun, ...]]:
    """Runs of equal settings together, in the order in which the settings come first."""
    groups: dict[str, list[TestedRun]] = {}
    for run in runs:
        groups.setdefault(run.setting, []).append(run)
    return [tuple(group) for group in groups.values()]


def _compare_settings(
    first: tuple[TestedRun, ...], second: tuple[TestedRun, ...]
) -> PairComparison | GroupComparison:
    """Compare two ways of training.

    Raises:
        UsageError: one has a single run, the other several.
    """
    if len(first) == len(second) == 1:
        return compare_pair(first[0], second[0])
    for group, other in itertools.permutations((first, second)):
        if len(group) == 1:
            raise UsageError(
                f"{group[0].name} is the only run of its settings, but {other[0].name} is one of "
                f"{len(other)}: one seed says nothing about how much seeds differ. Give a second "
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
    classes = {
        name: _difference(right_first[mine], right_second[mine])
        for k, name in enumerate(first.class_names)
        if (mine := first.true == k).any()
    }
    return PairComparison(
        first=first,
        second=second,
        accuracy=_difference(right_first, right_second),
        per_class=classes,
        only_first=np.flatnonzero(right_first & ~right_second),
        only_second=np.flatnonzero(right_second & ~right_first),
    )


def _difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Difference:
    """How much more often the second is right, on the same images, at least one."""
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
        # Test and interval are two approximations; where they part, the cautious one is shown.
        low, high = min(low, 0.0), max(high, 0.0)
    share = Interval(value, max(min(low, value), -1.0), min(max(high, value), 1.0))
    return Difference(share=share, p_value=p_value)


def compare_groups(first: tuple[TestedRun, ...], second: tuple[TestedRun, ...]) -> GroupComparison:
    """Compare the mean accuracies of two ways of training.

    Args:
        first: at least two runs with different seeds.
        second: likewise, on the same test images.
    """
    ones, others = ([run.accuracy for run in group] for group in (first, second))
    value = float(np.mean(others) - np.mean(ones))
    if np.var(ones) == np.var(others) == 0:
        # Welch's test divides by the spread.
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
