from dataclasses import replace

import numpy as np
import pytest

from apparel.core.records import Evidence, History
from apparel.explain.findings.training import course_of_training, gap
from tests.explain.made import LEVEL, PERFECT, TYPICAL, evaluation, evidence, falling, history

WRONG = 40 / 300  # of TYPICAL
OVERFITS = history(falling(6), [0.5, 0.4, 0.3, 0.33, 0.36, 0.4])
IMPROVING = history(falling(4), [0.5, 0.4, 0.35, 0.3])
UNSTABLE = history([0.5, 0.3, 0.6, 0.9], [0.5, 0.3, 0.6, 0.9])
SMALLER_STEPS = "Lower the learning rate, for example to a third."


def of(course, confusion=TYPICAL):
    return course_of_training(evidence(confusion, history=course))


@pytest.mark.parametrize(
    ("course", "topic", "text", "advice", "weight"),
    [
        (
            OVERFITS,
            "overfitting",
            "Training overfits from epoch 4 on: the validation loss is lowest in epoch 3 (0.300) "
            "and has clearly risen since (0.400 in epoch 6), "
            "although the training loss went on falling.",
            "Train for 3 epochs instead of 6.",
            WRONG / 4,
        ),
        (
            history(falling(4), [0.3, 0.4, 0.5, 0.6]),
            "overfitting",
            "Training overfits from epoch 2 on: the validation loss is lowest in epoch 1 (0.300) "
            "and has clearly risen since (0.600 in epoch 4), "
            "although the training loss went on falling.",
            "Use more dropout, as training for 1 epoch only would be too short.",
            WRONG / 2,
        ),
        (
            IMPROVING,
            "short_training",
            "Training has not levelled off: in the last two epochs the validation loss still fell "
            "from 0.400 to 0.300.",
            "Train longer, for example for 8 epochs.",
            WRONG / 4,
        ),
        (
            UNSTABLE,
            "unstable_training",
            "Training became unstable, which is not overfitting: the validation loss rose from "
            "0.300 in epoch 2 to 0.900 in epoch 4, "
            "and the training loss did not fall in that time either.",
            SMALLER_STEPS,
            1.0,
        ),
        (
            history([0.5, 0.4, 0.4, 0.4], [0.5, 0.4, 0.5, 0.6], interrupted=True),
            "unstable_training",
            "Training became unstable, which is not overfitting: the validation loss rose from "
            "0.400 in epoch 2 to 0.600 in epoch 4, "
            "and the training loss did not fall in that time either.",
            SMALLER_STEPS,
            1.0,
        ),
        (
            history([0.5, float("nan"), float("nan")], [0.5, 0.6, float("inf")]),
            "broken_training",
            "Training broke down: from epoch 2 on the loss is no longer a finite number.",
            SMALLER_STEPS,
            1.0,
        ),
        (
            history([0.5, 0.4], [0.5, float("inf")], interrupted=True),
            "broken_training",
            "Training broke down: from epoch 2 on the loss is no longer a finite number.",
            SMALLER_STEPS,
            1.0,
        ),
        (
            history([0.5], [0.5]),
            "short_training",
            "Whether training has levelled off cannot be said after 1 epoch: "
            "a trend needs at least 3.",
            "Train longer, for example for 3 epochs.",
            WRONG,
        ),
        (
            history([0.5, 0.4], [0.5, 0.9]),
            "short_training",
            "Whether training has levelled off cannot be said after 2 epochs: "
            "a trend needs at least 3.",
            "Train longer, for example for 4 epochs.",
            WRONG,
        ),
        (
            replace(OVERFITS, interrupted=True),
            "interrupted_training",
            "Training was interrupted after 6 epochs.",
            "Let training finish.",
            WRONG,
        ),
        (
            history([0.5], [0.5], interrupted=True),
            "interrupted_training",
            "Training was interrupted after 1 epoch.",
            "Let training finish.",
            WRONG,
        ),
        (
            history([], interrupted=True),
            "interrupted_training",
            "Training was interrupted after 0 epochs.",
            "Let training finish.",
            WRONG,
        ),
    ],
)
def test_what_went_wrong_in_training(course, topic, text, advice, weight):
    found = of(course)
    assert (found.topic, found.text, found.advice) == (topic, text, advice)
    assert found.weight == pytest.approx(weight)


@pytest.mark.parametrize("course", [None, LEVEL, history([]), history(falling(5))])
def test_nothing_is_known_to_have_gone_wrong(course):
    assert of(course) is None


@pytest.mark.parametrize("course", [OVERFITS, IMPROVING, history([0.5], [0.5])])
def test_training_is_good_enough_if_no_image_is_named_wrongly(course):
    assert of(course, PERFECT) is None


def test_training_that_ran_away_is_told_even_if_no_image_is_named_wrongly():
    assert of(UNSTABLE, PERFECT).weight == 1.0


@pytest.mark.parametrize(("last", "rose"), [(0.929, True), (0.918, False), (0.9, False)])
def test_overfitting_that_costs_no_accuracy_is_no_reason_to_stop_early(last, rose):
    accuracies = (0.85, 0.9, 0.918, 0.92, 0.925, last)
    course = replace(OVERFITS, history=dict(OVERFITS.history) | {"val_accuracy": accuracies})
    found = of(course)
    more = (
        " Yet the validation accuracy rose from 91.8 % to 92.9 %: the model became too sure of "
        "its mistakes, but made fewer."
    )
    assert found.topic == "overfitting"
    assert found.text.endswith("went on falling." + more * rose)
    wanted = "Train on images that are changed at random, as the models fast and best do."
    assert found.advice == (wanted if rose else "Train for 3 epochs instead of 6.")
    if rose:
        assert of(replace(course, harder=True)).advice == "Train on more images."


def test_kept_weights_are_told_and_make_overfitting_harmless():
    assert of(replace(UNSTABLE, restored_epoch=2)).text.endswith(
        "in that time either. The weights of epoch 2 were kept."
    )
    assert of(replace(OVERFITS, restored_epoch=3)) is None


@pytest.mark.parametrize(
    "val_loss",
    [
        [0.5, 0.4, 0.3, 0.3, 0.3, 0.9],  # one bad last epoch
        [0.5, 0.4, 0.3, 0.9, 0.3, 0.31],  # one bad epoch on the way
        [0.5, 0.4, 0.3, 0.32, 0.33, 0.3299],  # a rise below a tenth
    ],
)
def test_noise_is_not_called_overfitting(val_loss):
    assert of(history(falling(6), val_loss)) is None


def test_a_clear_rise_is_more_than_a_tenth():
    assert of(history(falling(5), [0.5, 0.4, 0.3, 0.3301, 0.3301])).topic == "overfitting"


@pytest.mark.parametrize(("last", "fires"), [(0.2849, True), (0.2851, False)])
def test_a_clear_fall_is_more_than_a_twentieth_below_all_before(last, fires):
    for end in ([last, 0.32], [0.32, last]):
        assert (of(history(falling(5), [0.5, 0.3, 0.31, *end])) is not None) == fires


def test_a_plateau_with_noise_of_3_percent_is_called_level_in_19_of_20():
    rng = np.random.default_rng(0)
    plateaus = 0.3 * (1 + 0.03 * rng.standard_normal((200, 15)))
    found = [of(history(falling(15), losses)) for losses in plateaus]
    assert sum(finding is not None for finding in found) <= 10


def gap_of(course, n_validation=6000):
    return gap(Evidence(evaluation=evaluation(TYPICAL, n_valid=n_validation), history=course))


def apart(training, validation, **rest):
    return history(falling(3), falling(3), training, validation, **rest)


def test_a_gap_between_training_and_validation():
    found = gap_of(apart(0.971, 0.92))
    assert found.text == (
        "In the last epoch the training accuracy (97.1 %) lies 5.1 percentage points above the "
        "validation accuracy (92.0 %): that much of what it gets right in training does not carry "
        "over to new images."
    )
    assert found.advice == (
        "Train on images that are changed at random, as the models fast and best do."
    )
    assert found.weight == pytest.approx(0.051)


def test_doing_better_on_harder_training_images_is_a_gap_all_the_more():
    found = gap_of(apart(0.95, 0.9, harder=True))
    assert found.text.endswith(
        ": at least that much of what it gets right in training does not carry over to new images."
    )
    assert found.advice == "Train on more images."


@pytest.mark.parametrize(
    ("training", "validation", "fires"),
    [
        (0.9301, 0.9, True),
        (0.9299, 0.9, False),
        (0.75, 0.83, False),  # dropout, and a mean over an epoch in which the model still learnt
        (0.95, float("nan"), False),
    ],
)
def test_a_gap_is_large_from_3_points_on(training, validation, fires):
    assert (gap_of(apart(training, validation)) is not None) == fires


@pytest.mark.parametrize(("n_validation", "fires"), [(0, False), (200, False), (400, True)])
def test_a_gap_that_few_validation_images_give_by_chance_is_none(n_validation, fires):
    # Wilson's interval of 90 % ends at 93.4 % with 200 images and at 92.6 % with 400.
    assert (gap_of(apart(0.9302, 0.9), n_validation) is not None) == fires


def test_the_gap_is_that_of_the_last_epoch():
    measures = {"accuracy": (0.6, 0.9), "val_accuracy": (0.8, 0.85)}
    course = History(history=measures, seconds=(1.0, 1.0), dtype="float32")
    assert "lies 5.0 percentage points above" in gap_of(course).text


def test_the_gap_is_that_of_the_epoch_whose_weights_were_kept():
    course = apart(0.9, 0.9)
    measures = {**course.history, "accuracy": (0.9, 0.96, 0.99), "val_accuracy": (0.85, 0.92, 0.9)}
    found = gap_of(replace(course, history=measures, restored_epoch=2))
    assert found.text.startswith("In epoch 2 the training accuracy (96.0 %) lies 4.0 percentage")


@pytest.mark.parametrize("course", [None, history(falling(3)), history([], interrupted=True)])
def test_no_gap_is_known_without_validation(course):
    assert gap_of(course) is None
