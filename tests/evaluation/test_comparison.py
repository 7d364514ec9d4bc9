"""Differences equal formulas written out here, and each run is compared with the right one."""

from dataclasses import replace
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from apparel.core.errors import DataError, UsageError
from apparel.core.records import GroupComparison, PairComparison, TestedRun
from apparel.evaluation.comparison import compare, compare_groups, compare_pair

NAMES = ("ant", "bee", "cat")


def run(right, name="run", setting="s", true=None):
    """A model that is right on some images; where it is wrong, it says the next class."""
    right = np.asarray(right, bool)
    true = np.arange(len(right)) % 3 if true is None else true
    return TestedRun(
        name=name,
        setting=setting,
        true=true,
        predicted=np.where(right, true, (true + 1) % 3),
        class_names=NAMES,
        test_sha256="abc",
    )


def pair(both, only_first, only_second, neither):
    """Two models by how many images each is right on."""
    counts = (both, only_first, only_second, neither)
    return (
        run(np.repeat([True, True, False, False], counts), "one", "s"),
        run(np.repeat([True, False, True, False], counts), "two", "t"),
    )


def exact_mcnemar(only_first, only_second):
    """Twice the smaller tail of a fair coin."""
    n, few = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)


@settings(max_examples=100, deadline=None)
@given(*[st.integers(0, 60)] * 4)
def test_a_pair_has_mcnemars_p_and_the_published_interval(both, first, second, neither):
    n = both + first + second + neither
    if n == 0:
        return
    found = compare_pair(*pair(both, first, second, neither)).accuracy
    assert found.p_value == pytest.approx(exact_mcnemar(first, second), abs=1e-12)
    assert found.share.value == pytest.approx((second - first) / n)
    # Agresti and Min (2005): half an image more in each cell.
    b, c, total = first + 0.5, second + 0.5, n + 2
    half = 1.959964 * sqrt(b + c - (c - b) ** 2 / total) / total
    low, high = (c - b) / total - half, (c - b) / total + half
    if found.p_value >= 0.05:
        low, high = min(low, 0), max(high, 0)
    low, high = max(min(low, found.share.value), -1), min(max(high, found.share.value), 1)
    assert (found.share.low, found.share.high) == pytest.approx((low, high), abs=1e-6)
    assert found.is_evident == (found.p_value < 0.05 and not low <= 0 <= high)


def test_a_pair_names_the_images_and_the_classes():
    first = run([1, 1, 0, 0, 1, 0], "one")
    second = run([1, 0, 1, 0, 0, 1], "two")
    found = compare_pair(first, second)
    assert found.only_first.tolist() == [1, 4]
    assert found.only_second.tolist() == [2, 5]
    assert {name: d.share.value for name, d in found.per_class.items()} == {
        "ant": 0, "bee": -1, "cat": 1,
    }  # fmt: skip
    true = np.array([0, 2, 0])
    no_bees = compare_pair(run([1, 1, 0], true=true), run([1, 1, 1], true=true))
    assert list(no_bees.per_class) == ["ant", "cat"]


# -- groups ----------------------------------------------------------------------------


def seeds(accuracies, setting, n=1000):
    return tuple(
        run(np.arange(n) < round(a * n), f"{setting}{k}", setting) for k, a in enumerate(accuracies)
    )


def test_seeds_of_two_settings_are_compared_by_welchs_test():
    ones, others = [0.92, 0.925, 0.918], [0.93, 0.932, 0.928, 0.934]
    (found,) = compare([*seeds(ones, "a"), *seeds(others, "b")])
    assert isinstance(found, GroupComparison)
    spread = [np.var(x, ddof=1) / len(x) for x in (ones, others)]
    error = sqrt(sum(spread))
    freedom = sum(spread) ** 2 / (spread[0] ** 2 / 2 + spread[1] ** 2 / 3)
    value = np.mean(others) - np.mean(ones)
    half = stats.t.ppf(0.975, freedom) * error
    share = found.accuracy.share
    assert (share.value, share.low, share.high) == pytest.approx(
        (value, value - half, value + half)
    )
    assert found.accuracy.p_value == pytest.approx(2 * stats.t.sf(value / error, freedom))
    assert found.accuracy.is_evident


@pytest.mark.parametrize(("other", "evident"), [(0.9, False), (0.91, True)])
def test_groups_without_any_spread_are_compared_too(other, evident):
    found = compare_groups(seeds([0.9] * 3, "a"), seeds([other] * 3, "b")).accuracy
    assert found.share.value == pytest.approx(other - 0.9)
    assert found.is_evident is evident


# -- which with which ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "others"),
    [
        ([*seeds([0.9], "a"), *seeds([0.8], "b"), *seeds([0.7], "c")], ["b0", "c0"]),
        (seeds([0.9, 0.8, 0.7], "a"), ["a1", "a2"]),
    ],
)
def test_each_setting_or_run_is_compared_with_the_first(runs, others):
    found = compare(runs)
    assert all(isinstance(c, PairComparison) for c in found)
    assert [(c.first.name, c.second.name) for c in found] == [("a0", name) for name in others]


@pytest.mark.parametrize("order", [1, -1])
def test_what_cannot_be_compared_is_refused(order):
    one, *several = runs = [*seeds([0.9], "a"), *seeds([0.8, 0.7], "b")]
    with pytest.raises(UsageError, match=r"a0 is the only run .*, but b\d is one of 2"):
        compare(runs[::order])
    with pytest.raises(UsageError, match="there is 1 run to compare"):
        compare([one])
    with pytest.raises(DataError, match=r"a0 and b0 were tested on different images \(1,000 with"):
        compare([one, replace(several[0], test_sha256="def")])
