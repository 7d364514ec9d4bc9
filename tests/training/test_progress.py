"""Training progress, by steps and by the clock."""

import pytest

from apparel.training.progress import StepProgress, TimeProgress
from tests.training.conftest import Model


def running(progress):
    """Progress with a model that it may stop."""
    progress.set_model(Model())
    return progress


def test_steps_count_and_end_training():
    progress = running(StepProgress(4))
    seen = [progress.fraction]
    for _ in range(4):
        assert not progress.model.stop_training
        progress.on_train_batch_end(0)
        seen.append(progress.fraction)
    assert seen == [0, 0.25, 0.5, 0.75, 1]
    assert progress.model.stop_training
    assert progress.forecast(3) == 0.75
    again = StepProgress(8)
    again.restore(progress.state())
    assert (again.steps, again.fraction) == (4, 0.5)


def test_time_passes_and_some_is_left_for_the_last_validation(clock):
    progress = running(TimeProgress(60, steps=100))
    assert progress.fraction == 0
    clock[0] = 130.0
    assert progress.fraction == 0  # as of the last step, of which there is none
    progress.on_train_batch_end(0)
    assert progress.fraction == 0.5
    progress.on_test_begin()
    clock[0] += 20
    progress.on_test_end()
    progress.on_train_batch_end(0)
    assert progress.fraction == 50 / 40
    assert progress.model.stop_training
    first = running(TimeProgress(60, steps=1, validation_seconds=20.0))
    clock[0] += 10
    first.on_train_batch_end(0)
    assert first.fraction == 10 / 40  # a faster machine than expected trains for all of the time


def test_between_two_readings_of_the_clock_steps_count(clock):
    progress = running(TimeProgress(100, steps=1000))
    for _ in range(3):
        clock[0] += 0.3
        progress.on_train_batch_end(0)
    assert progress.fraction == pytest.approx(3 / 1000)  # as expected beforehand
    clock[0] += 0.3
    progress.on_train_batch_end(0)
    assert progress.fraction == pytest.approx(1.2 / 100)  # the first reading, after a second
    clock[0] += 0.9
    progress.on_train_batch_end(0)
    assert progress.fraction == pytest.approx(1.2 / 100 * 5 / 4)  # at the pace so far


def test_a_forecast_knows_the_clock_as_of_some_steps_before(clock):
    progress = running(TimeProgress(100, steps=1000))
    for _ in range(40):
        clock[0] += 0.25
        progress.on_train_batch_end(0)
    # The readings are at 4, 8, …: of those, 24 is the last one that batch 40 may know.
    assert progress.forecast(40) == pytest.approx(24 * 0.0025 + 16 * 0.0025)
    assert progress.forecast(3) == 3 / 1000
    before = progress.forecast(45)
    clock[0] += 50
    progress.on_train_batch_end(0)
    assert progress.forecast(45) == before


def test_resumed_training_keeps_the_pace_and_reads_no_clock(clock):
    progress = running(TimeProgress(100, steps=1000))
    for _ in range(8):
        clock[0] += 1
        progress.on_train_batch_end(0)
    again = running(TimeProgress(100, steps=5))
    again.restore(progress.state())
    assert again.fraction == progress.fraction == pytest.approx(0.08)
    clock[0] += 70
    again.on_train_batch_end(0)
    assert again.fraction == pytest.approx(0.09)
    assert again.forecast(50) == progress.forecast(50)
