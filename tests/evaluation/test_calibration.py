"""Calibration equals formulas written out here; thresholds hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from apparel.core.records import UNCALIBRATED
from apparel.evaluation.calibration import abstain, calibrated, fit, reliability, uncalibrated
from apparel.evaluation.intervals import wilson_interval


def made_up(n=2000, n_classes=4, seed=0, sharpness=1.0):
    """Probabilities that are right as often as they say where `sharpness` is 1, and labels."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(n, n_classes))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    labels = (random.random((n, 1)) > cumulated).sum(axis=1).clip(max=n_classes - 1)
    return softmax(sharpness * logits, axis=1).astype(np.float32), labels


# -- reliability -----------------------------------------------------------------------


def error_by_hand(probabilities, labels, n_bins=15):
    """Guo et al. (2017), equation 3, bin by bin."""
    error = 0.0
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    for k in range(n_bins):
        inside = (confidence > k / n_bins) & (confidence <= (k + 1) / n_bins)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    return error


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(2, 40), st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_the_calibration_error_equals_the_published_formula(n, n_classes, seed, sharpness):
    probabilities, labels = made_up(n, n_classes, seed, sharpness)
    error = reliability(probabilities, labels).expected_calibration_error
    assert error.value == pytest.approx(error_by_hand(probabilities, labels), abs=1e-9)
    assert 0 <= error.low <= error.value <= error.high


def test_bins_hold_the_images_between_their_edges():
    probabilities = np.array([[0.95, 0.05], [0.97, 0.03], [0.58, 0.42], [0.0, 1.0]], np.float32)
    low, high = reliability(probabilities, np.array([0, 1, 0, 1])).bins
    assert (low.n_images, high.n_images) == (1, 3)
    assert (low.low, low.high) == pytest.approx((8 / 15, 9 / 15))
    assert (high.low, high.high) == pytest.approx((14 / 15, 1))
    assert low.confidence == pytest.approx(0.58)
    assert high.confidence == pytest.approx((0.95 + 0.97 + 1) / 3)
    assert low.accuracy == wilson_interval(1, 1)
    assert high.accuracy == wilson_interval(2, 3)


# -- temperature and knee --------------------------------------------------------------


@pytest.mark.parametrize("sharpness", [0.5, 3])
def test_the_temperature_has_the_lowest_log_loss(sharpness):
    probabilities, labels = made_up(sharpness=sharpness)
    found = fit(probabilities, labels, target_accuracy=0.9)
    grid = np.linspace(0.3, 4, 371)
    losses = [log_loss(labels, softmax(np.log(probabilities) / t, axis=1)) for t in grid]
    assert found.temperature == pytest.approx(grid[np.argmin(losses)], abs=0.01)
    assert found.temperature == pytest.approx(sharpness, rel=0.1)
    assert found.n_images == len(labels)


@pytest.mark.parametrize("scaling", [{}, {"slope": 4.0, "knee": 1.5}, {"slope": 2.0, "knee": -1.0}])
def test_a_calibration_can_be_inverted_and_keeps_the_order(scaling):
    probabilities, _ = made_up(n=50)
    calibration = replace(UNCALIBRATED, temperature=2.5, **scaling)
    found = calibrated(probabilities, calibration)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(uncalibrated(found, calibration), probabilities, rtol=1e-3)
    np.testing.assert_array_equal(found.argsort(axis=1), probabilities.argsort(axis=1))
    assert found.dtype == np.float32


def test_logits_below_the_knee_are_scaled_as_by_hand():
    # Logits 1, 0, -1 are centred already; those below 0.5 lie 0.5 and 1.5 below it.
    probabilities = np.exp([[1.0, 0.0, -1.0]]) / np.exp([1.0, 0.0, -1.0]).sum()
    calibration = replace(UNCALIBRATED, temperature=2.0, slope=3.0, knee=0.5)
    odds = np.exp(np.array([1.0, 0.5 - 3 * 0.5, 0.5 - 3 * 1.5]) / 2)
    np.testing.assert_allclose(
        calibrated(probabilities, calibration), [odds / odds.sum()], rtol=1e-6
    )


def smoothed_probabilities(n, seed, smoothing=0.1, n_classes=10):
    """Probabilities of a model that learnt smoothed labels perfectly, and labels that fit it."""
    random = np.random.default_rng(seed)
    true = softmax(4 * random.standard_normal((n, n_classes)), axis=1)
    labels = (true.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return ((1 - smoothing) * true + smoothing / n_classes).astype(np.float32), labels


def test_a_knee_undoes_label_smoothing_where_a_temperature_does_not():
    validation, test = smoothed_probabilities(6000, 0), smoothed_probabilities(10000, 1)
    errors = {}
    for smoothed in (False, True):
        found = fit(*validation, target_accuracy=0.9, smoothed=smoothed)
        assert (found.slope != 1) == smoothed
        after = reliability(calibrated(test[0], found), test[1])
        errors[smoothed] = after.expected_calibration_error.value
    assert errors[True] < errors[False] / 2


def test_a_few_images_cannot_make_a_model_endlessly_confident():
    probabilities = np.tile(np.array([[0.6, 0.4]], np.float32), (100, 1))
    found = fit(probabilities, np.zeros(100, np.int64), target_accuracy=0.9)
    assert found.temperature == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("probabilities", [np.empty((0, 3)), np.full((4, 3), np.nan)])
def test_without_images_or_numbers_nothing_is_fitted(probabilities):
    labels = np.zeros(len(probabilities), np.int64)
    found = fit(probabilities.astype(np.float32), labels, target_accuracy=0.9)
    assert (found.temperature, found.threshold, found.n_images) == (1, None, len(labels))


# -- abstaining ------------------------------------------------------------------------

SURE = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], np.float32)
TRUTH = np.array([0, 0, 1, 0, 1])


@pytest.mark.parametrize(("target", "threshold"), [(1.0, 0.9), (0.75, 0.7), (0.7, 0.7), (0.6, 0.0)])
def test_the_threshold_is_the_lowest_that_reaches_the_target(target, threshold):
    found = fit(SURE, TRUTH, target_accuracy=target)
    assert found.temperature == 1  # five images are no evidence for another
    assert found.threshold == pytest.approx(threshold)
    assert fit(SURE, 1 - TRUTH, target_accuracy=0.99).threshold is None


def test_abstaining_gives_the_whole_curve_and_the_accuracy_at_the_threshold():
    found = abstain(SURE, TRUTH, replace(UNCALIBRATED, threshold=0.75))
    np.testing.assert_allclose(found.thresholds, [0.9, 0.8, 0.7, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found.coverages, [0.2, 0.6, 0.8, 1])
    np.testing.assert_allclose(found.accuracies, [1, 2 / 3, 3 / 4, 3 / 5])
    assert (found.coverage, found.accuracy) == (wilson_interval(3, 5), wilson_interval(2, 3))
    none = abstain(SURE, TRUTH, replace(UNCALIBRATED, threshold=0.95))
    assert (none.coverage, none.accuracy) == (wilson_interval(0, 5), wilson_interval(0, 0))
    assert abstain(SURE, TRUTH, UNCALIBRATED).coverage is None
