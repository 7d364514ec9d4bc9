import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apparel.evaluation.intervals import mean_interval, percentile_interval, wilson_interval


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_equal_scipys_and_hold_the_share(counts):
    interval = wilson_interval(*counts)
    expected = stats.binomtest(*counts).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.value == counts[0] / counts[1]


def test_where_nothing_was_tried_anything_is_possible():
    interval = wilson_interval(0, 0)
    assert (interval.value, interval.low, interval.high) == (0, 0, 1)


def test_a_mean_carries_scipys_normal_interval():
    values = np.random.default_rng(0).exponential(size=400)
    interval = mean_interval(values)
    expected = stats.norm.interval(0.95, values.mean(), values.std() / 20)
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-9)
    assert interval.value == pytest.approx(values.mean())
    assert mean_interval([0.0, 0.0, 1.0]).low == 0


def test_bootstrap_samples_give_their_middle_95_percent():
    interval = percentile_interval(0.5, np.linspace(0, 1, 1001))
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.5, 0.025, 0.975))
    assert percentile_interval(0.99, np.linspace(0, 1, 1001)).high == 0.99
