"""Hand-made results, for which the right sentences are known."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from apparel.explain import explain
from apparel.glossary import METRICS_EXPLAINED
from apparel.records import ClassScores, Evaluation, History, Interval, Topic
from tests.conftest import UNSURE

UNKNOWN = Interval(0.0, 0.0, 1.0)


def evaluation(confusion, names=("Shirt", "Coat", "Bag"), low=0.6, high=0.9):
    confusion = np.array(confusion, dtype=np.int64)
    cells = np.argwhere(confusion >= 0)
    true, predicted = np.repeat(cells, confusion.ravel(), axis=0).T
    support, right = confusion.sum(axis=1), np.diag(confusion)
    scores = tuple(
        ClassScores(
            name=name,
            precision=UNKNOWN,
            recall=Interval(hits / n if n else 0.0, 0.0, 1.0),
            f1=UNKNOWN,
            support=int(n),
        )
        for name, n, hits in zip(names, support, right, strict=True)
    )
    return Evaluation(
        true=true,
        predicted=predicted,
        probabilities=np.eye(len(names), dtype=np.float32)[predicted],
        class_names=tuple(names),
        confusion=confusion,
        metrics={"accuracy": Interval(right.sum() / support.sum(), low, high)},
        per_class=scores,
        report="",
        **UNSURE,
    )


def history(loss, val_loss=None, accuracy=0.95, val_accuracy=0.9, *, interrupted=False):
    n = len(loss)
    measures = {"loss": tuple(loss), "accuracy": (accuracy,) * n}
    if val_loss is not None:
        measures |= {"val_loss": tuple(val_loss), "val_accuracy": (val_accuracy,) * n}
    if n == 0:
        measures = {}
    return History(history=measures, seconds=(1.0,) * n, dtype="float32", interrupted=interrupted)


def falling(n):
    return [1 / (i + 1) for i in range(n)]


def say(topic, result, course=None):
    return next(finding.text for finding in explain(result, course) if finding.topic == topic)


TYPICAL = [[70, 20, 10], [10, 90, 0], [0, 0, 100]]
PERFECT = [[5, 0, 0], [0, 5, 0], [0, 0, 5]]
OVERFITS = history(falling(6), [0.5, 0.4, 0.3, 0.33, 0.36, 0.4])
IMPROVING = history(falling(4), [0.5, 0.4, 0.35, 0.3])
LEVEL = history(falling(5), [0.5, 0.3, 0.31, 0.32, 0.31])
UNSTABLE = history([0.5, 0.3, 0.6, 0.9], [0.5, 0.3, 0.6, 0.9])


def test_a_finding_for_each_topic_in_order():
    findings = explain(evaluation(TYPICAL), LEVEL)

    assert tuple(finding.topic for finding in findings) == get_args(Topic)


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
def test_overall(confusion, interval, text):
    assert say("overall", evaluation(confusion, low=interval[0], high=interval[1])) == text


def test_one_error_in_many_is_not_rounded_away():
    text = say("overall", evaluation([[9_999, 1], [0, 10_000]], ("Shirt", "Coat")))

    assert "99.995 % of 20,000 test images correctly: about 1 image in 20,000 is" in text


def test_a_single_class_is_not_compared_with_guessing():
    text = say("overall", evaluation([[3]], ("Shirt",)))

    assert "guessing" not in text


@pytest.mark.parametrize(
    ("confusion", "text"),
    [
        (
            TYPICAL,
            "The hardest class is Shirt: the model recognises 70.0 % of its 100 images (recall). "
            "The 30 it misses are most often taken for Coat (20 images).",
        ),
        (
            [[6, 2, 2], [0, 9, 1], [0, 0, 9]],
            "The hardest class is Shirt: the model recognises 60.0 % of its 10 images (recall). "
            "The 4 it misses are most often taken for Coat and Bag (2 images each).",
        ),
        (
            [[8, 1, 1], [0, 9, 1], [0, 0, 9]],
            "The hardest class is Shirt: the model recognises 80.0 % of its 10 images (recall). "
            "The 2 it misses are most often taken for Coat and Bag (1 image each).",
        ),
        (
            [[5, 0, 0], [3, 2, 0], [0, 0, 5]],
            "The hardest class is Coat: the model recognises 40.0 % of its 5 images (recall). "
            "All 3 that it misses are taken for Shirt.",
        ),
        (
            [[5, 0, 0], [0, 5, 0], [0, 1, 0]],
            "The hardest class is Bag: the model recognises 0.0 % of its 1 image (recall). "
            "The one it misses is taken for Coat.",
        ),
        (
            [[1, 1, 0], [1, 1, 0], [0, 0, 2]],
            "The hardest classes are Shirt and Coat: "
            "the model recognises 50.0 % of the images of each (recall).",
        ),
        (
            [[1, 1, 0], [0, 1, 1], [1, 0, 1]],
            "All classes are equally hard: "
            "the model recognises 50.0 % of the images of each (recall).",
        ),
        (PERFECT, "No class is hard for the model: it recognises every image of every class."),
    ],
)
def test_hardest_class(confusion, text):
    assert say("hardest_class", evaluation(confusion)) == text


def test_a_class_without_test_images_is_never_the_hardest():
    text = say("hardest_class", evaluation([[9, 1, 0], [0, 10, 0], [0, 0, 0]]))

    assert text.startswith("The hardest class is Shirt: the model recognises 90.0 % of its 10")


@pytest.mark.parametrize(
    ("confusion", "text"),
    [
        (
            TYPICAL,
            "Shirt and Coat are confused most often, 30 times in all: "
            "20 images of Shirt were taken for Coat, and 10 the other way round.",
        ),
        (  # each direction alone is beaten by Bag → Shirt, both together are not
            [[9, 4, 0], [4, 9, 0], [5, 0, 9]],
            "Shirt and Coat are confused most often, 8 times in all: "
            "4 images of Shirt were taken for Coat, and 4 the other way round.",
        ),
        (
            [[9, 1, 0], [3, 9, 0], [0, 0, 9]],
            "Coat and Shirt are confused most often, 4 times in all: "
            "3 images of Coat were taken for Shirt, and 1 the other way round.",
        ),
        (
            [[9, 0, 0], [0, 9, 1], [0, 0, 9]],
            "Coat and Bag are confused most often, 1 time in all: "
            "1 image of Coat was taken for Bag, and none the other way round.",
        ),
        (
            [[9, 2, 2], [0, 9, 0], [0, 0, 9]],
            "Shirt and Coat are confused most often, 2 times in all: "
            "2 images of Shirt were taken for Coat, and none the other way round. "
            "1 other pair is just as frequent.",
        ),
        (
            [[9, 2, 2], [0, 9, 1], [0, 1, 9]],
            "Shirt and Coat are confused most often, 2 times in all: "
            "2 images of Shirt were taken for Coat, and none the other way round. "
            "2 other pairs are just as frequent.",
        ),
        (PERFECT, "No two classes are confused with each other, not even once."),
    ],
)
def test_confused_pair(confusion, text):
    assert say("confused_pair", evaluation(confusion)) == text


@pytest.mark.parametrize(
    ("course", "text"),
    [
        (
            OVERFITS,
            "Training overfits from epoch 4 on: the validation loss is lowest in epoch 3 (0.300) "
            "and has clearly risen since (0.400 in epoch 6), "
            "although the training loss went on falling.",
        ),
        (
            IMPROVING,
            "No sign of overfitting: the validation loss is lowest (0.300) in epoch 4 of 4, "
            "so it may well fall further.",
        ),
        (
            LEVEL,
            "No clear overfitting: the validation loss is lowest in epoch 2 (0.300) "
            "and has not clearly risen until epoch 5.",
        ),
        (
            UNSTABLE,
            "Training became unstable, which is not overfitting: the validation loss rose from "
            "0.300 in epoch 2 to 0.900 in epoch 4, "
            "and the training loss did not fall in that time either.",
        ),
        (
            history([0.5, float("nan"), float("nan")], [0.5, 0.6, float("inf")]),
            "Training broke down, which is not overfitting: from epoch 2 on "
            "the loss is no longer a finite number.",
        ),
        (
            history([0.5], [0.5]),
            "Whether training overfits cannot be said after 1 epoch: a trend needs at least 3.",
        ),
        (
            history([0.5, 0.4], [0.5, 0.9]),
            "Whether training overfits cannot be said after 2 epochs: a trend needs at least 3.",
        ),
        (
            history(falling(5)),
            "Whether training overfits cannot be said: there are no validation results.",
        ),
        (
            history([], interrupted=True),
            "Whether training overfits cannot be said: no finished epoch is on record.",
        ),
        (None, "Whether training overfits cannot be said: no finished epoch is on record."),
    ],
)
def test_overfitting(course, text):
    assert say("overfitting", evaluation(TYPICAL), course) == text


@pytest.mark.parametrize(
    "val_loss",
    [
        [0.5, 0.4, 0.3, 0.3, 0.3, 0.9],  # one bad last epoch
        [0.5, 0.4, 0.3, 0.9, 0.3, 0.31],  # one bad epoch on the way
        [0.5, 0.4, 0.3, 0.32, 0.32, 0.325],  # a rise below a tenth
    ],
)
def test_noise_is_not_called_overfitting(val_loss):
    text = say("overfitting", evaluation(TYPICAL), history(falling(6), val_loss))

    assert text.startswith("No ")


def test_a_plateau_with_noise_of_3_percent_is_called_overfitting_in_less_than_1_of_20():
    rng = np.random.default_rng(0)
    plateaus = 0.3 * (1 + 0.03 * rng.standard_normal((200, 15)))
    texts = [
        say("overfitting", evaluation(TYPICAL), history(falling(15), losses)) for losses in plateaus
    ]

    assert sum(text.startswith("Training overfits") for text in texts) <= 10


@pytest.mark.parametrize(
    ("training", "validation", "text"),
    [
        (
            0.971,
            0.92,
            "In the last epoch the training accuracy (97.1 %) lies 5.1 percentage points above "
            "the validation accuracy (92.0 %): that much of what it gets right in training does "
            "not carry over to new images.",
        ),
        (
            0.75,
            0.83,
            "In the last epoch the training accuracy (75.0 %) lies 8.0 percentage points below "
            "the validation accuracy (83.0 %): common, as the training figure is a mean over an "
            "epoch in which the model was still learning, and with dropout switched on.",
        ),
        (
            0.9,
            0.904,
            "In the last epoch the training accuracy (90.0 %) lies 0.4 percentage points below "
            "the validation accuracy (90.4 %): next to nothing, "
            "so what the model learns carries over to new images.",
        ),
    ],
)
def test_gap(training, validation, text):
    course = history(falling(3), falling(3), training, validation)

    assert say("gap", evaluation(TYPICAL), course) == text


def test_the_gap_is_that_of_the_last_epoch():
    measures = {"accuracy": (0.6, 0.9), "val_accuracy": (0.8, 0.85)}
    course = History(history=measures, seconds=(1.0, 1.0), dtype="float32")

    assert "lies 5.0 percentage points above" in say("gap", evaluation(TYPICAL), course)


def test_the_gap_is_that_of_the_epoch_whose_weights_were_kept():
    course = history(falling(3), falling(3))
    measures = {**course.history, "accuracy": (0.9, 0.95, 0.99), "val_accuracy": (0.85, 0.93, 0.9)}
    kept = replace(course, history=measures, restored_epoch=2)
    text = say("gap", evaluation(TYPICAL), kept)
    assert text.startswith("In epoch 2 the training accuracy (95.0 %) lies 2.0 percentage points")


@pytest.mark.parametrize("accuracy", [0.7, 0.9, 0.905])
def test_harder_training_images_tell_nothing_by_the_gap(accuracy):
    level = [1.0, 0.5, 0.52, 0.51, 0.52]
    course = history(falling(5), level, accuracy=accuracy, val_accuracy=0.9)
    text = say("gap", evaluation(TYPICAL), replace(course, harder=True))
    assert text.endswith(
        "images were changed at random and easy ones left out, which makes them harder."
    )
    step = say("next_step", evaluation(TYPICAL), replace(course, harder=True))
    assert step.startswith("Look at the images of")


def test_doing_better_on_harder_training_images_is_overfitting_all_the_more():
    course = replace(history(falling(5), falling(5), accuracy=0.95, val_accuracy=0.9), harder=True)
    text = say("gap", evaluation(TYPICAL), course)
    assert text.endswith(
        "at least that much of what it gets right in training does not carry over to new images."
    )


def test_kept_weights_are_told_and_end_the_advice_to_stop_earlier():
    course = history(falling(9), [0.5, 0.45, 0.4, 0.41, 0.42, 0.5, 0.6, 0.7, 0.8])
    assert say("next_step", evaluation(TYPICAL), course).startswith("Train for 3 epochs instead")
    kept = replace(course, restored_epoch=4)
    assert say("overfitting", evaluation(TYPICAL), kept).endswith(
        "The weights of epoch 4 were kept."
    )
    assert say("next_step", evaluation(TYPICAL), kept).startswith("Look at the images of")


@pytest.mark.parametrize("course", [None, history(falling(3)), history([], interrupted=True)])
def test_gap_without_validation(course):
    text = say("gap", evaluation(TYPICAL), course)

    assert text == "How far training and validation accuracy lie apart is not on record."


LOOK = (
    "Look at the images of Shirt and Coat that were taken for each other: if you cannot tell them "
    "apart either, check their labels; if you can, the model needs more such images."
)
SMALLER_STEPS = "Try a smaller learning rate, for example a third of this one: training ran away."
LEAK = "Nothing was wrong, so look for a leak: check that no test image was trained on."


@pytest.mark.parametrize(
    ("confusion", "course", "text"),
    [
        (TYPICAL, OVERFITS, "Train for 3 epochs instead of 6: after that, the model overfits."),
        (
            TYPICAL,
            history(falling(4), [0.3, 0.4, 0.5, 0.6]),
            "Try more dropout: training overfits from epoch 2 on, too soon to just stop.",
        ),
        (
            TYPICAL,
            IMPROVING,
            "Train longer, for example 8 epochs: the model has not levelled off yet.",
        ),
        (
            TYPICAL,
            history([0.5]),
            "Train longer, for example 2 epochs: the model has not levelled off yet.",
        ),
        (
            TYPICAL,
            history(falling(6), OVERFITS.history["val_loss"], interrupted=True),
            "Let training finish: it was interrupted after 6 epochs.",
        ),
        (
            TYPICAL,
            history([0.5], [0.5], interrupted=True),
            "Let training finish: it was interrupted after 1 epoch.",
        ),
        (
            TYPICAL,
            history(falling(5), LEVEL.history["val_loss"], 0.9, 0.9),
            "Try a larger model, for example with twice the filters: training has levelled off "
            "and does no better on the images it learns from than on new ones.",
        ),
        (TYPICAL, LEVEL, LOOK),
        (TYPICAL, history(falling(5)), LOOK),
        (TYPICAL, None, LOOK),
        (TYPICAL, UNSTABLE, SMALLER_STEPS),
        (TYPICAL, history([0.5, float("nan")], [0.5, 0.5]), SMALLER_STEPS),
        (PERFECT, OVERFITS, LEAK),
        (PERFECT, None, LEAK),
    ],
)
def test_next_step(confusion, course, text):
    assert say("next_step", evaluation(confusion), course) == text


def test_each_text_is_one_or_two_sentences():
    for course in (None, OVERFITS, IMPROVING, LEVEL, UNSTABLE):
        for confusion in (TYPICAL, PERFECT):
            for finding in explain(evaluation(confusion), course):
                assert 1 <= len(re.findall(r"[.](?:\s|$)", finding.text)) <= 2
                assert finding.text[0].isupper()


def test_metrics_explained():
    texts = dict(METRICS_EXPLAINED)

    assert list(texts)[:6] == [
        "accuracy",
        "precision",
        "recall",
        "F1",
        "log loss",
        "confusion matrix",
    ]
    keras = texts["precision and recall during training"]
    assert "50 %" in keras
    assert "macro average" in keras


def test_the_numbers_in_the_explanations_are_right():
    texts = dict(METRICS_EXPLAINED)
    precision, recall = 0.1, 1.0

    assert f"{2 * precision * recall / (precision + recall):.0%}".replace("%", " %") in texts["F1"]
    assert f"counts {-np.log(0.9):.1f}" in texts["log loss"]
    assert f"counts {-np.log(0.01):.1f}" in texts["log loss"]
