"""What a user may decide, and what is said of what makes no sense."""

from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from apparel.core.errors import UsageError
from apparel.core.settings import Plan, Settings
from apparel.core.validation import parse_time, whole_number


def test_the_defaults_are_the_documented_ones():
    assert asdict(Settings()) == {
        "model_name": "cnn", "width": None, "epochs": None, "budget": None, "patience": None,
        "batch_size": None, "seed": 0, "dtype": "auto", "validation_split": 0.1,
        "learning_rate": None, "weight_averaging": None, "label_smoothing": None,
        "flip": None, "shift": None, "erase": None,
            "target_accuracy": 0.97, "limit": None, "test_split": 0.2, "image_size": None,
            "max_bad": 0.05, "keep_leaks": False, "checkpoint_every": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["width", "epochs", "patience", "batch_size", "seed", "limit"])
def test_numpy_whole_numbers_become_plain_ones(name):
    value = getattr(Settings(**{name: np.int64(3)}), name)
    assert (value, type(value)) == (3, int)


@pytest.mark.parametrize(
    "name", ["validation_split", "learning_rate", "weight_averaging", "budget"]
)
def test_numpy_floats_become_plain_ones(name):
    value = getattr(Settings(**{name: np.float32(0.5)}), name)
    assert (value, type(value)) == (0.5, float)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("width", "epochs", "patience", "batch_size", "limit")
     for value in (0, -1, 1.5, 2.0, "3", True, [1], float("nan"))]
    + [(name, None) for name in ("seed", "dtype")]
    + [("budget", value) for value in (0, -1, float("nan"), float("inf"), "60s", True)]
    + [("seed", value) for value in (-1, 2**32, 0.5, False, "0")]
    + [("dtype", value) for value in ("float16", "bfloat16", "", 32)]
    + [("validation_split", value) for value in (0, 1, -0.1, 1.1, float("nan"), "0.1", True)]
    + [("weight_averaging", value) for value in (-0.1, 1.1, float("nan"), "0.1", True)]
    + [("label_smoothing", value) for value in (-0.1, 1.0, 1.1, float("nan"), "0.1", True)]
    + [("shift", value) for value in (-1, 9, 1.5, "1", True)]
    + [("erase", value) for value in (-0.1, 1.1, float("nan"), "0.1", True)]
    + [("learning_rate", value) for value in (0, -1e-3, float("nan"), "0.1", 1j, True)],
)  # fmt: skip
def test_a_setting_outside_its_range_is_named_with_what_was_given(name, value):
    with pytest.raises(UsageError) as caught:
        Settings(**{name: value})
    assert str(caught.value).startswith(f"{name} must ")
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [{"epochs": 1}, {"batch_size": 1}, {"width": 1}, {"patience": 1}, {"budget": 1e-9},
     {"seed": 0}, {"seed": 2**32 - 1}, {"limit": 1},
     {"limit": None}, {"dtype": "float32"}, {"dtype": "mixed_bfloat16"},
     {"validation_split": 1e-9}, {"learning_rate": 1e-9}, {"weight_averaging": 0},
     {"weight_averaging": 1}, {"label_smoothing": 0}, {"label_smoothing": 0.99}, {"shift": 0},
     {"shift": 8}, {"erase": 0}, {"erase": 1}],
)  # fmt: skip
def test_a_setting_at_the_edge_of_its_range_is_taken(setting):
    ((name, value),) = setting.items()
    assert getattr(Settings(**setting), name) == value


def test_records_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().epochs = 3


@pytest.mark.parametrize(("value", "minimum"), [(0, 0), (7, 7), (np.uint8(9), 1)])
def test_a_whole_number_at_or_above_the_minimum_is_given_back(value, minimum):
    number = whole_number("n", value, minimum=minimum)
    assert (number, type(number)) == (value, int)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("10m", 600), ("1h", 3600), ("1.5h", 5400), (" 0.5m ", 30), ("1e2s", 100)],
)
def test_a_budget_is_a_time_with_its_unit(text, seconds):
    assert parse_time("budget", text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "60", "10 min", "0s", "-1m", "nans", "infh", "1d", "m10"]
)
def test_another_budget_is_refused(text):
    with pytest.raises(UsageError, match="budget must be a time above 0 with its unit, but is"):
        parse_time("budget", text)


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


def test_auto_is_the_small_cnn_unless_there_is_a_budget():
    assert Settings(model_name="auto").model_name == "cnn"
    assert Settings(model_name="auto", budget=60).model_name == "auto"


def test_a_plan_says_what_was_chosen():
    plan = Plan(
        model_name="fast", width=32, images_per_second=6123.4, passes=5.04, seconds=57,
        validation_seconds=2,
    )  # fmt: skip
    assert str(plan) == (
        "this machine trains fast at width 32 on about 6,123 images a second, 5.0 passes over "
        "the training images in 57 s"
    )
