"""Early stopping against what it is told, and across processes."""

import numpy as np
import pytest

from apparel.training.callbacks.early_stopping import EarlyStopping


class Model:
    """Says its epoch as its weight."""

    def __init__(self):
        self.weights = [np.zeros(2)]
        self.stop_training = False

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def told(stopping, model, accuracies, first=0):
    """Tell it of epochs until it has enough; how many those were."""
    for epoch, accuracy in enumerate(accuracies, start=first):
        model.weights = [np.full(2, epoch + 1.0)]
        stopping.epoch_ends(model, epoch, {"val_accuracy": accuracy})
        if model.stop_training:
            return epoch + 1
    return None


@pytest.mark.parametrize(
    ("patience", "accuracies", "ends", "best"),
    [
        (1, [0.5, 0.6, 0.6, 0.9], 3, 2),
        (2, [0.5, 0.4, 0.6, 0.5, 0.6, 0.9], 5, 3),
        (3, [0.9, 0.8, 0.7], None, 1),
        (1, [float("nan"), float("nan")], 2, 1),
    ],
)
def test_it_waits_and_brings_the_best_epoch_back(patience, accuracies, ends, best):
    model, stopping = Model(), EarlyStopping(patience)
    assert stopping.best_epoch is None
    assert told(stopping, model, accuracies) == ends
    assert stopping.is_over == (ends is not None)
    assert stopping.best_epoch == best
    stopping.bring_back(model)
    np.testing.assert_array_equal(model.weights[0], best)


def test_in_another_process_a_worse_epoch_replaces_nothing():
    model, first = Model(), EarlyStopping(2)
    assert told(first, model, [0.5, 0.9]) is None
    second = EarlyStopping(2)
    second.restore(first.state())
    assert told(second, model, [0.7, 0.8], first=2) == 4
    second.bring_back(model)
    np.testing.assert_array_equal(model.weights[0], 2)
    assert second.best_epoch == 2


def test_before_the_first_epoch_there_is_nothing_to_bring_back():
    model, stopping = Model(), EarlyStopping(1)
    stopping.bring_back(model)
    again = EarlyStopping(1)
    again.restore(stopping.state())
    assert again.best_epoch is None
    np.testing.assert_array_equal(model.weights[0], 0)
