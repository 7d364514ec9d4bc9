"""Arrays → a Dataset with its hash, and the images and labels of a model's input."""

import numpy as np
import pytest

from apparel.core.errors import DataError
from apparel.core.image_array import StoredImages
from apparel.data.arrays import (
    as_unit_images,
    encode_labels,
    from_arrays,
    image_shape,
    is_prepared,
    scale_pixels,
    without_grey_axis,
)

SHAPE = (2, 3, 1)
PIXELS = np.array([0, 51, 102, 153, 204, 255] * 2, np.uint8)
SHARES = np.array([0, 0.2, 0.4, 0.6, 0.8, 1] * 2, np.float32)


# -- datasets ----------------------------------------------------------------------------


def test_a_dataset_has_the_channel_axis_and_wide_labels():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    made = from_arrays(
        images, np.array([0, 1], np.int16), images[:1], [1], class_names=["x", "y"], source="here"
    )
    assert made.train_images.shape == (2, 3, 4, 1)
    np.testing.assert_array_equal(made.train_images[..., 0], images)
    assert (made.train_labels.dtype, made.train_labels.tolist()) == (np.int64, [0, 1])
    assert made.test_images.shape == (1, 3, 4, 1)
    assert made.test_labels.tolist() == [1]
    assert (made.class_names, made.img_shape, made.source) == (("x", "y"), (3, 4, 1), "here")
    colour = np.zeros((2, 3, 4, 3), np.uint8)
    made = from_arrays(colour, [0, 1], colour, [0, 1], class_names=["x", "y"], source="")
    assert made.img_shape == (3, 4, 3)


def test_the_hash_depends_on_content_only():
    images = np.zeros((4, 2, 6), np.uint8)

    def digest(images=images, labels=(0, 1, 0, 1), dtype=np.int64, names=("x", "y"), source="s"):
        labels = np.array(labels, dtype)
        return from_arrays(images, labels, images, labels, class_names=names, source=source).sha256

    same = digest()
    assert len(same) == 64
    assert digest(source="elsewhere") == same
    assert digest(dtype=np.uint8) == same
    assert digest(images=np.asfortranarray(images)) == same
    brighter = images.copy()
    brighter[0, 0, 0] = 1
    others = [
        digest(images=brighter),
        digest(images=images.reshape(4, 6, 2)),
        digest(labels=(0, 1, 1, 0)),
        digest(names=("x", "z")),
    ]
    assert len({same, *others}) == 5
    one, other = (
        from_arrays(images, train, images, (0, 1, 0, 1), class_names=["x", "y"], source="s")
        for train in ((0, 1, 0, 1), (1, 1, 0, 1))
    )
    assert one.test_sha256 == other.test_sha256
    assert one.sha256 != other.sha256


BAD = {
    "float images": ({"train_images": np.zeros((2, 3, 3))}, "train images must be uint8"),
    "flat images": ({"test_images": np.zeros((2, 9), np.uint8)}, r"shape \(2, 9\)"),
    "ragged": ({"train_images": [[1, 2], [3]]}, "do not form one array"),
    "other size": ({"test_images": np.zeros((2, 3, 4), np.uint8)}, r"\(3, 3, 1\) and \(3, 4, 1\)"),
    "float labels": ({"train_labels": [0.0, 1.0]}, "train labels must be whole numbers"),
    "too few labels": ({"train_labels": [0]}, "2 images, but labels of shape"),
    "label too low": ({"test_labels": [0, -1]}, "0 to 1"),
    "one string": ({"class_names": "ab"}, "sequence of non-empty strings"),
    "twice": ({"class_names": ["a", "a"]}, "all be different"),
}


@pytest.mark.parametrize(("wrong", "message"), BAD.values(), ids=BAD)
def test_arrays_of_another_form_are_refused(wrong, message):
    right = {
        "train_images": np.zeros((2, 3, 3), np.uint8),
        "train_labels": [0, 1],
        "test_images": np.zeros((2, 3, 3), np.uint8),
        "test_labels": [0, 1],
        "class_names": ["a", "b"],
        "source": "s",
    }
    with pytest.raises(DataError, match=message):
        from_arrays(**(right | wrong))


# -- a model's input -----------------------------------------------------------------------


def test_pixels_are_scaled_to_the_unit_range_also_where_they_are_stored():
    scaled = scale_pixels(PIXELS)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, SHARES)
    stored = StoredImages(PIXELS.reshape(2, *SHAPE), np.array([1, 0]))
    scaled = scale_pixels(stored)
    assert isinstance(scaled, StoredImages)
    np.testing.assert_array_equal(scaled[:], SHARES.reshape(2, *SHAPE)[::-1])
    assert is_prepared(scaled, np.eye(2))
    assert without_grey_axis(stored) is stored


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 2, 3, 1), (2, 6)])
def test_images_of_any_layout_and_number_become_unit_images(shape):
    for values in (PIXELS, PIXELS.astype(np.int64), SHARES, SHARES.astype(np.float64)):
        images = as_unit_images(values.reshape(shape), SHAPE)
        assert (images.dtype, images.shape) == (np.float32, (2, *SHAPE))
        np.testing.assert_allclose(images.ravel(), SHARES, rtol=0, atol=1e-7)


def test_lists_and_colours_are_taken():
    assert as_unit_images([[[0, 0, 0], [0, 0, 255]]], SHAPE).ravel().tolist() == [0] * 5 + [1]
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
        (filled(1.5), "from 0.0 to 1.5, but pixels must lie in 0 to 1"),
        (filled(300, np.int64), "from 0 to 300, but pixels must lie in 0 to 255"),
        (filled(255.0), "X / 255"),
        (filled(1, bool), "must hold numbers, but holds bool"),
        (np.zeros((0, *SHAPE)), r"at least one image .* \(0, 2, 3, 1\)"),
        (np.zeros((2, 7)), r"has shape \(2, 7\)"),
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
        (np.array([True, False]), [False, True], [1, 0]),
    ],
)
def test_labels_of_any_kind_are_numbered_in_sorted_order(labels, classes, positions):
    found, numbers = encode_labels(labels, n_images=len(labels))
    assert found.tolist() == classes
    assert (numbers.dtype, numbers.tolist()) == (np.int64, positions)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], r"shape \(2,\), but has shape \(3,\)"),
        (["bag", "bag"], "a single class, .*bag"),
        ([None, 1], "cannot be put in order"),
    ],
)
def test_labels_that_cannot_be_trained_on_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        encode_labels(labels, n_images=2)
