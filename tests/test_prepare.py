import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apparel.errors import DataError
from apparel.prepare import (
    as_unit_images,
    encode_labels,
    image_shape,
    one_hot,
    prepare,
    scale_pixels,
    stratified_split,
)
from apparel.records import Dataset
from apparel.settings import Settings

SHAPE = (2, 3, 1)
PIXELS = np.array([0, 51, 102, 153, 204, 255] * 2, np.uint8)
SHARES = np.array([0, 0.2, 0.4, 0.6, 0.8, 1] * 2, np.float32)


# -- splits ----------------------------------------------------------------------------


def test_every_class_gives_the_same_share():
    labels = np.repeat([0, 1, 2], [100, 50, 30])
    training, validation = stratified_split(labels, share=0.1, seed=0)
    assert np.bincount(labels[validation]).tolist() == [10, 5, 3]
    assert np.bincount(labels[training]).tolist() == [90, 45, 27]


@pytest.mark.parametrize(
    ("size", "share", "held_out"),
    [
        (1, 0.5, 0),
        (2, 0.01, 1),
        (2, 0.99, 1),
        (3, 0.9, 2),
        (10, 0.25, 2),
        (10, 0.26, 3),
        (4, 0.1, 1),
    ],
)
def test_a_small_class_keeps_one_image_and_gives_one_if_it_can(size, share, held_out):
    labels = np.repeat([0, 1], [size, 10])
    training, validation = stratified_split(labels, share=share, seed=0)
    assert (labels[validation] == 0).sum() == held_out
    assert (labels[training] == 0).sum() == size - held_out


def test_classes_of_single_images_give_none():
    training, validation = stratified_split(np.arange(4), share=0.5, seed=0)
    assert training.tolist() == [0, 1, 2, 3]
    assert validation.tolist() == []
    assert np.issubdtype(validation.dtype, np.integer)


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_split_puts_every_image_in_exactly_one_part(labels, share, seed):
    labels = np.array(labels)
    training, validation = stratified_split(labels, share=share, seed=seed)
    assert sorted([*training, *validation]) == list(range(len(labels)))
    assert (np.diff(training) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert set(labels[training]) == set(labels)
    again = stratified_split(labels, share=share, seed=seed)
    np.testing.assert_array_equal(again[0], training)
    np.testing.assert_array_equal(again[1], validation)


def test_another_seed_gives_another_split():
    labels = np.repeat([0, 1], 50)
    splits = {tuple(stratified_split(labels, share=0.2, seed=seed)[1]) for seed in range(5)}
    assert len(splits) == 5


def test_every_image_of_a_class_may_be_held_out():
    labels = np.zeros(10, int)
    seen = {i for seed in range(60) for i in stratified_split(labels, share=0.2, seed=seed)[1]}
    assert seen == set(range(10))


def test_a_dataset_becomes_scaled_images_and_one_hot_labels():
    images = np.arange(20 * 6, dtype=np.uint8).reshape(20, *SHAPE)
    labels = np.repeat([0, 1], [14, 6])
    dataset = Dataset(
        train_images=images,
        train_labels=labels,
        test_images=images[:3],
        test_labels=np.array([1, 0, 1]),
        class_names=("a", "b", "c"),
        sha256="abc",
        test_sha256="bcd",
        source="made up",
    )
    splits = prepare(dataset, Settings(validation_split=0.2, seed=3))
    np.testing.assert_array_equal(splits.train_images, (images / 255).astype(np.float32))
    np.testing.assert_array_equal(splits.test_images, (images[:3] / 255).astype(np.float32))
    assert splits.train_images.dtype == splits.train_labels.dtype == np.float32
    assert splits.test_labels.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert splits.train_labels.argmax(axis=1).tolist() == labels.tolist()
    expected = stratified_split(labels, share=0.2, seed=3)
    assert splits.training.tolist() == expected[0].tolist()
    assert splits.validation.tolist() == expected[1].tolist()
    assert splits.images_per_class["training"] == [11, 5, 0]
    assert splits.manifest == {
        "source": "made up",
        "sha256": "abc",
        "test_sha256": "bcd",
        "images_per_class": {"training": [11, 5, 0], "validation": [3, 1, 0], "test": [1, 2, 0]},
    }


def test_one_hot_rows_hold_a_single_one():
    rows = one_hot(np.array([2, 0, 1]), 4)
    assert rows.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert rows.dtype == np.float32


def test_pixels_are_scaled_to_the_unit_range():
    scaled = scale_pixels(PIXELS)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, SHARES)


# -- a user's arrays -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 2, 3, 1), (2, 6)])
@pytest.mark.parametrize(
    "values",
    [PIXELS, PIXELS.astype(np.int64), PIXELS.astype(np.uint16), SHARES, SHARES.astype(np.float64)],
    ids=lambda values: str(values.dtype),
)
def test_images_of_any_layout_and_number_become_unit_images(shape, values):
    images = as_unit_images(values.reshape(shape), SHAPE)
    assert images.dtype == np.float32
    assert images.shape == (2, *SHAPE)
    np.testing.assert_allclose(images.ravel(), SHARES, rtol=0, atol=1e-7)


def test_float16_images_and_lists_are_taken():
    halves = as_unit_images(np.full((1, *SHAPE), 0.5, np.float16), SHAPE)
    assert (halves.dtype, halves.max()) == (np.float32, 0.5)
    assert as_unit_images([[[0, 0, 0], [0, 0, 255]]], SHAPE).ravel().tolist() == [0] * 5 + [1]


def test_colour_images_keep_their_channels():
    flat = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 18)
    images = as_unit_images(flat, (2, 3, 3))
    np.testing.assert_array_equal(images, (flat / 255).astype(np.float32).reshape(2, 2, 3, 3))


def filled(value, dtype=np.float32):
    images = np.zeros((2, *SHAPE), dtype)
    images[1, 1, 1] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (filled(np.nan), "from nan to nan"),
        (filled(np.inf), "to inf, but must lie in 0 to 1"),
        (filled(1.5), "from 0.0 to 1.5, but must lie in 0 to 1"),
        (filled(-0.1), "must lie in 0 to 1"),
        (filled(300, np.int64), "from 0 to 300, but must lie in 0 to 255"),
        (filled(-1, np.int64), "from -1 to 0, but must lie in 0 to 255"),
        (filled(255.0), "X / 255"),
        (filled("x", object), "must hold numbers, but holds object"),
        (filled("x", "U1"), "must hold numbers, but holds <U1"),
        (filled(1, bool), "must hold numbers, but holds bool"),
        (filled(1, complex), "must hold numbers, but holds complex"),
        (np.zeros((0, *SHAPE)), r"at least one image .* \(0, 2, 3, 1\)"),
        (np.zeros((2, 3, 2)), r"shape \(2, 3, 1\), but has shape \(2, 3, 2\)"),
        (np.zeros((2, 2, 3, 3)), r"has shape \(2, 2, 3, 3\)"),
        (np.zeros((2, 7)), r"has shape \(2, 7\)"),
        (np.zeros(6), r"has shape \(6,\)"),
        (np.float32(0.5), r"has shape \(\)"),
    ],
)
def test_images_that_cannot_be_understood_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        as_unit_images(images, SHAPE)


@pytest.mark.parametrize(
    ("given", "shape"),
    [((5, 4, 3), (4, 3, 1)), ((5, 4, 3, 2), (4, 3, 2)), ((5, 784), (28, 28, 1)), ((), (28, 28, 1))],
)
def test_the_shape_of_one_image_is_read_from_an_array_that_tells(given, shape):
    assert image_shape(np.zeros(given), (28, 28, 1)) == shape


@pytest.mark.parametrize(
    ("labels", "classes", "positions"),
    [
        ([7, 3, 7, 5], [3, 5, 7], [2, 0, 2, 1]),
        (["shoe", "bag", "shoe"], ["bag", "shoe"], [1, 0, 1]),
        (np.array([True, False]), [False, True], [1, 0]),
        ([-1.5, 2.5], [-1.5, 2.5], [0, 1]),
    ],
)
def test_labels_of_any_kind_are_numbered_in_sorted_order(labels, classes, positions):
    found, numbers = encode_labels(labels, n_images=len(labels))
    assert found.tolist() == classes
    assert numbers.tolist() == positions
    assert numbers.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], r"shape \(2,\), but has shape \(3,\)"),
        ([[0, 1], [1, 0]], r"has shape \(2, 2\)"),
        (3, r"has shape \(\)"),
        (["bag", "bag"], "a single class, .*bag"),
        ([None, 1], "cannot be put in order"),
    ],
)
def test_labels_that_cannot_be_trained_on_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        encode_labels(labels, n_images=2)
