from dataclasses import replace

import numpy as np
import pytest

from apparel.core.records import Evidence, History
from apparel.explain.findings.training import gap, training_problem
from tests.explain.made import LEVEL, PERFECT, TYPICAL, evaluation, evidence, falling, history

WRONG = 40 / 300  # of TYPICAL
OVERFITS = history(falling(6), [0.5, 0.4, 0.3, 0.33, 0.36, 0.4])
IMPROVING = history(falling(4), [0.5, 0.4, 0.35, 0.3])
UNSTABLE = history([0.5, 0.3, 0.6, 0.9], [0.5, 0.3, 0.6, 0.9])
LOWER_RATE = "Lower the learning rate, for example to a third."
AUGMENT = "Train with augmentation, as the models fast and best do."


def of(trained, confusion=TYPICAL):
    return training_problem(evidence(confusion, history=trained))


@pytest.mark.parametrize(
    ("trained", "topic", "text", "advice", "weight"),
    [
        (
            OVERFITS,
            "overfitting",
            "Training overfits from epoch 4 on: the validation loss is lowest in epoch 3 (0.300) "
            "and has clearly risen since (0.400 in epoch 6), "
            "although the training loss kept falling.",
            "Train for 3 epochs instead of 6.",
            WRONG / 4,
        ),
        (
            history(falling(4), [0.3, 0.4, 0.5, 0.6]),
            "overfitting",
            "Training overfits from epoch 2 on: the validation loss is lowest in epoch 1 (0.300) "
            "and has clearly risen since (0.600 in epoch 4), "
            "although the training loss kept falling.",
            "Use more dropout, as training for 1 epoch only would be too short.",
            WRONG / 2,
        ),
        (
            IMPROVING,
            "short_training",
            "Training has not converged: in the last two epochs the validation loss still fell "
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
            LOWER_RATE,
            1.0,
        ),
        (
            history([0.5, float("nan"), float("nan")], [0.5, 0.6, float("inf")]),
            "broken_training",
            "Training diverged: from epoch 2 on, the loss is not a finite number.",
            LOWER_RATE,
            1.0,
        ),
        (
            history([0.5], [0.5]),
            "short_training",
            "After 1 epoch it is too early to tell whether training has converged: "
            "a trend needs at least 3.",
            "Train longer, for example for 3 epochs.",
            WRONG,
        ),
        (
            replace(OVERFITS, interrupted=True),
            "interrupted_training",
            "Training was interrupted after 6 epochs.",
            "Let training finish.",
            WRONG,
        ),
    ],
)
def test_each_problem_of_training_and_its_advice(trained, topic, text, advice, weight):
    found = of(trained)
    assert (found.topic, found.text, found.advice) == (topic, text, advice)
    assert found.weight == pytest.approx(weight)


@pytest.mark.parametrize(
    ("trained", "topic"),
    [
        (replace(UNSTABLE, interrupted=True), "unstable_training"),
        (history([0.5, 0.4], [0.5, float("inf")], interrupted=True), "broken_training"),
        (history([], interrupted=True), "interrupted_training"),
        (replace(LEVEL, interrupted=True), "interrupted_training"),
    ],
)
def test_interruption_hides_all_problems_but_instability(trained, topic):
    assert of(trained).topic == topic


def test_no_problem_is_known_without_losses_or_mistakes():
    for trained in (None, LEVEL, history([]), history(falling(5))):
        assert of(trained) is None
    for trained in (OVERFITS, IMPROVING, history([0.5], [0.5])):
        assert of(trained, PERFECT) is None
    assert of(UNSTABLE, PERFECT).weight == 1.0


@pytest.mark.parametrize(("last", "rose"), [(0.929, True), (0.918, False)])
def test_overfitting_that_costs_no_accuracy_is_no_reason_to_stop_early(last, rose):
    accuracies = (0.85, 0.9, 0.918, 0.92, 0.925, last)
    trained = replace(OVERFITS, history={**OVERFITS.history, "val_accuracy": accuracies})
    found = of(trained)
    assert found.text.endswith(
        " Yet the validation accuracy rose from 91.8 % to 92.9 %: the model became overconfident, "
        "but made fewer mistakes."
        if rose
        else "kept falling."
    )
    assert found.advice == (AUGMENT if rose else "Train for 3 epochs instead of 6.")
    if rose:
        assert of(replace(trained, harder=True)).advice == "Train on more images."


def test_restored_weights_are_mentioned_and_make_overfitting_harmless():
    assert of(replace(UNSTABLE, restored_epoch=2)).text.endswith(
        "in that time either. The weights of epoch 2 were kept."
    )
    assert of(replace(OVERFITS, restored_epoch=3)) is None


@pytest.mark.parametrize(
    ("val_loss", "topic"),
    [
        ([0.5, 0.4, 0.3, 0.3, 0.3, 0.9], None),  # one bad last epoch
        ([0.5, 0.4, 0.3, 0.9, 0.3, 0.31], None),  # one bad epoch on the way
        ([0.5, 0.4, 0.3, 0.32, 0.33, 0.3299], None),  # a rise below a tenth
        ([0.5, 0.4, 0.3, 0.3301, 0.3301], "overfitting"),
        # A fall by more than a twentieth below all before, in either of the last two epochs.
        ([0.5, 0.3, 0.31, 0.2849, 0.32], "short_training"),
        ([0.5, 0.3, 0.31, 0.32, 0.2849], "short_training"),
        ([0.5, 0.3, 0.31, 0.32, 0.2851], None),
    ],
)
def test_small_changes_of_the_loss_are_noise(val_loss, topic):
    found = of(history(falling(len(val_loss)), val_loss))
    assert (found and found.topic) == topic


def test_a_plateau_with_noise_of_3_percent_is_called_level_in_19_of_20():
    rng = np.random.default_rng(0)
    plateaus = 0.3 * (1 + 0.03 * rng.standard_normal((200, 15)))
    found = [of(history(falling(15), losses)) for losses in plateaus]
    assert sum(finding is not None for finding in found) <= 10


# -- the gap between training and validation ---------------------------------------------


def gap_of(trained, n_validation=6000):
    return gap(Evidence(evaluation=evaluation(TYPICAL, n_valid=n_validation), history=trained))


def apart(training, validation, **rest):
    return history(falling(3), falling(3), training, validation, **rest)


def test_a_gap_between_training_and_validation():
    found = gap_of(apart(0.971, 0.92))
    assert found.text == (
        "In the last epoch the training accuracy (97.1 %) lies 5.1 percentage points above the "
        "validation accuracy (92.0 %): that much of it does not generalise to new images."
    )
    assert found.advice == AUGMENT
    assert found.weight == pytest.approx(0.051)
    harder = gap_of(apart(0.95, 0.9, harder=True))
    assert harder.text.endswith(": at least that much of it does not generalise to new images.")
    assert harder.advice == "Train on more images."


@pytest.mark.parametrize(
    ("training", "validation", "n_validation", "fires"),
    [
        (0.9301, 0.9, 6000, True),
        (0.9299, 0.9, 6000, False),
        (0.95, float("nan"), 6000, False),
        # Wilson's interval of 90 % ends at 93.4 % with 200 images and at 92.6 % with 400.
        (0.9302, 0.9, 200, False),
        (0.9302, 0.9, 400, True),
    ],
)
def test_a_gap_is_3_points_or_more_and_beyond_chance(training, validation, n_validation, fires):
    assert (gap_of(apart(training, validation), n_validation) is not None) == fires


def test_the_gap_is_that_of_the_epoch_whose_weights_were_kept():
    metrics = {"accuracy": (0.9, 0.96, 0.99), "val_accuracy": (0.85, 0.92, 0.9)}
    trained = History(history=metrics, seconds=(1.0,) * 3, dtype="float32", restored_epoch=2)
    assert gap_of(trained).text.startswith(
        "In epoch 2 the training accuracy (96.0 %) lies 4.0 percentage points"
    )


def test_no_gap_is_known_without_validation():
    assert gap_of(None) is gap_of(history(falling(3))) is None
