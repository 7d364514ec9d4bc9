import pytest

from apparel.explain.findings.images import imbalance, suspicious_labels, untested_classes
from tests.explain.made import TYPICAL, evidence, suspects

UNEVEN = [[4, 6, 0], [5, 95, 0], [0, 0, 100]]


def test_a_rare_class_that_is_missed_more_often():
    found = imbalance(evidence(UNEVEN, images_per_class=[30, 600, 900]))
    assert found.text == (
        "Shirt (30) has 5.0 % of the training images of the median class (600): "
        "the model recognises 40.0 % of its 10 test images, and 97.5 % of all others."
    )
    assert found.advice == "Add training images of Shirt."
    assert found.weight == 6 / 210


def test_several_rare_classes():
    confusion = [[2, 8, 0, 0], [10, 90, 0, 0], [0, 0, 100, 0], [0, 0, 0, 100]]
    known = evidence(confusion, images_per_class=[0, 100, 600, 660])
    found = imbalance(known)
    assert found.text == (
        "Shirt (0) and Coat (100) have at most 28.6 % of the training images of the median class "
        "(350): the model recognises 83.6 % of their 110 test images, and 100.0 % of all others."
    )
    assert found.advice == "Add training images of Shirt and Coat."
    assert found.weight == 18 / 310


@pytest.mark.parametrize(
    ("confusion", "images"),
    [
        (UNEVEN, None),
        (UNEVEN, [200, 600, 900]),  # a third
        (UNEVEN, [0, 0, 900]),
        ([[10, 0, 0], [5, 95, 0], [0, 0, 100]], [30, 600, 900]),  # recognised more often
        ([[10, 0, 0], [0, 100, 0], [0, 0, 100]], [30, 600, 900]),  # as often
        ([[0, 0, 0], [5, 95, 0], [0, 0, 100]], [30, 600, 900]),  # never tested
        ([[4, 6, 0], [0, 0, 0], [0, 0, 0]], [30, 600, 900]),  # the others were not
    ],
)
def test_no_class_suffers_from_being_rare(confusion, images):
    assert imbalance(evidence(confusion, images_per_class=images)) is None


def test_just_below_a_third_is_rare():
    assert imbalance(evidence(UNEVEN, images_per_class=[199, 600, 900])).topic == "imbalance"


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
def test_classes_that_no_test_image_belongs_to(confusion, text, advice, weight):
    found = untested_classes(evidence(confusion))
    assert (found.text, found.advice, found.weight) == (text, advice, weight)


def test_every_class_is_tested():
    assert untested_classes(evidence(TYPICAL)) is None


TEST = suspects("test", 1000, (3, 0, 1), (12, 1, 0), (5, 2, 0))
TRAIN = suspects("train", 5000, (50, 2, 1))


@pytest.mark.parametrize(
    ("known", "text", "advice", "weight"),
    [
        (
            (TRAIN, TEST),
            "Of 1,000 test labels, 20 (2.0 %) are probably wrong, most often Coat for what looks "
            "like Shirt (12 images): accuracies above 98.0 % say nothing more. Of 5,000 training "
            "labels, 50 (1.0 %) are probably wrong, most often Bag for what looks like Coat "
            "(50 images).",
            "Look at suspects_test.csv first, which begins with the most suspicious labels.",
            0.02,
        ),
        (
            (TRAIN, suspects("test", 1000, (9, 0, 1))),
            "Of 5,000 training labels, 50 (1.0 %) are probably wrong, most often Bag for what "
            "looks like Coat (50 images).",
            "Look at suspects_train.csv first, which begins with the most suspicious labels.",
            0.01,
        ),
        (
            (suspects("test", 100, (1, 0, 2)),),
            "Of 100 test labels, 1 (1.0 %) is probably wrong, most often Shirt for what looks "
            "like Bag (1 image): accuracies above 99.0 % say nothing more.",
            "Look at suspects_test.csv first, which begins with the most suspicious labels.",
            0.01,
        ),
    ],
)
def test_labels_that_are_probably_wrong(known, text, advice, weight):
    found = suspicious_labels(evidence(TYPICAL, label_issues=known))
    assert (found.text, found.advice, found.weight) == (text, advice, weight)


@pytest.mark.parametrize(
    "known", [(), (suspects("test", 1000),), (suspects("train", 10_000, (99, 0, 1)),)]
)
def test_few_labels_are_suspicious(known):
    assert suspicious_labels(evidence(TYPICAL, label_issues=known)) is None
