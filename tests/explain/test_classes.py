import numpy as np
import pytest

from apparel.core.records import Evidence, Interval
from apparel.explain.findings.classes import confused_pair, hardest_class
from tests.explain.made import PERFECT, TYPICAL, evaluation, evidence

LOOK = (
    "Look at the images of {} that were taken for each other: if you cannot tell them apart "
    "either, check their labels; if you can, the model needs more such images."
)


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
            [[100, 0, 0], [40, 60, 0], [0, 0, 100]],
            "The hardest class is Coat: the model recognises 60.0 % of its 100 images (recall), "
            "and 86.7 % of all. All 40 that it misses are taken for Shirt.",
            40 / 300,
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
)  # fmt: skip
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
    found = hardest_class(Evidence(evaluation=evaluation(confusion, "abcdef")))
    assert found.text.endswith(f"Of the 50 it misses, it takes {neighbours}.")


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        ([[70, 20, 10, 0]], LOOK.format("Shirt and Coat")),
        ([[70, 15, 15, 0]], LOOK.format("Shirt and Coat")),  # a half is enough
        (
            [[70, 14, 14, 2]],
            "Add clearer training images of Shirt: no single class draws most of them away.",
        ),
        (
            [[60, 40, 0, 0], [26, 74, 0, 0]],
            "Merge Shirt and Coat into one class if you can do without the difference: of their "
            "images that were given one of the two names, only 67.0 % were given the right one.",
        ),
        ([[60, 40, 0, 0], [25, 75, 0, 0]], LOOK.format("Shirt and Coat")),
        ([[0, 100, 0, 0]], LOOK.format("Shirt and Coat")),  # a lean, not a likeness
    ],
)
def test_the_advice_depends_on_the_neighbours(rows, advice):
    confusion = np.diag([100] * 4)
    confusion[: len(rows)] = rows
    assert hardest_class(evidence(confusion)).advice == advice


def test_a_class_is_hard_if_its_interval_ends_below_that_of_the_accuracy():
    # Wilson's interval of 70 of 100 ends at 0.78104.
    hard, not_hard = (
        evaluation(TYPICAL, accuracy=Interval(0.867, low, 0.9)) for low in (0.7811, 0.7810)
    )
    assert hardest_class(Evidence(evaluation=hard)).topic == "hardest_class"
    assert hardest_class(Evidence(evaluation=not_hard)) is None


def test_of_ten_equally_hard_classes_chance_makes_one_hard_in_1_test_of_20_or_less():
    rng, alarms = np.random.default_rng(0), 0
    for right in rng.binomial(1000, 0.9, (400, 10)):
        confusion = np.diag(right)
        confusion[np.arange(10), (np.arange(10) + 1) % 10] = 1000 - right
        alarms += (
            hardest_class(Evidence(evaluation=evaluation(confusion, "abcdefghij"))) is not None
        )
    assert alarms <= 20


def test_a_class_without_test_images_is_not_hard():
    assert hardest_class(evidence([[100, 0, 0], [0, 100, 0], [0, 0, 0]])) is None


@pytest.mark.parametrize("confusion", [PERFECT, [[3]], [[0, 9], [9, 0]]])
def test_no_class_is_harder_than_the_others(confusion):
    assert hardest_class(evidence(confusion)) is None


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
    ("there", "back", "end"),
    [
        (16, 1, ": 16 images of Shirt were taken for Coat, and 1 the other way round."),
        (17, 0, ": 17 images of Shirt were taken for Coat, and none the other way round."),
    ],
)
def test_a_pair_that_is_confused_in_one_direction(there, back, end):
    confusion = four_classes(there, back)
    # The interval of the accuracy ends lower, so that Shirt is not the hardest class.
    result = evaluation(confusion, accuracy=Interval(0.95, 0.8, 1.0))
    assert confused_pair(Evidence(evaluation=result)).text.endswith(end)


def test_a_single_image_is_singular():
    result = evaluation([[2, 1, 0], [0, 2, 0], [0, 0, 2]])
    # 1 in 5 has an interval from 0.036, 1 in 2 from 0.095.
    few = evaluation([[1, 0, 0], [1, 0, 0], [0, 0, 2]])
    assert confused_pair(Evidence(evaluation=result)) is None
    assert confused_pair(Evidence(evaluation=few)).text == (
        "Coat and Shirt are often confused, 1 time in 2 images: "
        "1 image of Coat was taken for Shirt, and none the other way round."
    )


def test_a_pair_is_often_confused_from_an_error_of_5_percent_on():
    # Wilson's interval of 17 of 200 begins at 0.054, that of 16 at 0.0498.
    assert confused_pair(evidence(four_classes(8, 9))) is not None
    assert confused_pair(evidence(four_classes(8, 8))) is None


def test_a_pair_stands_out_with_twice_the_average():
    # Six pairs: one 40 times, five 16 times each, so 20 times on average.
    confusion = np.full((4, 4), 8)
    confusion[0, 1] = confusion[1, 0] = 20
    np.fill_diagonal(confusion, 150)
    no_class_is_hard = Interval(0.8, 0.7, 0.9)
    result = evaluation(confusion, accuracy=no_class_is_hard)
    found = confused_pair(Evidence(evaluation=result))
    # As often in both directions: in the order of the classes.
    assert found.text.startswith("Shirt and Coat are often confused, 40 times in 372 images: 20 ")
    confusion[2, 3] += 1
    result = evaluation(confusion, accuracy=no_class_is_hard)
    assert confused_pair(Evidence(evaluation=result)) is None


@pytest.mark.parametrize(
    "confusion",
    [
        PERFECT,
        [[3]],
        [[80, 20], [20, 80]],  # two classes have one pair, and the accuracy says it all
        [[80, 10, 10], [10, 80, 10], [10, 10, 80]],
    ],
)
def test_no_pair_stands_out(confusion):
    assert confused_pair(evidence(confusion)) is None


def test_pairs_as_frequent_are_counted():
    # 24 pairs of 28 are never confused.
    confusion = np.diag([100] * 8)
    for i in range(0, 8, 2):
        confusion[i, i : i + 2] = [80, 20]
    result = evaluation(confusion, "abcdefgh", accuracy=Interval(0.9, 0.7, 1.0))
    found = confused_pair(Evidence(evaluation=result))
    assert found.text.endswith(" 3 other pairs are just as frequent.")
    confusion[4:, 4:] = np.diag([100] * 4)
    result = evaluation(confusion, "abcdefgh", accuracy=Interval(0.9, 0.7, 1.0))
    found = confused_pair(Evidence(evaluation=result))
    assert found.text.endswith(" 1 other pair is just as frequent.")


@pytest.mark.parametrize("hardest", [0, 1])
def test_what_the_hardest_class_is_taken_for_is_not_told_twice(hardest):
    confusion = np.diag([100] * 6)
    confusion[hardest, :2] = 50
    confusion[2, 2:4] = [80, 20]
    known = Evidence(evaluation=evaluation(confusion, "abcdef"))
    assert hardest_class(known).text.startswith(f"The hardest class is {'ab'[hardest]}: ")
    assert confused_pair(known).text.startswith("c and d are often confused, 20 times")
    confusion[2, 2:4] = [100, 0]
    assert confused_pair(Evidence(evaluation=evaluation(confusion, "abcdef"))) is None


def test_the_confusion_matrix_stays_as_it_is():
    known = evidence(TYPICAL)
    hardest_class(known)
    confused_pair(known)
    np.testing.assert_array_equal(known.evaluation.confusion, TYPICAL)
