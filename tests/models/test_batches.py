"""Batches for Keras: all rows, in order, and no tuning thread."""

from itertools import count, islice

import keras
import numpy as np
import pytest

from apparel.core import backend
from apparel.core.image_array import StoredImages
from apparel.models.batches import AHEAD, batched, prefetched
from tests.conftest import ON_TENSORFLOW

IMAGES = np.random.default_rng(0).random((7, 4, 5, 1), dtype=np.float32)
LABELS = np.eye(7, dtype=np.float32)


def passed_over(dataset):
    """The batches of one pass: on TensorFlow by iteration, otherwise by index."""
    if isinstance(dataset, keras.utils.PyDataset):
        return [dataset[k] for k in range(len(dataset))]
    return list(dataset)


@pytest.mark.parametrize("on_tensorflow", [pytest.param(True, marks=ON_TENSORFLOW), False])
def test_arrays_are_cut_in_order_for_any_number_of_passes(monkeypatch, on_tensorflow):
    monkeypatch.setattr(backend, "on_tensorflow", lambda: on_tensorflow)
    dataset = batched(IMAGES, LABELS, batch_size=3)
    for _ in range(2):
        batches = passed_over(dataset)
        assert [len(images) for images, _ in batches] == [3, 3, 1]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), IMAGES)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), LABELS)


@pytest.mark.parametrize("on_tensorflow", [pytest.param(True, marks=ON_TENSORFLOW), False])
def test_keras_scores_and_predicts_as_from_arrays(monkeypatch, on_tensorflow):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(7, "softmax")])
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    expected = model.predict(IMAGES, verbose=0)
    measures = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    monkeypatch.setattr(backend, "on_tensorflow", lambda: on_tensorflow)
    images = batched(IMAGES, batch_size=3)
    both = batched(IMAGES, LABELS, batch_size=3)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-6)
    assert model.evaluate(both, verbose=0, return_dict=True) == pytest.approx(measures, rel=1e-6)


@ON_TENSORFLOW
def test_prefetched_batches_keep_their_order_and_are_drawn_little_ahead():
    drawn = []

    def batches():
        for number in count():
            drawn.append(number)
            yield np.full((2 + number % 2, 3), number, np.float32), np.ones(2, np.float32)

    taken = list(islice(prefetched(batches()), 5))
    for number, (first, second) in enumerate(taken):
        np.testing.assert_array_equal(first, np.full((2 + number % 2, 3), number))
        np.testing.assert_array_equal(second, 1)
    # Those taken, those that wait, the one that is being drawn.
    assert len(drawn) <= 5 + AHEAD + 1


@ON_TENSORFLOW
def test_tensorflow_tunes_nothing():
    datasets = (
        batched(IMAGES, batch_size=3),
        batched(IMAGES, LABELS, batch_size=3),
        prefetched(iter([(IMAGES, LABELS)])),
    )
    for dataset in datasets:
        assert dataset.options().autotune.enabled is False


@pytest.mark.parametrize("on_tensorflow", [pytest.param(True, marks=ON_TENSORFLOW), False])
def test_stored_images_are_read_batch_by_batch(monkeypatch, on_tensorflow):
    monkeypatch.setattr(backend, "on_tensorflow", lambda: on_tensorflow)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 1), np.uint8)
    order = np.array([8, 2, 5, 0, 1, 7, 3])
    stored = StoredImages(pixels, order, changes=(lambda some: some / np.float32(255),))
    read = []
    stored = stored.changed(lambda some: (read.append(len(some)), some)[1])
    both = batched(stored, LABELS, batch_size=3)
    alone = batched(stored, batch_size=3)
    read.clear()
    for _ in range(2):
        batches = passed_over(both)
        np.testing.assert_array_equal(
            np.concatenate([x for x, _ in batches]), pixels[order] / np.float32(255)
        )
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), LABELS)
    assert max(read) == 3
    singles = [batch if on_tensorflow else batch[0] for batch in passed_over(alone)]
    np.testing.assert_array_equal(np.concatenate(singles), pixels[order] / np.float32(255))
    assert len(alone) == len(both) == 3
