"""Records refuse parts that do not fit, and know what follows from them."""

import numpy as np
import pytest

from apparel.core.errors import DataError
from apparel.core.records import Dataset, History
from apparel.evaluation.metrics import evaluate


def dataset(**changes):
    parts = {
        "train_images": np.zeros((4, 5, 6, 1), np.uint8),
        "train_labels": np.array([0, 1, 2, 0]),
        "test_images": np.zeros((2, 5, 6, 1), np.uint8),
        "test_labels": np.array([2, 0]),
        "class_names": ("a", "b", "c"),
        "train_digests": np.zeros((4, 2), np.uint64),
        "test_digests": np.zeros((2, 2), np.uint64),
        "train_keys": np.zeros(4, np.uint64),
        "test_keys": np.zeros(2, np.uint64),
        "sha256": "0",
        "test_sha256": "1",
        "source": "made up",
    }
    return Dataset(**(parts | changes))


def test_a_dataset_knows_its_classes_and_image_shape():
    assert dataset().n_classes == 3
    assert dataset().img_shape == (5, 6, 1)
    assert dataset().origin == {"source": "made up", "sha256": "0", "test_sha256": "1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((4, 5, 6, 1))}, "train images must be uint8 .* float64"),
        ({"train_labels": np.array([0, 1, 2])}, r"train has 4 images, but labels of shape \(3,\)"),
        ({"train_labels": np.array([0, 1, 3, 0])}, "train labels must lie in 0 to 2, .* 0 to 3"),
        ({"test_labels": np.array([-1, 1])}, "test labels must lie in 0 to 2, .* -1 to 1"),
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
    [((0.5, 0.3, 0.4, 0.3), 2), ((float("nan"), 0.4, float("nan")), 2), ((), None)],
)
def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss(losses, best):
    history = History(
        history={"loss": (1.0,) * len(losses), "val_loss": losses},
        seconds=(1.0,) * len(losses),
        dtype="float32",
    )
    assert history.best_epoch == best


def test_the_worst_mistakes_are_those_of_the_most_confidence():
    probabilities = np.array(
        [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55], [0.2, 0.8]], np.float32
    )
    result = evaluate(probabilities, np.array([0, 0, 0, 0, 0]), ("a", "b"))
    assert result.worst_mistakes(9) == [1, 4, 2, 3]
    assert result.worst_mistakes(2) == [1, 4]
    assert evaluate(probabilities, probabilities.argmax(axis=1), ("a", "b")).worst_mistakes(3) == []
