"""The plan that a budget buys: model, width, and the time that is left."""

import itertools

import numpy as np
import pytest

from apparel.core.backend import NumberFormat
from apparel.core.errors import UsageError
from apparel.core.settings import Settings
from apparel.training import budget, fit

FLOAT32 = NumberFormat("float32", "asked for")


@pytest.fixture
def machine(monkeypatch):
    """A machine of a given speed, on which every reading of the clock takes two seconds."""

    def make(images_per_second):
        measured = []

        def speed(model, settings, number_format):
            measured.append((model.name, settings.model_name, settings.width))
            # Twice the width is four times the work.
            width = settings.width or {"fast": 32, "best": 64, "cnn": 32}[settings.model_name]
            return images_per_second * (32 / width) ** 2

        ticks = itertools.count(0, 2)
        monkeypatch.setattr(budget.time, "perf_counter", lambda: next(ticks))
        monkeypatch.setattr(budget, "images_per_second", speed)
        return measured

    return make


def plan(seconds, *, n_training=54_000, **changes):
    settings = Settings(**{"model_name": "auto", "budget": seconds} | changes)
    return budget.plan(
        settings, n_classes=10, img_shape=(28, 28, 1), n_training=n_training, n_validation=6_000,
        number_format=FLOAT32,
    )  # fmt: skip


def test_more_time_or_a_faster_machine_buys_a_larger_model(machine):
    sizes = []
    for speed, seconds in ((300, 900), (6000, 100), (6000, 900), (6000, 36_000)):
        machine(speed)
        chosen = plan(seconds)
        sizes.append((chosen.model_name, chosen.width))
    assert sizes == [("fast", 32), ("fast", 32), ("fast", 64), ("best", 96)]


def test_measuring_and_validating_are_part_of_the_budget(machine):
    machine(6000)
    chosen = plan(60, model_name="fast")
    assert chosen.seconds == 58  # the clock was read once between
    assert chosen.validation_seconds == 1 + 6000 / (2 * 6000)
    assert chosen.passes == pytest.approx((58 - 1.5) * 6000 / 54_000)
    few = plan(3600, model_name="fast", n_training=600)
    assert few.passes == budget.MOST_PASSES
    assert few.seconds < 60


@pytest.mark.parametrize(("width", "speed"), [(None, 1846.7), (16, 13784.4), (32, 6000)])
def test_the_machine_is_measured_once_by_fast_at_its_own_width(machine, width, speed):
    measured = machine(6000)
    chosen = plan(600, width=width)
    assert measured == [("fast", "fast", None)]
    assert chosen.width == (width or 64)
    assert chosen.images_per_second == pytest.approx(speed, rel=1e-4)
    chosen = plan(600, model_name="best", width=16)
    assert measured[1:] == [("best", "best", 16)]
    assert (chosen.model_name, chosen.width) == ("best", 16)


def test_a_budget_that_is_gone_before_training_begins_is_refused(machine):
    machine(6000)
    with pytest.raises(UsageError, match=r"a budget of 3 s is too short.*Give more time"):
        plan(3)


def test_measuring_speed_leaves_the_weights_as_they_are(monkeypatch):
    monkeypatch.setattr(budget, "MEASURING_SECONDS", 0.0)
    settings = Settings(model_name="cnn", batch_size=6)
    model = fit.compiled_model(settings, n_classes=3, img_shape=(8, 9, 1))
    before = model.get_weights()
    assert budget.images_per_second(model, settings, FLOAT32) > 1
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
