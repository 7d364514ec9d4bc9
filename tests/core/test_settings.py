"""What a user may decide, and what follows from the one declaration of each option."""

import shlex
from dataclasses import fields

import numpy as np
import pytest

from apparel.cli.arguments import parser, settings_of
from apparel.core.errors import UsageError
from apparel.core.recipes import RECIPES, Plan
from apparel.core.settings import DTYPES, MODELS, Settings, run_command
from apparel.core.validation import parse_time

COUNTS = ("width", "epochs", "patience", "batch_size", "limit", "image_size")
SHARES = ("weight_averaging", "erase", "target_accuracy", "max_bad")
TIMES = ("budget", "checkpoint_every")
# One value of each setting that is not its default.
OTHER = {
    "model_name": "best", "width": 7, "epochs": 3, "budget": 90.5, "patience": 2,
    "batch_size": 50, "seed": 12, "split_seed": 9, "dtype": "float32", "validation_split": 0.25,
    "learning_rate": 1e-05, "weight_averaging": 0.3, "label_smoothing": 0.05, "flip": True,
    "shift": 0, "erase": 0.125, "target_accuracy": 1.0, "limit": 400, "test_split": 1 / 3,
    "image_size": 32, "max_bad": 0.0, "keep_leaks": True, "checkpoint_every": 0.1,
}  # fmt: skip


def parsed(command):
    return parser().parse_args(shlex.split(command)[1:])


def test_every_setting_and_model_is_tested():
    assert ("auto", *RECIPES) == MODELS
    assert [field.name for field in fields(Settings)] == list(OTHER)


# -- the command follows from the declaration ----------------------------------------------


@pytest.mark.parametrize("name", OTHER)
def test_the_command_that_is_reported_is_accepted_and_gives_the_same_settings(name):
    settings = Settings(**{name: OTHER[name]})
    command = run_command(settings, source="my images", data_dir="/d")
    arguments = parsed(command)
    assert (arguments.data, str(arguments.data_dir)) == ("my images", "/d")
    assert settings_of(arguments) == settings
    assert len(shlex.split(command)) in {7, 8}  # nothing but this setting


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "apparel run"),
        ({"model_name": "auto"}, "apparel run"),  # cnn
        # With a budget, leaving the model out would choose another.
        ({"model_name": "cnn", "budget": "10m"}, "apparel run --model cnn --budget 600s"),
        ({"model_name": "auto", "budget": 60}, "apparel run --budget 60s"),
        ({"model_name": "fast", "flip": True}, "apparel run --model fast --flip"),
        ({"model_name": "fast", "flip": False}, "apparel run --model fast --no-flip"),
    ],
)
def test_the_command_names_what_decides_the_run(settings, command):
    settings = Settings(**settings)
    assert run_command(settings, source="fashion-mnist") == command
    assert settings_of(parsed(command)) == settings


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [(name, np.int64(3), 3) for name in (*COUNTS, "seed", "shift")]
    + [(name, np.float32(0.5), 0.5) for name in (*SHARES, *TIMES, "learning_rate")]
    + [("flip", np.True_, True), ("budget", "1.5h", 5400.0)],
)
def test_values_become_plain_ones(name, given, kept):
    value = getattr(Settings(**{name: given}), name)
    assert (value, type(value)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in COUNTS for value in (0, 1.5, "3", True, float("nan"))]
    + [(name, value) for name in SHARES for value in (-0.1, 1.1, float("nan"), "0.1", True)]
    + [(name, value) for name in TIMES for value in (0, float("inf"), "60", "0s", True)]
    + [(name, value) for name in ("validation_split", "test_split") for value in (0, 1, "0.1")]
    + [("label_smoothing", value) for value in (-0.1, 1.0, float("nan"), True)]
    + [("learning_rate", value) for value in (0, -1e-3, float("nan"), 1j)]
    + [("shift", value) for value in (-1, 9, 1.5)]
    + [("seed", value) for value in (None, -1, 2**32, 0.5, False)]
    + [("dtype", value) for value in (None, "float16", 32)]
    + [("flip", "no"), ("keep_leaks", None), ("model_name", "resnet")],
)  # fmt: skip
def test_a_setting_outside_its_range_is_named_with_what_was_given(name, value):
    with pytest.raises(UsageError) as caught:
        Settings(**{name: value})
    assert str(caught.value).startswith(f"{name} must ")
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, 1) for name in COUNTS]
    + [(name, value) for name in SHARES for value in (0, 1)]
    + [("dtype", value) for value in DTYPES]
    + [("budget", 1e-9), ("seed", 0), ("seed", 2**32 - 1), ("limit", None), ("shift", 0),
       ("validation_split", 1e-9), ("learning_rate", 1e-9), ("label_smoothing", 0),
       ("label_smoothing", 0.99), ("shift", 8)],
)  # fmt: skip
def test_a_setting_at_the_edge_of_its_range_is_taken(name, value):
    assert getattr(Settings(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 3, "budget": 60}, "epochs and budget were both given"),
        ({"patience": 3, "weight_averaging": 0.1}, "patience keeps the weights of one epoch"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Settings(**settings)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("10m", 600), ("1h", 3600), ("1.5h", 5400), (" 0.5m ", 30), ("1e2s", 100)],
)
def test_a_time_has_a_unit(text, seconds):
    assert parse_time("budget", text) == seconds


@pytest.mark.parametrize("text", ["", "s", "60", "10 min", "0s", "-1m", "nans", "infh", "m10"])
def test_another_time_is_refused(text):
    with pytest.raises(UsageError, match="budget must be a time above 0 with its unit, but is"):
        parse_time("budget", text)


def test_a_plan_says_what_was_chosen():
    plan = Plan(
        model_name="fast", width=32, images_per_second=6123.4, passes=5.04, seconds=57,
        validation_seconds=2,
    )  # fmt: skip
    assert str(plan) == (
        "this machine trains fast at width 32 on about 6,123 images a second, 5.0 passes over "
        "the training images in 57 s"
    )
