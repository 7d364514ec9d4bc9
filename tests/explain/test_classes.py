import numpy as np
import pytest

from apparel.core.records import Interval
from apparel.explain.findings.classes import confused_pair, hardest_class
from tests.explain.made import PERFECT, TYPICAL, evidence

LOOK = (
    "Look at the images of {} that were taken for each other: if you cannot tell them apart "
    "either, check their labels; if you can, the model needs more such images."
)


def with_rows(k, *rows):
    """A result on 100 images of each of k classes, all correct but those of the first classes."""
    confusion = np.diag([100] * k)
    for true, row in enumerate(rows):
        confusion[true, : len(row)] = row
    return confusion


# -- the hardest class -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confusion", "start", "end", "weight"),
    [
        (
            TYPICAL,
            "The hardest class is Shirt: the model recognises 70.0 % of its 100 images (recall), "
            "and 86.7 % of all. ",
            "Of the 30 it misses, it takes 20 for Coat and 10 for Bag.",
            0.1,
        ),
        (
            [[100, 0, 0], [0, 100, 0], [0, 1, 0]],
            "The hardest class is Bag: the model recognises 0.0 % of its 1 image (recall), ",
            "The one it misses is taken for Coat.",
            1 / 201,
        ),
        (
            [[60, 30, 10, 0], [30, 60, 10, 0], [0, 0, 100, 0], [0, 0, 0, 100]],
            "The hardest classes are Shirt and Coat: the model recognises 60.0 % of the images of "
            "each (recall), and 80.0 % of all. ",
            "Of the 80 it misses, it takes 30 for Shirt, 30 for Coat and 20 for Bag.",
            0.2,
        ),
    ],
)
def test_the_hardest_class_and_its_neighbours(confusion, start, end, weight):
    found = hardest_class(evidence(confusion))
    assert found.text.startswith(start)
    assert found.text.endswith(end)
    assert found.weight == pytest.approx(weight)


@pytest.mark.parametrize(
    ("row", "neighbours"),
    [
        ([60, 40], "All 40 that it misses are taken for b."),
        ([50, 20, 15, 10, 5], "it takes 20 for b, 15 for c, 10 for d and 5 for e."),
        ([50, 20, 10, 10, 5, 5], "it takes 20 for b, 10 for c, 10 for d and 10 for other classes."),
    ],
)
def test_rare_neighbours_are_summed_up(row, neighbours):
    assert hardest_class(evidence(with_rows(6, row), "abcdef")).text.endswith(neighbours)


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        ([[70, 15, 15]], LOOK.format("Shirt and Coat")),  # a half is enough
        (
            [[70, 14, 14, 2]],
            "Add clearer training images of Shirt: no single class draws most of them away.",
        ),
        (
            [[60, 40], [26, 74]],
            "Merge Shirt and Coat into one class if you can do without the difference: of their "
            "images predicted as one of the two, only 67.0 % are right.",
        ),
        ([[0, 100]], LOOK.format("Shirt and Coat")),  # a bias, not a likeness
    ],
)
def test_the_advice_depends_on_the_neighbours(rows, advice):
    assert hardest_class(evidence(with_rows(4, *rows))).advice == advice


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


@pytest.mark.parametrize(
    ("confusion", "text", "weight"),
    [
        (
            with_rows(4, [92, 8], [9, 91]),
            "Coat and Shirt are often confused, 17 times in 200 images: "
            "9 images of Coat were taken for Shirt, and 8 the other way round.",
            17 / 400,
        ),
        (
            [[1, 0, 0], [1, 0, 0], [0, 0, 2]],
            "Coat and Shirt are often confused, 1 time in 2 images: "
            "1 image of Coat was taken for Shirt, and none the other way round.",
            1 / 4,
        ),
    ],
)
def test_the_most_confused_pair_with_the_more_frequent_direction_first(confusion, text, weight):
    found = confused_pair(evidence(confusion, accuracy=NO_CLASS_IS_HARD))
    assert (found.text, found.weight) == (text, weight)
    assert found.advice.startswith(("Look at the images of Coat and", "Merge Coat and"))


def test_a_pair_stands_out_with_an_error_of_5_percent_and_twice_the_average():
    # Wilson's interval of 17 of 200 begins at 0.054, that of 16 at 0.0498.
    assert confused_pair(evidence(with_rows(4, [92, 8], [8, 92]))) is None
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
    assert confused_pair(evidence(confusion, "abcdef")).text.startswith("c and d are often")
