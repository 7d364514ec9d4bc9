"""Some images of a Dataset: those at positions, and a stratified limit."""

import numpy as np
import pytest

from apparel.core.errors import UsageError
from apparel.data.arrays import from_arrays
from apparel.data.selection import limit_images

NAMES = ("a", "b", "c")


def dataset(labels, n_test=None):
    """Images whose every pixel is their position, so that order can be read back."""
    labels = np.asarray(labels)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    return from_arrays(
        images, labels, images[:n_test], labels[:n_test], class_names=NAMES, source="made up"
    )


WHOLE = dataset(np.arange(30) % 3)


def test_a_limit_keeps_shares_and_order():
    part = limit_images(WHOLE, 9, 0)
    for images, labels in (
        (part.train_images, part.train_labels),
        (part.test_images, part.test_labels),
    ):
        positions = images[:, 0, 0, 0].astype(int)
        assert np.bincount(labels).tolist() == [3, 3, 3]
        assert (np.diff(positions) > 0).all()
        assert (positions % 3 == labels).all()
    assert part.class_names == WHOLE.class_names
    assert len({x.sha256 for x in (part, WHOLE, limit_images(WHOLE, 9, 1))}) == 3
    unequal = limit_images(dataset(np.repeat([0, 1, 2], [60, 30, 10])), 50, 3)
    assert np.bincount(unequal.train_labels).tolist() == [30, 15, 5]


def test_a_limit_near_or_above_the_size():
    assert len(limit_images(WHOLE, 29, 0).train_labels) == 29
    assert limit_images(WHOLE, 30, 0) is limit_images(WHOLE, 10**9, 0) is WHOLE
    uneven = dataset(np.arange(30) % 3, n_test=6)
    part = limit_images(uneven, 9, 0)
    assert len(part.train_labels) == 9
    np.testing.assert_array_equal(part.test_images, uneven.test_images)


@pytest.mark.parametrize(
    ("limit", "message"), [(2, "at least 3, one image a class, but is 2"), (3.5, "limit")]
)
def test_a_limit_that_makes_no_sense_is_refused(limit, message):
    with pytest.raises(UsageError, match=message):
        limit_images(WHOLE, limit, 0)
