import pytest

from apparel.core.records import Interval
from apparel.explain.findings.robustness import weak_robustness
from tests.explain.made import TYPICAL, curve, evidence, robustness


def weak(*curves, **rest):
    return weak_robustness(evidence(TYPICAL, robustness=robustness(*curves, **rest)))


def test_what_costs_most_at_the_mildest_and_the_middle_strength():
    found = weak(
        curve("noise", 0.90, 0.88, 0.86, 0.0, 0.0, unit="standard deviation"),
        curve("rotation", 0.84, 0.80, 0.69, 0.6, 0.5),
        curve("shift", 0.80, 0.78, 0.77, 0.7, 0.7, unit="pixels"),
    )
    assert found.text == (
        "Of all ways in which images were made worse, rotation costs most: it leaves an accuracy "
        "of 84.0 % at 1 and 69.0 % at 3 (degrees), of 90.0 % without. An attack that changes "
        "pixels by 10.0 % of their range leaves 1.0 %, which is common in models not trained "
        "against it."
    )
    assert found.advice == (
        "Train on images changed in the same way (rotation), if such are to come."
    )
    assert found.weight == pytest.approx(0.06)


def test_a_single_strength_is_told_once():
    found = weak(curve("rotation", 0.5))
    assert "leaves an accuracy of 50.0 % at 1 (degrees), of 90.0 % without." in found.text


def test_images_that_are_easier_at_the_mildest_strength_count_as_no_loss():
    assert weak(curve("contrast", 0.92, 0.5, 0.1)).weight == 0


@pytest.mark.parametrize(
    ("accuracies", "fires"), [((0.87, 0.0, 0.7499), True), ((0.87, 0.0, 0.7501), False)]
)
def test_a_tenth_of_what_is_right_is_weak(accuracies, fires):
    # 1 - (0.87 + 0.75) / 2 / 0.9 = 0.1; the last strength, which costs more, plays no part.
    assert (weak(curve("blur", *accuracies, 0.1, 0.0)) is not None) == fires


@pytest.mark.parametrize("low", [0.51, 0.5])
def test_a_loss_within_chance_is_no_finding(low):
    # Wilson's interval of 5,000 of 10,000 ends at 0.5098.
    found = weak(curve("blur", 0.5), accuracy=Interval(0.9, low, 1.0))
    assert (found is None) == (low == 0.5)


def test_an_attack_is_no_finding_by_itself():
    assert weak() is None
    assert weak(curve("blur", 0.9, 0.9)) is None


def test_nothing_is_said_where_nothing_was_measured_or_right():
    assert weak_robustness(evidence(TYPICAL)) is None
    assert weak(curve("blur", 0.0), accuracy=Interval(0.0, 0.0, 0.01)) is None
