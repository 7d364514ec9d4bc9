"""Each callback alone, driven as Keras drives it; those of checkpoints are in their own file."""

from types import SimpleNamespace

import numpy as np
import pytest

from apparel.training.callbacks import (
    EarlyStopping,
    EpochLog,
    TriangularSchedule,
    WeightAverage,
)
from apparel.training.progress import StepProgress
from tests.training.conftest import Model

# -- early stopping ---------------------------------------------------------------------


def told(stopping, model, accuracies, first=0):
    """Report epochs until training stops; gives their number, or None."""
    stopping.set_model(model)
    for epoch, accuracy in enumerate(accuracies, start=first):
        model.set_weights([np.full(2, epoch + 1.0)])
        stopping.on_epoch_end(epoch, {"val_accuracy": accuracy})
        if model.stop_training:
            return epoch + 1
    return None


@pytest.mark.parametrize(
    ("patience", "accuracies", "ends", "best"),
    [
        (1, [0.5, 0.6, 0.6, 0.9], 3, 2),
        (2, [0.5, 0.4, 0.6, 0.5, 0.6, 0.9], 5, 3),
        (3, [0.9, 0.8, 0.7], None, 1),
        (1, [float("nan"), float("nan")], 2, 1),
    ],
)
def test_early_stopping_waits_and_restores_the_best_epoch(patience, accuracies, ends, best):
    model, stopping = Model(), EarlyStopping(patience)
    stopping.restore_best(model)
    assert (stopping.best_epoch, model.get_weights()[0][0]) == (None, 0)
    assert told(stopping, model, accuracies) == ends
    assert stopping.is_over == (ends is not None)
    assert stopping.best_epoch == best
    stopping.restore_best(model)
    np.testing.assert_array_equal(model.get_weights()[0], best)


def test_in_another_process_a_worse_epoch_replaces_nothing():
    model, first, second = Model(), EarlyStopping(2), EarlyStopping(2)
    second.restore(first.state())
    assert second.best_epoch is None
    assert told(first, model, [0.5, 0.9]) is None
    second.restore(first.state())
    assert told(second, model, [0.7, 0.8], first=2) == 4
    second.restore_best(model)
    np.testing.assert_array_equal(model.get_weights()[0], 2)
    assert second.best_epoch == 2


# -- averaging --------------------------------------------------------------------------


def stepped(model, progress, average, steps):
    """Steps that set the weights to the square of their number."""
    for callback in (progress, average):
        callback.set_model(model)
    for step in steps:
        model.set_weights([np.full(2, step**2)])
        for callback in (progress, average):
            callback.on_train_batch_end(step)


@pytest.mark.parametrize(("share", "count"), [(0.5, 6), (1.0, 12), (0.25, 3), (0.01, 1)])
def test_the_final_weights_are_the_mean_of_the_last_steps(share, count):
    model, progress = Model(), StepProgress(12)
    average, again = WeightAverage(progress, share), WeightAverage(progress, share)
    stepped(model, progress, average, range(1, 9))
    again.restore(average.state())  # in another process
    stepped(model, progress, again, range(9, 12))
    np.testing.assert_array_equal(model.get_weights()[0], 121)  # nothing changes on the way
    stepped(model, progress, again, [12])
    mean = np.mean(np.arange(13 - count, 13) ** 2)
    np.testing.assert_allclose(model.get_weights()[0], mean, rtol=1e-6)
    model.set_weights([np.zeros(2)])
    again.on_train_end()
    np.testing.assert_allclose(model.get_weights()[0], mean, rtol=1e-6)


# -- learning rate ----------------------------------------------------------------------


def test_the_learning_rate_rises_and_falls_in_straight_lines():
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=None))
    progress = StepProgress(20)
    schedule = TriangularSchedule(progress, 0.2)
    schedule.set_model(model)
    found = []
    for step in (0, 1, 2, 11, 20, 24):
        progress.restore({"steps": step})
        schedule.on_train_batch_begin(step)
        found.append(model.optimizer.learning_rate)
    assert found == pytest.approx([0.0002, 0.1, 0.2, 0.1, 0.0002, 0.0002])  # never quite 0


# -- log --------------------------------------------------------------------------------


def test_the_log_keeps_finished_epochs_and_their_times_across_processes(clock):
    progress = StepProgress(8)
    progress.set_model(Model())
    first, second = EpochLog(progress, 4), EpochLog(progress, 4)

    def step(log, seconds):
        clock[0] += seconds
        progress.on_train_batch_end(0)
        log.on_train_batch_end(0)

    first.on_epoch_begin(0)
    for _ in range(4):
        step(first, 2)
    first.on_epoch_end(0, {"loss": 2, "val_loss": 3})
    assert first.seconds_left == 8
    first.on_epoch_begin(1)
    step(first, 3)
    state = first.state()
    clock[0] += 1000  # another process
    second.restore(state)
    assert (second.epoch, second.step, second.rest) == (1, 1, 3)
    assert (second.metrics, second.seconds) == ({"loss": [2.0], "val_loss": [3.0]}, [8.0])
    second.on_epoch_begin(1)
    for _ in range(3):
        step(second, 1)
    second.on_epoch_end(1, {"loss": 1, "val_loss": 2})
    assert (second.epoch, second.step, second.rest) == (2, 0, 0)
    assert (second.metrics["loss"], second.seconds) == ([2.0, 1.0], [8.0, 6.0])
    assert second.seconds_left == 0
