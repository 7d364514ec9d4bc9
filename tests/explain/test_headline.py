from dataclasses import replace

import pytest

from apparel.core.records import Interval
from apparel.explain.findings import headline
from tests.explain.made import PERFECT, TYPICAL, evaluation


@pytest.mark.parametrize(
    ("confusion", "interval", "text"),
    [
        (
            TYPICAL,
            (0.823, 0.903),
            "The model names 86.7 % of 300 test images correctly: about 1 image in 8 is named "
            "wrongly. With 95 % confidence, its true accuracy lies between 82.3 % and 90.3 %.",
        ),
        (
            [[6, 4, 0], [0, 6, 4], [4, 0, 6]],
            (0.42, 0.75),
            "The model names 60.0 % of 30 test images correctly: about 4 images in 10 are named "
            "wrongly. With 95 % confidence, its true accuracy lies between 42.0 % and 75.0 %.",
        ),
        (
            [[1, 9, 0], [9, 1, 0], [0, 9, 1]],
            (0.02, 0.27),
            "The model names 10.0 % of 30 test images correctly: about 1 image in 10 is named "
            "correctly. With 95 % confidence, its true accuracy lies between 2.0 % and 27.0 %: "
            "blind guessing, at 33.3 %, is not clearly worse.",
        ),
        (
            PERFECT,
            (0.796, 1.0),
            "The model names all 15 test images correctly. "
            "With 95 % confidence, its true accuracy lies between 79.6 % and 100.0 %.",
        ),
        (
            [[0, 3, 0], [3, 0, 0], [3, 0, 0]],
            (0.0, 0.299),
            "The model names all 9 test images wrongly. With 95 % confidence, its true accuracy "
            "lies between 0.0 % and 29.9 %: blind guessing, at 33.3 %, is not clearly worse.",
        ),
        (
            [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
            (0.34, 1.0),
            "The model names the only test image correctly. "
            "With 95 % confidence, its true accuracy lies between 34.0 % and 100.0 %.",
        ),
    ],
)
def test_a_result_in_a_sentence_or_two(confusion, interval, text):
    result = evaluation(confusion)
    accuracy = Interval(result.metrics["accuracy"].value, *interval)
    assert headline(evaluation(confusion, accuracy=accuracy)) == text


def test_one_error_in_many_is_not_rounded_away():
    text = headline(evaluation([[9_999, 1], [0, 10_000]]))
    assert "99.995 % of 20,000 test images correctly: about 1 image in 20,000 is" in text


def test_a_single_class_is_not_compared_with_guessing():
    assert "guessing" not in headline(evaluation([[3]]))


def test_classes_that_differ_in_size_are_told_apart_first():
    result = evaluation([[90, 0], [5, 5]])
    balanced = {"balanced_accuracy": Interval(0.75, 0.6, 0.9)}
    text = headline(replace(result, metrics={**balanced, **result.metrics}))
    assert text.startswith(
        "Averaged over the classes, which differ much in size, the model names 75.0 % of a class's "
        "images correctly. The model names 95.0 % of 100 test images correctly: about 1 image in 20"
    )
