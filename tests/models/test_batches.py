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


def taken(dataset):
    """The batches of one pass, each a tuple of arrays."""
    if isinstance(dataset, keras.utils.PyDataset):
        return [dataset[k] for k in range(len(dataset))]
    return [batch if isinstance(batch, tuple) else (batch,) for batch in dataset]


@pytest.mark.parametrize("on_tensorflow", [pytest.param(True, marks=ON_TENSORFLOW), False])
@pytest.mark.parametrize("stored", [True, False])
def test_rows_are_cut_in_order_for_any_number_of_passes(monkeypatch, on_tensorflow, stored):
    monkeypatch.setattr(backend, "on_tensorflow", lambda: on_tensorflow)
    images, read = IMAGES, []
    if stored:
        images = StoredImages(IMAGES[::-1], np.arange(7)[::-1])
        images = images.changed(lambda some: (read.append(len(some)), some)[1])
    read.clear()
    both, alone = batched(images, LABELS, batch_size=3), batched(images, batch_size=3)
    for _ in range(2):
        pairs, singles = list(map(taken, (both, alone)))
        assert [len(x) for x, _ in pairs] == [3, 3, 1]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in pairs]), IMAGES)
        np.testing.assert_array_equal(np.concatenate([y for _, y in pairs]), LABELS)
        np.testing.assert_array_equal(np.concatenate([x[0] for x in singles]), IMAGES)
    assert len(alone) == len(both) == 3
    assert max(read, default=3) == 3  # stored images are read batch by batch


@ON_TENSORFLOW
def test_prefetched_batches_keep_their_order_and_are_drawn_little_ahead():
    drawn = []

    def batches():
        for number in count():
            drawn.append(number)
            yield np.full((2 + number % 2, 3), number, np.float32), np.ones(2, np.float32)

    for number, (first, second) in enumerate(islice(prefetched(batches()), 5)):
        np.testing.assert_array_equal(first, np.full((2 + number % 2, 3), number))
        np.testing.assert_array_equal(second, 1)
    for dataset in (batched(IMAGES, LABELS, batch_size=3), prefetched(iter([(IMAGES, LABELS)]))):
        assert dataset.options().autotune.enabled is False
    # Those taken, those that wait, the one that is being drawn.
    assert len(drawn) <= 5 + AHEAD + 1
