"""How far training has come, and the step size that belongs there."""

import time

import pytest

from apparel.training import learning_rate
from apparel.training.learning_rate import StepCourse, TimeCourse, triangle


def test_steps_count():
    course = StepCourse(4)
    seen = [course.progress]
    for _ in range(4):
        course.step_ends()
        seen.append(course.progress)
    course.set_aside(100)
    assert seen == [0, 0.25, 0.5, 0.75, 1]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_time_passes_and_some_is_set_aside(clock):
    course = TimeCourse(60, steps=100)
    assert course.progress == 0
    clock[0] = 130.0
    assert course.progress == 0  # as of the last step, of which there is none
    course.step_ends()
    assert course.progress == 0.5
    course.set_aside(20)
    clock[0] += 1
    course.step_ends()
    assert course.progress == 31 / 40
    course.set_aside(60)
    clock[0] += 1
    course.step_ends()
    assert course.progress > 1


def test_between_two_readings_of_the_clock_steps_count(clock):
    course = TimeCourse(100, steps=1000)
    for _ in range(3):
        clock[0] += 0.3
        course.step_ends()
    assert course.progress == pytest.approx(3 / 1000)  # as was foreseen
    clock[0] += 0.3
    course.step_ends()
    assert course.progress == pytest.approx(1.2 / 100)  # the first reading, after a second
    clock[0] += 0.9
    course.step_ends()
    assert course.progress == pytest.approx(1.2 / 100 * 5 / 4)  # at the pace so far


def test_a_machine_that_is_faster_than_foreseen_trains_for_all_of_the_time(clock):
    course = TimeCourse(100, steps=10)
    for _ in range(11):
        clock[0] += 0.01
        course.step_ends()
    assert course.progress == pytest.approx(0.0011)


def test_a_forecast_knows_the_clock_as_of_some_steps_before(clock):
    course = TimeCourse(100, steps=1000)
    for _ in range(40):
        clock[0] += 0.25
        course.step_ends()
    # The readings are at 4, 8, …: of those, 24 is the last one that batch 40 may know.
    assert course.forecast(40) == pytest.approx(24 * 0.0025 + 16 * 0.0025)
    assert course.forecast(3) == 3 / 1000
    before = course.forecast(45)
    clock[0] += 50
    course.step_ends()
    assert course.forecast(45) == before


def test_going_on_keeps_the_pace_and_reads_no_clock(clock):
    course = TimeCourse(100, steps=1000)
    for _ in range(8):
        clock[0] += 1
        course.step_ends()
    again = TimeCourse(100, steps=5)
    again.restore(course.state())
    assert again.progress == course.progress == pytest.approx(0.08)
    clock[0] += 70
    again.step_ends()
    assert again.progress == pytest.approx(0.09)
    assert again.forecast(50) == course.forecast(50)


@pytest.mark.parametrize(
    ("progress", "size"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (1.2, 0)]
)
def test_the_step_size_rises_and_falls_in_straight_lines(progress, size):
    assert learning_rate.WARM_UP == 0.1
    assert triangle(progress) == pytest.approx(size)
