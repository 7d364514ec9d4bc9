import pytest

from apparel.explain.findings.data import imbalance, suspicious_labels, untested_classes
from tests.explain.made import TYPICAL, evidence, issues

UNEVEN = [[4, 6, 0], [5, 95, 0], [0, 0, 100]]


@pytest.mark.parametrize(
    ("confusion", "images", "text", "classes", "weight"),
    [
        (
            UNEVEN,
            [30, 600, 900],
            "Shirt (30) has 5.0 % of the training images of the median class (600): "
            "the model recognises 40.0 % of its 10 test images, and 97.5 % of all others.",
            "Shirt",
            6 / 210,
        ),
        (
            [[2, 8, 0, 0], [10, 90, 0, 0], [0, 0, 100, 0], [0, 0, 0, 100]],
            [0, 100, 600, 660],
            "Shirt (0) and Coat (100) have at most 28.6 % of the training images of the median "
            "class (350): the model recognises 83.6 % of their 110 test images, and 100.0 % of all "
            "others.",
            "Shirt and Coat",
            18 / 310,
        ),
    ],
)
def test_rare_classes_that_are_missed_more_often(confusion, images, text, classes, weight):
    found = imbalance(evidence(confusion, images_per_class=images))
    assert (found.text, found.weight) == (text, weight)
    assert found.advice == f"Add training images of {classes}."


@pytest.mark.parametrize(
    ("confusion", "images", "fires"),
    [
        (UNEVEN, [199, 600, 900], True),  # just below a third
        (UNEVEN, [200, 600, 900], False),  # a third
        (UNEVEN, None, False),
        ([[10, 0, 0], [0, 100, 0], [0, 0, 100]], [30, 600, 900], False),  # recognised as often
        ([[0, 0, 0], [5, 95, 0], [0, 0, 100]], [30, 600, 900], False),  # never tested
        ([[4, 6, 0], [0, 0, 0], [0, 0, 0]], [30, 600, 900], False),  # the others were not
    ],
)
def test_a_class_must_be_rare_and_recognised_less_often(confusion, images, fires):
    assert (imbalance(evidence(confusion, images_per_class=images)) is not None) == fires


@pytest.mark.parametrize(
    ("confusion", "text", "advice", "weight"),
    [
        (
            [[9, 1, 0], [0, 10, 0], [0, 0, 0]],
            "No test image belongs to Bag, so how well the model recognises this class is unknown.",
            "Add test images of Bag.",
            1 / 3,
        ),
        (
            [[0, 0, 0], [0, 10, 0], [0, 0, 0]],
            "No test image belongs to Shirt or Bag, so how well the model recognises these classes "
            "is unknown.",
            "Add test images of Shirt and Bag.",
            2 / 3,
        ),
    ],
)
def test_classes_without_test_images(confusion, text, advice, weight):
    found = untested_classes(evidence(confusion))
    assert (found.text, found.advice, found.weight) == (text, advice, weight)
    assert untested_classes(evidence(TYPICAL)) is None


TEST = issues("test", 1000, (3, 0, 1), (12, 1, 0), (5, 2, 0))
TRAIN = issues("train", 5000, (50, 2, 1))
OF_TRAINING = (
    "Of 5,000 training labels, 50 (1.0 %) are probably wrong, most often Bag for what looks like "
    "Coat (50 images)."
)


@pytest.mark.parametrize(
    ("known", "text", "first", "weight"),
    [
        (
            (TRAIN, TEST),
            "Of 1,000 test labels, 20 (2.0 %) are probably wrong, most often Coat for what looks "
            f"like Shirt (12 images): accuracies above 98.0 % mean little. {OF_TRAINING}",
            "test",
            0.02,
        ),
        ((TRAIN, issues("test", 1000, (9, 0, 1))), OF_TRAINING, "train", 0.01),
        (
            (issues("test", 100, (1, 0, 2)),),
            "Of 100 test labels, 1 (1.0 %) is probably wrong, most often Shirt for what looks "
            "like Bag (1 image): accuracies above 99.0 % mean little.",
            "test",
            0.01,
        ),
    ],
)
def test_labels_that_are_probably_wrong(known, text, first, weight):
    found = suspicious_labels(evidence(TYPICAL, label_issues=known))
    assert (found.text, found.weight) == (text, weight)
    assert found.advice == f"Check the labels in suspects_{first}.csv, the most suspicious first."


@pytest.mark.parametrize(
    "known", [(), (issues("test", 1000),), (issues("train", 10_000, (99, 0, 1)),)]
)
def test_few_label_issues_are_no_finding(known):
    assert suspicious_labels(evidence(TYPICAL, label_issues=known)) is None
