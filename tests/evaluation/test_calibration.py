"""Figures equal formulas written out here, and scikit-learn's; intervals hold the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from apparel.core.records import UNCALIBRATED, Calibration
from apparel.evaluation.calibration import abstain, calibrated, fit, reliability, uncalibrated
from apparel.evaluation.intervals import wilson_interval


def made_up(n=2000, n_classes=4, seed=0, sharpness=1.0):
    """Probabilities that are right as often as they say where `sharpness` is 1, and labels."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(n, n_classes))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    labels = (random.random((n, 1)) > cumulated).sum(axis=1).clip(max=n_classes - 1)
    return softmax(sharpness * logits, axis=1).astype(np.float32), labels


def chosen(threshold, target=0.9):
    return Calibration(temperature=1.0, target_accuracy=target, threshold=threshold, n_images=9)


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


# -- reliability -----------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(2, 40), st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_the_calibration_error_equals_the_published_formula(n, n_classes, seed, sharpness):
    probabilities, labels = made_up(n, n_classes, seed, sharpness)
    error = reliability(probabilities, labels).expected_calibration_error
    assert error.value == pytest.approx(error_by_hand(probabilities, labels), abs=1e-9)
    assert 0 <= error.low <= error.value <= error.high


def test_bins_hold_what_lies_in_them():
    probabilities = np.array([[0.95, 0.05], [0.97, 0.03], [0.58, 0.42], [0.0, 1.0]], np.float32)
    bins = reliability(probabilities, np.array([0, 1, 0, 1])).bins
    assert [b.n_images for b in bins] == [1, 3]
    low, high = bins
    assert (low.low, low.high) == pytest.approx((8 / 15, 9 / 15))
    assert (high.low, high.high) == pytest.approx((14 / 15, 1))
    assert low.confidence == pytest.approx(0.58)
    assert high.confidence == pytest.approx((0.95 + 0.97 + 1) / 3)
    assert low.accuracy == wilson_interval(1, 1)
    assert high.accuracy == wilson_interval(2, 3)


def test_a_model_that_is_sure_and_right_has_no_error():
    labels = np.arange(10) % 3
    error = reliability(np.eye(3, dtype=np.float32)[labels], labels).expected_calibration_error
    assert (error.value, error.low) == (0, 0)


def test_one_sure_mistake_is_the_whole_error():
    error = reliability(np.array([[0, 1]], np.float32), np.array([0])).expected_calibration_error
    assert error.value == error.high == 1


@pytest.mark.parametrize(("n", "sharpness"), [(500, 0.8), (500, 1.5), (4000, 0.8), (4000, 1.15)])
def test_the_interval_of_the_calibration_error_holds_the_truth(n, sharpness):
    """The truth is that of the bins' borders, by a million images with known probabilities."""
    random = np.random.default_rng(1)

    def draw(count):
        logits = np.abs(random.normal(2.5, 1.5, count))
        true, said = expit(logits), np.maximum(expit(sharpness * logits), 0.5)
        return true, said.astype(np.float32)

    true, said = draw(1_000_000)
    bins = np.ceil(said * 15)
    truth = sum(abs((true - said)[bins == k].sum()) for k in np.unique(bins)) / len(true)
    missed = 0
    for _ in range(2000):
        true, said = draw(n)
        labels = (random.random(n) > true).astype(np.int64)
        error = reliability(np.stack([said, 1 - said], axis=1), labels).expected_calibration_error
        missed += not error.low <= truth <= error.high
    assert 0.93 <= 1 - missed / 2000 <= 0.97


# -- temperature -----------------------------------------------------------------------


class Logits(ClassifierMixin, BaseEstimator):
    """A classifier that takes its own logits as data, for scikit-learn to calibrate."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X

    def predict(self, X):
        return self.classes_[X.argmax(axis=1)]


@pytest.mark.parametrize("sharpness", [0.5, 1.7, 3])
def test_the_temperature_is_scikit_learns(sharpness):
    probabilities, labels = made_up(sharpness=sharpness)
    logits = np.log(probabilities)
    found = fit(probabilities, labels, target_accuracy=0.9)
    peer = CalibratedClassifierCV(
        FrozenEstimator(Logits().fit(logits, labels)), method="temperature"
    )
    expected = peer.fit(logits, labels).predict_proba(logits)
    np.testing.assert_allclose(calibrated(probabilities, found), expected, atol=2e-4)
    assert found.temperature == pytest.approx(sharpness, rel=0.1)
    assert found.n_images == len(labels)


@pytest.mark.parametrize(
    "bent", [{}, {"slope": 3.0}, {"slope": 4.0, "knee": 1.5}, {"slope": 2.0, "knee": -1.0}]
)
def test_a_calibration_can_be_undone_and_keeps_the_order(bent):
    probabilities, _ = made_up(n=50)
    calibration = replace(UNCALIBRATED, temperature=2.5, **bent)
    there = calibrated(probabilities, calibration)
    np.testing.assert_allclose(there.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(uncalibrated(there, calibration), probabilities, rtol=1e-3)
    np.testing.assert_array_equal(there.argsort(axis=1), probabilities.argsort(axis=1))
    assert there.dtype == np.float32


def test_logits_are_bent_as_by_hand():
    # Logits 1, 0, -1 are centred already; those below 0.5 lie 0.5 and 1.5 below it.
    probabilities = np.exp([[1.0, 0.0, -1.0]]) / np.exp([1.0, 0.0, -1.0]).sum()
    calibration = replace(UNCALIBRATED, temperature=2.0, slope=3.0, knee=0.5)
    odds = np.exp(np.array([1.0, 0.5 - 3 * 0.5, 0.5 - 3 * 1.5]) / 2)
    np.testing.assert_allclose(
        calibrated(probabilities, calibration), [odds / odds.sum()], rtol=1e-6
    )


def smoothed_answers(n, seed, smoothing=0.1, n_classes=10):
    """What a model that learnt smoothed labels perfectly says, and labels that fit it."""
    random = np.random.default_rng(seed)
    true = softmax(4 * random.standard_normal((n, n_classes)), axis=1)
    labels = (true.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return ((1 - smoothing) * true + smoothing / n_classes).astype(np.float32), labels


def test_bending_undoes_label_smoothing_where_a_temperature_does_not():
    chosen_on, tested_on = smoothed_answers(6000, 0), smoothed_answers(10000, 1)
    errors = {}
    for smoothed in (False, True):
        found = fit(*chosen_on, target_accuracy=0.9, smoothed=smoothed)
        assert (found.slope != 1) == smoothed
        answers = calibrated(tested_on[0], found)
        errors[smoothed] = reliability(answers, tested_on[1]).expected_calibration_error.value
    assert errors[True] < errors[False] / 2


@pytest.mark.parametrize("smoothed", [False, True])
def test_what_is_calibrated_stays_as_it_is(smoothed):
    changed = sum(
        fit(*made_up(n=300, seed=seed), target_accuracy=0.9, smoothed=smoothed).is_needed
        for seed in range(200)
    )
    # The test of the likelihood ratio errs in 5 % of the cases: 10 of 200, give or take 3.1.
    assert changed <= 20


def test_a_few_images_cannot_make_a_model_endlessly_sure():
    probabilities = np.tile(np.array([[0.6, 0.4]], np.float32), (100, 1))
    found = fit(probabilities, np.zeros(100, np.int64), target_accuracy=0.9)
    assert found.temperature == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("probabilities", [np.empty((0, 3)), np.full((4, 3), np.nan)])
def test_without_images_or_numbers_nothing_is_chosen(probabilities):
    labels = np.zeros(len(probabilities), np.int64)
    found = fit(probabilities.astype(np.float32), labels, target_accuracy=0.9)
    assert (found.temperature, found.threshold, found.n_images) == (1, None, len(labels))


def test_a_temperature_lowers_the_log_loss_of_other_images():
    train, labels = made_up(sharpness=2)
    other, other_labels = made_up(seed=1, sharpness=2)
    found = fit(train, labels, target_accuracy=0.9)
    mended = calibrated(other, found).astype(np.float64)
    mended /= mended.sum(axis=1, keepdims=True)
    sharp = other.astype(np.float64) / other.sum(axis=1, keepdims=True, dtype=np.float64)
    assert log_loss(other_labels, mended) < log_loss(other_labels, sharp)


# -- abstaining ------------------------------------------------------------------------

SURE = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], np.float32)
TRUTH = np.array([0, 0, 1, 0, 1])


@pytest.mark.parametrize(
    ("target", "threshold"), [(1.0, 0.9), (0.75, 0.7), (0.7, 0.7), (0.6, 0.0), (0.0, 0.0)]
)
def test_the_threshold_is_the_lowest_that_will_do(target, threshold):
    # Temperature 1: five images rule out nothing.
    found = fit(SURE, TRUTH, target_accuracy=target)
    assert found.temperature == 1
    assert found.threshold == pytest.approx(threshold)


def test_there_may_be_no_threshold():
    assert fit(SURE, 1 - TRUTH, target_accuracy=0.99).threshold is None


def test_the_curve_goes_from_the_surest_image_to_all():
    found = abstain(SURE, TRUTH, chosen(0.75))
    np.testing.assert_allclose(found.thresholds, [0.9, 0.8, 0.7, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found.coverages, [0.2, 0.6, 0.8, 1])
    np.testing.assert_allclose(found.accuracies, [1, 2 / 3, 3 / 4, 3 / 5])
    assert found.coverage == wilson_interval(3, 5)
    assert found.accuracy == wilson_interval(2, 3)


def test_a_threshold_above_every_confidence_answers_nothing():
    found = abstain(SURE, TRUTH, chosen(0.95))
    assert found.coverage == wilson_interval(0, 5)
    assert found.accuracy == wilson_interval(0, 0)


def test_without_a_threshold_there_is_only_the_curve():
    found = abstain(SURE, TRUTH, chosen(None))
    assert (found.coverage, found.accuracy) == (None, None)
    assert len(found.thresholds) == 4


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(2, 30), st.integers(0, 999), st.floats(0.3, 1))
def test_on_the_images_that_chose_it_a_threshold_keeps_its_promise(n, n_classes, seed, target):
    probabilities, labels = made_up(n, n_classes, seed)
    found = fit(probabilities, labels, target_accuracy=target)
    if found.threshold is not None:
        mended = calibrated(probabilities, found)
        answered = mended.max(axis=1) >= found.threshold
        assert (mended.argmax(axis=1) == labels)[answered].mean() >= target - 1e-12
