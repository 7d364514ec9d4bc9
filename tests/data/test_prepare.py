import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from apparel.core.errors import DataError
from apparel.core.image_array import StoredImages
from apparel.core.records import Dataset
from apparel.core.settings import Settings
from apparel.data.arrays import (
    as_unit_images,
    encode_labels,
    image_shape,
    is_prepared,
    one_hot,
    scale_pixels,
    without_grey_axis,
)
from apparel.data.splits import balancing_weights, prepare, split, stratified_split

SHAPE = (2, 3, 1)
PIXELS = np.array([0, 51, 102, 153, 204, 255] * 2, np.uint8)
SHARES = np.array([0, 0.2, 0.4, 0.6, 0.8, 1] * 2, np.float32)


def test_a_dataset_becomes_scaled_images_and_one_hot_labels():
    images = np.arange(20 * 6, dtype=np.uint8).reshape(20, *SHAPE)
    labels = np.repeat([0, 1], [14, 6])
    dataset = Dataset(
        train_images=images,
        train_labels=labels,
        test_images=images[:3],
        test_labels=np.array([1, 0, 1]),
        class_names=("a", "b", "c"),
        train_digests=np.zeros((20, 2), np.uint64),
        test_digests=np.zeros((3, 2), np.uint64),
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
        "class_weights": None,
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
        (filled(np.inf), "to inf, but pixels must lie in 0 to 1"),
        (filled(1.5), "from 0.0 to 1.5, but pixels must lie in 0 to 1"),
        (filled(-0.1), "must lie in 0 to 1"),
        (filled(300, np.int64), "from 0 to 300, but pixels must lie in 0 to 255"),
        (filled(-1, np.int64), "from -1 to 0, but pixels must lie in 0 to 255"),
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


# -- class weights ---------------------------------------------------------------------


def test_weights_are_scikit_learns_balanced_ones():
    labels = np.repeat([0, 1, 2], [40, 11, 10])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balancing_weights(np.bincount(labels)), expected, rtol=1e-6)
    assert expected[labels].mean() == pytest.approx(1)


@pytest.mark.parametrize("counts", [[30, 10], [5, 5, 5], [3, 0, 1], [0, 0], [7]])
def test_classes_of_up_to_three_times_the_size_have_no_weights(counts):
    assert balancing_weights(np.array(counts)) is None


def test_a_class_without_images_counts_nothing():
    weights = balancing_weights(np.array([40.0, 0.0, 10.0]))
    assert weights.tolist() == [0.625, 0.0, 2.5]


def test_a_split_has_weights_of_its_training_images_alone():
    labels = np.repeat([0, 1], [40, 10])
    images = np.zeros((50, *SHAPE), np.float32)
    splits = split(
        images,
        one_hot(labels, 2),
        images[:2],
        one_hot(labels[:2], 2),
        settings=Settings(validation_split=0.5),
        manifest={},
    )
    assert splits.class_weights.tolist() == [0.625, 2.5]
    assert splits.manifest["class_weights"] == [0.625, 2.5]


def test_validation_images_of_the_source_are_taken():
    labels = np.repeat([0, 1], [6, 4])
    images = np.zeros((10, *SHAPE), np.float32)
    rows = one_hot(labels, 2)
    held_out = np.array([2, 9])
    splits = split(
        images, rows, images[:1], rows[:1], settings=Settings(), manifest={}, validation=held_out
    )
    assert splits.validation.tolist() == [2, 9]
    assert splits.training.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]
    assert splits.images_per_class["validation"] == [1, 1]


def test_stored_images_are_scaled_where_they_are_read():
    stored = StoredImages(PIXELS.reshape(2, *SHAPE), np.array([1, 0]))
    scaled = scale_pixels(stored)
    assert isinstance(scaled, StoredImages)
    np.testing.assert_array_equal(scaled[:], SHARES.reshape(2, *SHAPE)[::-1])
    assert is_prepared(scaled, np.eye(2))
    assert without_grey_axis(stored) is stored
