"""How far training has come, and the step size that belongs there."""

import time

import pytest

from apparel import schedule
from apparel.schedule import StepCourse, TimeCourse, triangle


def test_steps_count():
    course = StepCourse(4)
    seen = [course.progress]
    for _ in range(4):
        course.step_ends()
        seen.append(course.progress)
    course.set_aside(100)
    assert seen == [0, 0.25, 0.5, 0.75, 1]


def test_time_passes_and_some_is_set_aside(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    course = TimeCourse(60)
    assert course.progress == 0
    now = 130.0
    assert course.progress == 0  # as of the last step, of which there is none
    course.step_ends()
    assert course.progress == 0.5
    course.set_aside(20)
    course.step_ends()
    assert course.progress == 0.75
    course.set_aside(60)
    course.step_ends()
    assert course.progress > 1


@pytest.mark.parametrize(
    ("progress", "size"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (1.2, 0)]
)
def test_the_step_size_rises_and_falls_in_straight_lines(progress, size):
    assert schedule.WARM_UP == 0.1
    assert triangle(progress) == pytest.approx(size)
