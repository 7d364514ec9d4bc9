"""Images that are quickly learnt, and what stands in for parts of a training."""

import time

import numpy as np
import pytest

from apparel.core.records import Splits

N_CLASSES, SHAPE = 3, (8, 9, 1)


def made_images(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] of three classes that differ in brightness and layout, and their labels."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % N_CLASSES
    pixels = random.integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    pixels[labels == 1] //= 2
    pixels[labels == 2, :, 5:] = 255
    return pixels / np.float32(255), labels


@pytest.fixture(scope="session")
def splits() -> Splits:
    """540 training images, which make 9 batches of 60, 60 validation images and 30 test images."""
    images, labels = made_images(630)
    one_hot = np.eye(N_CLASSES, dtype=np.float32)[labels]
    order = np.random.default_rng(1).permutation(600)
    return Splits(
        train_images=images[:600],
        train_labels=one_hot[:600],
        test_images=images[600:],
        test_labels=one_hot[600:],
        training=np.sort(order[60:]),
        validation=np.sort(order[:60]),
        manifest={},
    )


class Variable:
    """A weight without a backend."""

    def __init__(self, value):
        self.value = np.array(value, np.float32)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype)

    def assign(self, value):
        self.value = np.array(value, np.float32)


class Model:
    """A model of one weight, as far as callbacks see it."""

    def __init__(self, value=0.0):
        self.trainable_variables = [Variable([value, value])]
        self.stop_training = False

    def get_weights(self):
        return [variable.value for variable in self.trainable_variables]

    def set_weights(self, weights):
        for variable, weight in zip(self.trainable_variables, weights, strict=True):
            variable.assign(weight)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now
