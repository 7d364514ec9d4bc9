"""The search space: networks by their budgets, hyperparameters, and their settings."""

import shlex
from dataclasses import replace

import pytest

from apparel.cli.arguments import parser, settings_of
from apparel.core.recipes import Plan, recipe_of
from apparel.core.settings import Settings, run_command
from apparel.training.tuning.space import (
    CNN,
    DEFAULT,
    LADDER,
    NARROWER,
    PLANNED,
    WIDER,
    networks,
    settings_for,
    suggest,
)


def plan(name, width, passes):
    return Plan(
        model_name=name, width=width, images_per_second=1, passes=passes, seconds=1,
        validation_seconds=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("short", "long", "passes", "expected"),
    [
        (("fast", 32), ("fast", 64), 9, {NARROWER: (16, 32), PLANNED: (32, 64), WIDER: (64, 96)}),
        # Above `fast`'s own width, the time of an image grows with the width to the power of 1.7.
        (("fast", 32), ("fast", 64), 1.99 * 2**1.7, {NARROWER: (16, 32), PLANNED: (32, 64)}),
        (("fast", 16), ("fast", 32), 9, {PLANNED: (16, 32), WIDER: (32, 64)}),
        (("best", 96), ("best", 96), 99,
         {NARROWER: (64, 64), PLANNED: (96, 96), WIDER: (128, 128)}),
    ],
)  # fmt: skip
def test_networks_are_steps_from_what_a_budget_plans(short, long, passes, expected):
    found = dict(networks(plan(*short, passes), plan(*long, 4 * passes)))
    assert found.pop(CNN) == (("cnn", None), ("cnn", None))
    assert {name: (a[1], b[1]) for name, (a, b) in found.items()} == expected
    assert all(network in LADDER for pair in found.values() for network in pair)


BASE = Settings(budget=9.0, seed=5, limit=100)


def test_the_first_trial_is_the_default_setting():
    settings = settings_for(DEFAULT, ("fast", 32), BASE)
    default = replace(BASE, model_name="fast", width=32)
    for passes in (1, 9, 20):
        bought = plan("fast", 32, passes)
        assert recipe_of(settings, bought) == recipe_of(default, bought)


class Sampler:
    """Samples numbers that have many digits, and one of each choice."""

    def __init__(self, choice):
        self.choice = choice

    def suggest_categorical(self, name, choices):
        return choices[self.choice]

    def suggest_float(self, name, low, high, *, step=None, log=False):
        return low + step if step else low


def test_a_sample_becomes_settings_and_the_command_for_them():
    assert set(suggest(Sampler(0), [CNN, PLANNED])) == {"network", "learning_rate", "batch_size"}
    chosen = suggest(Sampler(-1), [CNN, PLANNED])
    assert set(chosen) == set(DEFAULT)
    settings = settings_for(chosen, ("fast", 16), BASE)
    assert (settings.width, settings.budget, settings.limit) == (16, 9.0, 100)
    assert (settings.learning_rate, settings.batch_size) == (0.0333, 1024)
    assert (settings.label_smoothing, settings.flip) == (0.02, False)
    assert (settings.shift, settings.erase) == (2, 0.5)
    line = run_command(settings, source="my images", data_dir="/d")
    parsed = parser().parse_args(shlex.split(line)[1:])
    assert (parsed.command, parsed.data, str(parsed.data_dir)) == ("run", "my images", "/d")
    assert settings_of(parsed) == settings
