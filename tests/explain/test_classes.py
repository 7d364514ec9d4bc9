import numpy as np
import pytest

from apparel.core.records import Interval
from apparel.explain.findings.classes import confused_pair, hardest_class
from tests.explain.made import PERFECT, TYPICAL, evidence

LOOK = (
    "Look at the images of {} that were taken for each other: if you cannot tell them apart "
    "either, check their labels; if you can, the model needs more such images."
)

# -- the hardest class -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confusion", "text", "weight"),
    [
        (
            TYPICAL,
            "The hardest class is Shirt: the model recognises 70.0 % of its 100 images (recall), "
            "and 86.7 % of all. Of the 30 it misses, it takes 20 for Coat and 10 for Bag.",
            0.1,
        ),
        (
            [[100, 0, 0], [0, 100, 0], [0, 1, 0]],
            "The hardest class is Bag: the model recognises 0.0 % of its 1 image (recall), "
            "and 99.5 % of all. The one it misses is taken for Coat.",
            1 / 201,
        ),
        (
            [[60, 30, 10, 0], [30, 60, 10, 0], [0, 0, 100, 0], [0, 0, 0, 100]],
            "The hardest classes are Shirt and Coat: the model recognises 60.0 % of the images of "
            "each (recall), and 80.0 % of all. "
            "Of the 80 it misses, it takes 30 for Shirt, 30 for Coat and 20 for Bag.",
            0.2,
        ),
    ],
)
def test_the_hardest_class_and_its_neighbours(confusion, text, weight):
    found = hardest_class(evidence(confusion))
    assert found.text == text
    assert found.weight == pytest.approx(weight)


@pytest.mark.parametrize(
    ("row", "neighbours"),
    [
        ([50, 20, 15, 10, 5, 0], "20 for b, 15 for c, 10 for d and 5 for e"),
        ([50, 20, 10, 10, 5, 5], "20 for b, 10 for c, 10 for d and 10 for other classes"),
    ],
)
def test_rare_neighbours_are_summed_up(row, neighbours):
    confusion = np.diag([100] * 6)
    confusion[0] = row
    found = hardest_class(evidence(confusion, "abcdef"))
    assert found.text.endswith(f"Of the 50 it misses, it takes {neighbours}.")


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        ([[70, 15, 15, 0]], LOOK.format("Shirt and Coat")),  # a half is enough
        (
            [[70, 14, 14, 2]],
            "Add clearer training images of Shirt: no single class draws most of them away.",
        ),
        (
            [[60, 40, 0, 0], [26, 74, 0, 0]],
            "Merge Shirt and Coat into one class if you can do without the difference: of their "
            "images predicted as one of the two, only 67.0 % are right.",
        ),
        ([[0, 100, 0, 0]], LOOK.format("Shirt and Coat")),  # a bias, not a likeness
    ],
)
def test_the_advice_depends_on_the_neighbours(rows, advice):
    confusion = np.diag([100] * 4)
    confusion[: len(rows)] = rows
    assert hardest_class(evidence(confusion)).advice == advice


@pytest.mark.parametrize(("low", "hard"), [(0.7811, True), (0.7810, False)])
def test_a_class_is_hard_if_its_interval_ends_below_that_of_the_accuracy(low, hard):
    # Wilson's interval of 70 of 100 ends at 0.78104.
    known = evidence(TYPICAL, accuracy=Interval(0.867, low, 0.9))
    assert (hardest_class(known) is not None) == hard


@pytest.mark.parametrize("rounds", [100, pytest.param(400, marks=pytest.mark.statistics)])
def test_of_ten_equally_hard_classes_chance_makes_one_hard_in_1_test_of_20_or_less(rounds):
    rng, alarms = np.random.default_rng(0), 0
    for right in rng.binomial(1000, 0.9, (rounds, 10)):
        confusion = np.diag(right)
        confusion[np.arange(10), (np.arange(10) + 1) % 10] = 1000 - right
        alarms += hardest_class(evidence(confusion, "abcdefghij")) is not None
    assert alarms <= rounds / 20


@pytest.mark.parametrize("confusion", [PERFECT, [[0, 9], [9, 0]], [[100, 0], [0, 0]]])
def test_no_class_is_harder_than_the_others(confusion):
    assert hardest_class(evidence(confusion)) is None


# -- confused pairs ----------------------------------------------------------------------

NO_CLASS_IS_HARD = Interval(0.9, 0.7, 1.0)


def four_classes(there, back):
    confusion = np.diag([100] * 4)
    confusion[0, :2] = [100 - there, there]
    confusion[1, :2] = [back, 100 - back]
    return confusion


def test_the_most_confused_pair_with_the_more_frequent_direction_first():
    found = confused_pair(evidence(four_classes(8, 9)))
    assert found.text == (
        "Coat and Shirt are often confused, 17 times in 200 images: "
        "9 images of Coat were taken for Shirt, and 8 the other way round."
    )
    assert found.advice == LOOK.format("Coat and Shirt")
    assert found.weight == 17 / 400


@pytest.mark.parametrize(
    ("confusion", "end"),
    [
        (
            four_classes(17, 0),
            ": 17 images of Shirt were taken for Coat, and none the other way round.",
        ),
        (
            [[1, 0, 0], [1, 0, 0], [0, 0, 2]],
            "Coat and Shirt are often confused, 1 time in 2 images: "
            "1 image of Coat was taken for Shirt, and none the other way round.",
        ),
    ],
)
def test_a_pair_that_is_confused_in_one_direction(confusion, end):
    assert confused_pair(evidence(confusion, accuracy=NO_CLASS_IS_HARD)).text.endswith(end)


@pytest.mark.parametrize(
    ("confusion", "fires"),
    [
        # Wilson's interval of 16 of 200 begins at 0.0498, that of 1 in 2 at 0.095.
        (four_classes(8, 8), False),
        ([[1, 0, 0], [1, 0, 0], [0, 0, 2]], True),
    ],
)
def test_a_pair_is_often_confused_from_an_error_of_5_percent_on(confusion, fires):
    assert (confused_pair(evidence(confusion)) is not None) == fires


def test_a_pair_stands_out_with_twice_the_average():
    # Six pairs: one 40 times, five 16 times each, so 20 times on average.
    confusion = np.full((4, 4), 8)
    confusion[0, 1] = confusion[1, 0] = 20
    np.fill_diagonal(confusion, 150)
    found = confused_pair(evidence(confusion, accuracy=NO_CLASS_IS_HARD))
    # As often in both directions: in the order of the classes.
    assert found.text.startswith("Shirt and Coat are often confused, 40 times in 372 images: 20 ")
    confusion[2, 3] += 1
    assert confused_pair(evidence(confusion, accuracy=NO_CLASS_IS_HARD)) is None


@pytest.mark.parametrize(
    "confusion",
    [
        PERFECT,
        [[80, 20], [20, 80]],  # two classes have one pair, and the accuracy says it all
        [[80, 10, 10], [10, 80, 10], [10, 10, 80]],
    ],
)
def test_no_pair_stands_out(confusion):
    assert confused_pair(evidence(confusion)) is None


@pytest.mark.parametrize(("pairs", "end"), [(4, "3 other pairs are"), (2, "1 other pair is")])
def test_equally_frequent_pairs_are_counted(pairs, end):
    confusion = np.diag([100] * 8)
    for i in range(0, 2 * pairs, 2):
        confusion[i, i : i + 2] = [80, 20]
    found = confused_pair(evidence(confusion, "abcdefgh", accuracy=NO_CLASS_IS_HARD))
    assert found.text.endswith(f" {end} just as frequent.")


@pytest.mark.parametrize("hardest", [0, 1])
def test_neighbours_of_the_hardest_class_are_not_named_twice(hardest):
    confusion = np.diag([100] * 6)
    confusion[hardest, :2] = 50
    assert confused_pair(evidence(confusion, "abcdef")) is None
    confusion[2, 2:4] = [80, 20]
    known = evidence(confusion, "abcdef")
    assert hardest_class(known).text.startswith(f"The hardest class is {'ab'[hardest]}: ")
    assert confused_pair(known).text.startswith("c and d are often confused, 20 times")
    np.testing.assert_array_equal(known.evaluation.confusion, confusion)
