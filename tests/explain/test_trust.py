from dataclasses import replace

import numpy as np
import pytest

from apparel.core.records import Evidence, Interval
from apparel.evaluation.intervals import wilson_interval
from apparel.explain.findings.trust import confidence, guessing, perfect_result, small_test_set
from tests.explain.made import PERFECT, TYPICAL, confidences, evaluation, evidence


def evidence_of(accuracy, confusion=TYPICAL):
    return Evidence(evaluation=evaluation(confusion, accuracy=accuracy))


def test_a_small_test_set_and_how_large_it_should_be():
    found = small_test_set(evidence(TYPICAL))
    # 1.96² 0.8667 0.1333 / 0.01² = 4,439
    assert found.text == (
        "On 300 test images the accuracy is known only to lie between 82.4 % and 90.1 %."
    )
    assert found.advice == (
        "Test on 1,200 images, 4 times as many, to halve that interval, "
        "or on about 4,500 to know the accuracy to 1 point."
    )
    accuracy = wilson_interval(260, 300)
    assert found.weight == (accuracy.high - accuracy.low) / 2


def test_of_the_larger_test_sets_the_interval_is_as_narrow_as_promised():
    now, wider, fine = (wilson_interval(round(n * 260 / 300), n) for n in (300, 1200, 4500))
    assert (now.high - now.low) / (wider.high - wider.low) == pytest.approx(2, rel=0.02)
    assert (fine.high - fine.low) / 2 == pytest.approx(0.01, rel=0.01)


def test_an_interval_that_holds_chance():
    found = small_test_set(evidence([[2, 2, 0], [2, 2, 0], [2, 0, 2]]))
    assert found.text == (
        "On 12 test images the accuracy is known only to lie between 25.4 % and 74.6 %, "
        "which holds the 33.3 % of blind guessing."
    )


@pytest.mark.parametrize("confusion", [[[1]], [[1, 0], [0, 0]]])
def test_nothing_is_forecast_from_a_share_of_all(confusion):
    found = small_test_set(evidence(confusion))
    assert found.text.startswith("On 1 test image the accuracy is known only to lie between 20.7 %")
    assert ("guessing" in found.text) == (len(confusion) > 1)
    assert found.advice == "Test on 4 images, 4 times as many, to halve that interval."


def test_four_times_as_many_images_may_be_enough_for_1_point():
    # 1.96² 0.99 0.01 / 0.01² = 381
    advice = small_test_set(evidence([[50, 1], [0, 49]])).advice
    assert advice == "Test on 400 images, 4 times as many, to halve that interval."


def test_below_chance_is_not_called_chance():
    assert "guessing" not in small_test_set(evidence([[0, 20], [20, 0]])).text


def test_an_interval_of_4_points_is_narrow_enough():
    assert small_test_set(evidence_of(Interval(0.9, 0.88, 0.9201))).topic == "test_size"
    assert small_test_set(evidence_of(Interval(0.9, 0.8801, 0.92))) is None


def test_a_model_that_guesses_on_a_large_test_set():
    confusion = np.full((4, 4), 1000)
    found = guessing(evidence(confusion))
    assert found.text == (
        "The model is not clearly better than blind guessing, which names 25.0 % correctly: "
        "its accuracy lies between 24.3 % and 25.7 %."
    )
    assert found.advice == "Check that each label belongs to its image."
    assert found.weight == 0.75
    assert small_test_set(evidence(confusion)) is None


@pytest.mark.parametrize(
    ("accuracy", "fires"),
    [
        (Interval(0.3, 0.29, 0.31), True),  # worse than guessing
        (Interval(0.35, 0.3333, 0.36), True),
        (Interval(0.35, 0.3334, 0.36), False),
        (Interval(0.35, 0.30, 0.40), False),  # the test set may be at fault
    ],
)
def test_guessing_needs_a_narrow_interval_that_does_not_lie_above_chance(accuracy, fires):
    assert (guessing(evidence_of(accuracy)) is not None) == fires


def test_a_single_class_is_not_guessed():
    assert guessing(evidence([[10_000]])) is None


def test_a_perfect_result_is_suspected_of_a_leak():
    found = perfect_result(evidence([[1000, 0], [0, 1000]]))
    assert found.text == (
        "Not one of 2,000 test images is named wrongly, which is rare unless the model has seen "
        "them before."
    )
    assert found.advice == "Look for a leak: check that no test image was trained on."
    assert found.weight == 1.0


@pytest.mark.parametrize(
    ("confusion", "fires"),
    [(PERFECT, False), ([[380]], False), ([[381]], True), ([[10_000, 1], [0, 10_000]], False)],
)
def test_few_images_may_all_be_right(confusion, fires):
    assert (perfect_result(evidence(confusion)) is not None) == fires


def sure(error, *bins, n_validation=6000):
    result = evaluation(TYPICAL, n_valid=n_validation)
    return Evidence(evaluation=replace(result, reliability=confidences(error, *bins)))


def test_too_high_a_confidence():
    known = sure(Interval(0.051, 0.034, 0.067), (100, 0.95, 0.85), (300, 0.70, 0.72))
    found = confidence(known)
    # 100 times 0.10 less 300 times 0.02, of 400
    assert found.text == (
        "Confidence and accuracy lie 5.1 percentage points apart on average "
        "(3.4 to 6.7 with 95 % confidence): "
        "all in all, confidence is 1.0 percentage points too high."
    )
    assert found.weight == 0.051


def test_too_low_a_confidence():
    found = confidence(sure(Interval(0.1, 0.08, 0.12), (100, 0.60, 0.70)))
    assert found.text.endswith("all in all, confidence is 10.0 percentage points too low.")


@pytest.mark.parametrize(
    ("n_validation", "advice"),
    [
        (
            0,
            "Hold out validation images (validation_split), on which to choose a temperature.",
        ),
        (
            999,
            "Hold out more validation images (validation_split): the temperature was chosen on "
            "only 999.",
        ),
        (
            1000,
            "Compare test and training images: the temperature was chosen on 1,000 validation "
            "images, of which the test images seem to be no more.",
        ),
    ],
)
def test_what_mends_confidences_depends_on_the_validation_images(n_validation, advice):
    error = Interval(0.051, 0.034, 0.067)
    assert confidence(sure(error, (9, 0.9, 0.8), n_validation=n_validation)).advice == advice


def test_an_error_that_may_be_2_percent_is_no_finding():
    assert confidence(sure(Interval(0.05, 0.0201, 0.08), (9, 0.9, 0.8))).topic == "confidence"
    assert confidence(sure(Interval(0.05, 0.02, 0.08), (9, 0.9, 0.8))) is None
