"""The search space: networks by their budgets, hyperparameters, and their settings."""

import shlex

import pytest

from apparel.cli.arguments import parser, settings_of
from apparel.core.recipes import recipe_of
from apparel.core.settings import Plan, Settings, run_command
from apparel.training.tuning.space import (
    CNN,
    DEFAULT,
    LADDER,
    NARROWER,
    PLANNED,
    WIDER,
    full_settings,
    networks,
    suggest,
    trial_settings,
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
        (("fast", 16), ("fast", 32), 2.9, {PLANNED: (16, 32)}),
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


def test_a_wider_network_needs_two_passes_in_the_time_of_a_trial():
    # Above `fast`'s own width, the time of an image grows with the width to the power of 1.7.
    enough = 2 * 2**1.7
    for passes, is_there in ((0.99 * enough, False), (1.01 * enough, True)):
        found = networks(plan("fast", 32, passes), plan("fast", 64, 50))
        assert (WIDER in found) == is_there


class First:
    """Samples the first of each choice, and the lowest number."""

    def suggest_categorical(self, name, choices):
        return choices[0]

    def suggest_float(self, name, low, high, *, step=None, log=False):
        return low


def test_augmentation_is_not_sampled_for_cnn():
    assert set(suggest(First(), [CNN, PLANNED])) == {
        "network",
        "learning_rate",
        "batch_size",
    }
    assert set(suggest(First(), [PLANNED])) == set(DEFAULT)


NETWORKS = {
    PLANNED: (("fast", 32), ("fast", 64)),
    NARROWER: (("fast", 16), ("fast", 32)),
    CNN: (("cnn", None), ("cnn", None)),
}
BASE = Settings(budget=9.0, seed=5, limit=100)


def test_the_first_trial_is_the_default_setting():
    settings = trial_settings(DEFAULT, NETWORKS, BASE)
    default = Settings(model_name="fast", width=32, budget=9.0, seed=5, limit=100)
    for passes in (1, 9, 20):
        bought = plan("fast", 32, passes)
        assert recipe_of(settings, bought) == recipe_of(default, bought)


def test_a_full_training_takes_the_same_steps_from_its_own_plan():
    chosen = {"network": NARROWER, "learning_rate": 1.23456, "batch_size": 0.5,
              "label_smoothing": 0.06, "flip": False, "shift": 2, "erase": None}  # fmt: skip
    short = trial_settings(chosen, NETWORKS, BASE)
    full = full_settings(chosen, NETWORKS, Settings(budget=99.0, seed=5))
    assert (short.width, full.width) == (16, 32)
    assert (short.budget, full.budget, full.limit) == (9.0, 99.0, None)
    for settings in (short, full):
        assert (settings.learning_rate, settings.batch_size) == (0.123, 256)
        assert (settings.label_smoothing, settings.flip) == (0.06, False)
        assert (settings.shift, settings.erase) == (2, None)


def test_the_command_for_a_full_training_has_these_settings():
    chosen = {"network": PLANNED, "learning_rate": 0.777, "batch_size": 2.0,
              "label_smoothing": 0.02, "flip": False, "shift": 0, "erase": 0.25}  # fmt: skip
    settings = full_settings(chosen, NETWORKS, Settings(budget=12.5, seed=4, limit=9))
    line = run_command(settings, source="my images", data_dir="/d")
    parsed = parser().parse_args(shlex.split(line)[1:])
    assert (parsed.command, parsed.data, str(parsed.data_dir)) == ("run", "my images", "/d")
    assert settings_of(parsed) == settings
