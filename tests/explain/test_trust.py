from dataclasses import replace

import numpy as np
import pytest

from apparel.core.records import Evidence, Interval
from apparel.evaluation.intervals import wilson_interval
from apparel.explain.findings.trust import (
    confidence,
    guessing,
    perfect_result,
    small_test_set,
    weak_robustness,
)
from tests.explain.made import TYPICAL, confidences, curve, evaluation, evidence, robustness

# -- the size of the test set ------------------------------------------------------------


def test_a_small_test_set_and_how_large_it_should_be():
    found = small_test_set(evidence(TYPICAL))
    # 1.96² 0.8667 0.1333 / 0.01² = 4,439
    assert found.text == (
        "On 300 test images, the accuracy is only known to lie between 82.4 % and 90.1 %."
    )
    assert found.advice == (
        "Test on 1,200 images, 4 times as many, to halve that interval, "
        "or on about 4,500 to know the accuracy to 1 point."
    )
    now, wider, fine = (wilson_interval(round(n * 260 / 300), n) for n in (300, 1200, 4500))
    assert found.weight == (now.high - now.low) / 2
    assert (now.high - now.low) / (wider.high - wider.low) == pytest.approx(2, rel=0.02)
    assert (fine.high - fine.low) / 2 == pytest.approx(0.01, rel=0.01)


def test_a_small_test_set_may_include_chance_and_may_need_no_forecast():
    by_chance = small_test_set(evidence([[2, 2, 0], [2, 2, 0], [2, 0, 2]]))
    assert by_chance.text.endswith(", which includes the 33.3 % of random guessing.")
    one = small_test_set(evidence([[1]]))  # a single class is not guessed
    assert one.text.endswith("100.0 %.")
    assert one.advice == "Test on 4 images, 4 times as many, to halve that interval."
    # 1.96² 0.99 0.01 / 0.01² = 381
    assert small_test_set(evidence([[50, 1], [0, 49]])).advice.endswith(" halve that interval.")


def test_an_interval_of_4_points_is_narrow_enough():
    wide, narrow = Interval(0.9, 0.88, 0.9201), Interval(0.9, 0.8801, 0.92)
    assert small_test_set(evidence(TYPICAL, accuracy=wide)).topic == "test_size"
    assert small_test_set(evidence(TYPICAL, accuracy=narrow)) is None


# -- guessing and perfection -------------------------------------------------------------


def test_a_model_that_guesses_on_a_large_test_set():
    known = evidence(np.full((4, 4), 1000))
    found = guessing(known)
    assert found.text == (
        "The model is not clearly better than random guessing (25.0 %): its accuracy lies between "
        "24.3 % and 25.7 %."
    )
    assert found.advice == "Check that each label belongs to its image."
    assert found.weight == 0.75
    assert small_test_set(known) is None
    assert guessing(evidence([[10_000]])) is None  # a single class


@pytest.mark.parametrize(
    ("accuracy", "fires"),
    [
        (Interval(0.35, 0.3333, 0.36), True),
        (Interval(0.35, 0.3334, 0.36), False),
        (Interval(0.35, 0.30, 0.40), False),  # the test set may be at fault
    ],
)
def test_guessing_needs_a_narrow_interval_that_does_not_lie_above_chance(accuracy, fires):
    assert (guessing(evidence(TYPICAL, accuracy=accuracy)) is not None) == fires


def test_a_perfect_result_is_suspected_of_a_leak():
    found = perfect_result(evidence([[1000, 0], [0, 1000]]))
    assert found.text == (
        "Not one of 2,000 test images is misclassified, which is rare unless the model has seen "
        "them before."
    )
    assert found.advice == "Check for a leak: no test image may be a training image."
    assert found.weight == 1.0
    assert perfect_result(evidence([[381]]))
    assert perfect_result(evidence([[380]])) is None
    assert perfect_result(evidence([[10_000, 1], [0, 10_000]])) is None


# -- confidence --------------------------------------------------------------------------


def sure(error, *bins, n_validation=6000):
    result = evaluation(TYPICAL, n_valid=n_validation)
    return Evidence(evaluation=replace(result, reliability=confidences(error, *bins)))


def test_confidence_is_too_high_or_too_low():
    known = sure(Interval(0.051, 0.034, 0.067), (100, 0.95, 0.85), (300, 0.70, 0.72))
    found = confidence(known)
    # 100 times 0.10 less 300 times 0.02, of 400
    assert found.text == (
        "Confidence and accuracy lie 5.1 percentage points apart on average "
        "(3.4 to 6.7 with 95 % confidence): "
        "all in all, confidence is 1.0 percentage points too high."
    )
    assert found.weight == 0.051
    low = confidence(sure(Interval(0.1, 0.08, 0.12), (100, 0.60, 0.70)))
    assert low.text.endswith("all in all, confidence is 10.0 percentage points too low.")


@pytest.mark.parametrize(
    ("n_validation", "advice"),
    [
        (0, "Hold out validation images (validation_split) to fit"),
        (999, "Hold out more validation images (validation_split): the temperature was"),
        (1000, "Compare test and training images: the temperature was fitted on 1,000 validation"),
    ],
)
def test_the_advice_on_confidence_depends_on_the_validation_images(n_validation, advice):
    known = sure(Interval(0.051, 0.034, 0.067), (9, 0.9, 0.8), n_validation=n_validation)
    assert confidence(known).advice.startswith(advice)


def test_an_error_that_may_be_2_percent_is_no_finding():
    assert confidence(sure(Interval(0.05, 0.0201, 0.08), (9, 0.9, 0.8))).topic == "confidence"
    assert confidence(sure(Interval(0.05, 0.02, 0.08), (9, 0.9, 0.8))) is None


# -- robustness --------------------------------------------------------------------------


def weak(*curves, **rest):
    return weak_robustness(evidence(TYPICAL, robustness=robustness(*curves, **rest)))


def test_the_corruption_that_costs_most_at_the_mildest_and_the_middle_strength():
    found = weak(
        curve("noise", 0.90, 0.88, 0.86, 0.0, 0.0, unit="standard deviation"),
        curve("rotation", 0.84, 0.80, 0.69, 0.6, 0.5),
        curve("shift", 0.80, 0.78, 0.77, 0.7, 0.7, unit="pixels"),
    )
    assert found.text == (
        "Of all corruptions, rotation costs the most: it changes the accuracy from 90.0 % to "
        "84.0 % at 1 and 69.0 % at 3 (degrees). An attack that changes pixels by 10.0 % of their "
        "range leaves 1.0 %, which is common in models not trained against it."
    )
    assert found.advice == (
        "Train on images with the same corruption (rotation), if you expect it in use."
    )
    assert found.weight == pytest.approx(0.06)
    assert "from 90.0 % to 50.0 % at 1 (degrees). An" in weak(curve("rotation", 0.5)).text
    assert weak(curve("contrast", 0.92, 0.5, 0.1)).weight == 0  # easier at the mildest strength


@pytest.mark.parametrize(
    ("accuracies", "accuracy", "fires"),
    [
        # 1 - (0.87 + 0.75) / 2 / 0.9 = 0.1; the last strength, which costs more, plays no part.
        ((0.87, 0.0, 0.7499, 0.1, 0.0), None, True),
        ((0.87, 0.0, 0.7501, 0.1, 0.0), None, False),
        # Wilson's interval of 5,000 of 10,000 ends at 0.5098.
        ((0.5,), Interval(0.9, 0.51, 1.0), True),
        ((0.5,), Interval(0.9, 0.50, 1.0), False),
        ((0.9, 0.9), None, False),  # an attack is no finding by itself
        ((0.0,), Interval(0.0, 0.0, 0.01), False),
    ],
)
def test_the_loss_must_be_large_and_beyond_chance(accuracies, accuracy, fires):
    assert (weak(curve("blur", *accuracies), accuracy=accuracy) is not None) == fires


def test_without_a_measurement_there_is_no_finding():
    assert weak() is weak_robustness(evidence(TYPICAL)) is None
