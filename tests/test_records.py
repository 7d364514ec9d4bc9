from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from apparel.errors import DataError, UsageError
from apparel.records import Dataset, History, Prediction, Settings, whole_number


def test_the_defaults_are_the_documented_ones():
    assert asdict(Settings()) == {
        "model_name": "cnn", "epochs": 15, "batch_size": 128, "seed": 0, "dtype": "auto",
        "validation_split": 0.1, "learning_rate": 1e-3, "weight_averaging": 0.1, "limit": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["epochs", "batch_size", "seed", "limit"])
def test_numpy_whole_numbers_become_plain_ones(name):
    value = getattr(Settings(**{name: np.int64(3)}), name)
    assert (value, type(value)) == (3, int)


@pytest.mark.parametrize("name", ["validation_split", "learning_rate", "weight_averaging"])
def test_numpy_floats_become_plain_ones(name):
    value = getattr(Settings(**{name: np.float32(0.5)}), name)
    assert (value, type(value)) == (0.5, float)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("epochs", "batch_size", "limit")
     for value in (0, -1, 1.5, 2.0, "3", True, [1], float("nan"))]
    + [(name, None) for name in ("epochs", "batch_size", "seed", "dtype")]
    + [("seed", value) for value in (-1, 2**32, 0.5, False, "0")]
    + [("dtype", value) for value in ("float16", "bfloat16", "", 32)]
    + [("validation_split", value) for value in (0, 1, -0.1, 1.1, float("nan"), "0.1", None, True)]
    + [("weight_averaging", value) for value in (-0.1, 1.1, float("nan"), "0.1", None)]
    + [("learning_rate", value) for value in (0, -1e-3, float("nan"), "0.1", None, 1j, True)],
)  # fmt: skip
def test_a_setting_outside_its_range_is_named_with_what_was_given(name, value):
    with pytest.raises(UsageError) as caught:
        Settings(**{name: value})
    assert str(caught.value).startswith(f"{name} must ")
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [{"epochs": 1}, {"batch_size": 1}, {"seed": 0}, {"seed": 2**32 - 1}, {"limit": 1},
     {"limit": None}, {"dtype": "float32"}, {"dtype": "mixed_bfloat16"},
     {"validation_split": 1e-9}, {"learning_rate": 1e-9}, {"weight_averaging": 0},
     {"weight_averaging": 1}],
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


def dataset(**changes):
    parts = {
        "train_images": np.zeros((4, 5, 6, 1), np.uint8),
        "train_labels": np.array([0, 1, 2, 0]),
        "test_images": np.zeros((2, 5, 6, 1), np.uint8),
        "test_labels": np.array([2, 0]),
        "class_names": ("a", "b", "c"),
        "sha256": "0",
        "source": "made up",
    }
    return Dataset(**(parts | changes))


def test_a_dataset_knows_its_classes_and_image_shape():
    assert dataset().n_classes == 3
    assert dataset().img_shape == (5, 6, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((4, 5, 6, 1))}, "train images must be uint8 .* float64"),
        ({"test_images": np.zeros((2, 5, 6), np.uint8)}, r"test images .* shape \(2, 5, 6\)"),
        ({"train_labels": np.array([0, 1, 2])}, r"train has 4 images, but labels of shape \(3,\)"),
        ({"test_labels": np.eye(2, dtype=int)}, r"test has 2 images, but labels of shape \(2, 2\)"),
        ({"train_labels": np.array([0, 1, 3, 0])}, "train labels must lie in 0 to 2, .* 0 to 3"),
        ({"test_labels": np.array([-1, 1])}, "test labels must lie in 0 to 2, .* -1 to 1"),
        ({"class_names": ("a", "b")}, "train labels must lie in 0 to 1"),
        (
            {"test_images": np.zeros((0, 5, 6, 1), np.uint8), "test_labels": np.zeros(0, int)},
            "test has no images",
        ),
    ],
)
def test_a_dataset_whose_parts_do_not_fit_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        dataset(**changes)


@pytest.mark.parametrize(
    ("losses", "best"),
    [((0.5, 0.3, 0.4, 0.3), 2), ((0.2,), 1), ((float("nan"), 0.4, float("nan")), 2)],
)
def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss(losses, best):
    history = History(
        history={"loss": (1.0,) * len(losses), "val_loss": losses},
        seconds=(1.0,) * len(losses),
        dtype="float32",
    )
    assert history.best_epoch == best
    assert history.epochs == len(losses)
    assert not history.interrupted


@pytest.mark.parametrize("measures", [{}, {"loss": (1.0,)}, {"val_loss": ()}])
def test_without_validation_there_is_no_best_epoch(measures):
    assert History(history=measures, seconds=(), dtype="float32").best_epoch is None


def test_a_prediction_names_its_most_probable_class():
    prediction = Prediction(
        name="7", probabilities=np.array([0.125, 0.75, 0.125], np.float32), class_names=tuple("abc")
    )
    assert (prediction.predicted, prediction.label, prediction.confidence) == (1, "b", 0.75)
    assert type(prediction.confidence) is float
