"""Arrays to Dataset, stratified limits, and the real Fashion-MNIST."""

import subprocess
import sys

import numpy as np
import pytest

from apparel.core.errors import DataError, UsageError
from apparel.core.records import Dataset
from apparel.data import arrays, loading
from apparel.data.selection import limit_images
from apparel.data.sources import fashion_mnist

NAMES = ("a", "b", "c")


def small(per_class: int = 10, classes: int = 3) -> Dataset:
    """Images whose every pixel is their position, so that order can be read back."""
    n = per_class * classes
    images = np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    labels = np.arange(n) % classes
    return arrays.from_arrays(
        images, labels, images, labels, class_names=NAMES[:classes], source="made up"
    )


@pytest.fixture(scope="module")
def real() -> Dataset:
    return loading.load()


def test_import_is_light() -> None:
    code = (
        "import sys, apparel.data; "
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'rich', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_from_arrays_adds_the_channel_axis_and_widens_labels() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    made = arrays.from_arrays(
        images,
        np.array([0, 1], np.int16),
        images[:1],
        [1],
        class_names=["x", "y"],
        source="here",
    )
    assert made.train_images.shape == (2, 3, 4, 1)
    assert made.train_images[..., 0].tolist() == images.tolist()
    assert made.train_labels.dtype == np.int64
    assert made.train_labels.tolist() == [0, 1]
    assert made.test_images.shape == (1, 3, 4, 1)
    assert made.test_labels.tolist() == [1]
    assert made.class_names == ("x", "y")
    assert made.img_shape == (3, 4, 1)
    assert made.source == "here"


def test_from_arrays_keeps_colour() -> None:
    images = np.zeros((2, 3, 4, 3), np.uint8)
    made = arrays.from_arrays(images, [0, 1], images, [0, 1], class_names=["x", "y"], source="")
    assert made.img_shape == (3, 4, 3)


def test_hash_depends_on_content_only() -> None:
    images = np.zeros((4, 2, 6), np.uint8)

    def digest(images=images, labels=(0, 1, 0, 1), dtype=np.int64, names=("x", "y"), source="s"):
        labels = np.array(labels, dtype)
        made = arrays.from_arrays(images, labels, images, labels, class_names=names, source=source)
        return made.sha256

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


def test_only_fashion_mnists_accuracy_has_a_credible_limit() -> None:
    assert (
        fashion_mnist.highest_credible_accuracy(list(fashion_mnist.FASHION_MNIST_LABELS)) == 0.975
    )
    assert fashion_mnist.highest_credible_accuracy(["x", "y"]) == 1


def test_the_test_images_have_a_hash_of_their_own() -> None:
    images = np.zeros((4, 2, 6), np.uint8)

    def made(train_labels=(0, 1, 0, 1), test_labels=(0, 1, 0, 1)):
        return arrays.from_arrays(
            images, train_labels, images, test_labels, class_names=["x", "y"], source="s"
        )

    assert made(train_labels=(1, 1, 0, 1)).test_sha256 == made().test_sha256
    assert made(train_labels=(1, 1, 0, 1)).sha256 != made().sha256
    assert made(test_labels=(1, 1, 0, 1)).test_sha256 != made().test_sha256


BAD = {
    "float images": ({"train_images": np.zeros((2, 3, 3))}, "train images must be uint8"),
    "flat images": ({"test_images": np.zeros((2, 9), np.uint8)}, r"shape \(2, 9\)"),
    "empty images": ({"test_images": np.zeros((2, 0, 3), np.uint8)}, r"shape \(2, 0, 3\)"),
    "ragged": ({"train_images": [[1, 2], [3]]}, "do not form one array"),
    "other size": ({"test_images": np.zeros((2, 3, 4), np.uint8)}, r"\(3, 3, 1\) and \(3, 4, 1\)"),
    "float labels": ({"train_labels": [0.0, 1.0]}, "train labels must be whole numbers"),
    "bool labels": ({"train_labels": [True, False]}, "labels must be whole numbers"),
    "one-hot": ({"test_labels": [[0, 1], [1, 0]]}, r"shape \(2, 2\)"),
    "too few labels": ({"train_labels": [0]}, "2 images, but labels of shape"),
    "label too high": ({"test_labels": [0, 2]}, "0 to 1"),
    "label too low": ({"test_labels": [0, -1]}, "0 to 1"),
    "one string": ({"class_names": "ab"}, "sequence of non-empty strings"),
    "no names": ({"class_names": []}, "sequence of non-empty strings"),
    "numbers": ({"class_names": [1, 2]}, "sequence of non-empty strings"),
    "twice": ({"class_names": ["a", "a"]}, "all be different"),
}


@pytest.mark.parametrize(("wrong", "message"), BAD.values(), ids=BAD)
def test_from_arrays_rejects(wrong: dict, message: str) -> None:
    right = {
        "train_images": np.zeros((2, 3, 3), np.uint8),
        "train_labels": [0, 1],
        "test_images": np.zeros((2, 3, 3), np.uint8),
        "test_labels": [0, 1],
        "class_names": ["a", "b"],
        "source": "s",
    }
    with pytest.raises(DataError, match=message):
        arrays.from_arrays(**(right | wrong))


def test_limit_keeps_shares_and_order() -> None:
    whole = small()
    part = limit_images(whole, 9, 0)
    for images, labels in (
        (part.train_images, part.train_labels),
        (part.test_images, part.test_labels),
    ):
        positions = images[:, 0, 0, 0]
        assert np.bincount(labels).tolist() == [3, 3, 3]
        assert (np.diff(positions.astype(int)) > 0).all()
        # Each image kept its own label.
        assert (positions % 3 == labels).all()
    assert part.class_names == whole.class_names
    assert part.sha256 != whole.sha256


def test_limit_follows_unequal_shares() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    images = np.zeros((100, 2, 2), np.uint8)
    whole = arrays.from_arrays(images, labels, images, labels, class_names=NAMES, source="s")
    assert np.bincount(limit_images(whole, 50, 3).train_labels).tolist() == [30, 15, 5]


def test_limit_is_seeded() -> None:
    whole = small()
    assert limit_images(whole, 9, 1).sha256 == limit_images(whole, 9, 1).sha256
    assert limit_images(whole, 9, 1).sha256 != limit_images(whole, 9, 2).sha256


@pytest.mark.parametrize("limit", [28, 29])
def test_limit_just_below_the_size(limit: int) -> None:
    part = limit_images(small(), limit, 0)
    assert len(part.train_labels) == limit
    assert np.bincount(part.train_labels).min() >= 8


@pytest.mark.parametrize("limit", [30, 31, 10**9])
def test_limit_above_the_size_keeps_all(limit: int) -> None:
    whole = small()
    assert limit_images(whole, limit, 0) is whole


def test_limit_keeps_a_smaller_split_whole() -> None:
    whole = small()
    uneven = arrays.from_arrays(
        whole.train_images, whole.train_labels, whole.test_images[:6], whole.test_labels[:6],
        class_names=NAMES, source="s",
    )  # fmt: skip
    part = limit_images(uneven, 9, 0)
    assert len(part.train_labels) == 9
    assert part.test_images.tolist() == uneven.test_images.tolist()


@pytest.mark.parametrize(
    ("limit", "seed", "message"),
    [
        (2, 0, "at least 3, one image a class, but is 2"),
        (0, 0, "limit"),
        (3.5, 0, "limit"),
        (True, 0, "limit"),
        (9, -1, "seed"),
        (9, 2**32, "seed must be below"),
    ],
)
def test_limit_rejects(limit: int, seed: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        limit_images(small(), limit, seed)


def test_limit_needs_two_images_a_class() -> None:
    images, labels = np.zeros((9, 2, 2), np.uint8), [0, 0, 0, 0, 1, 2, 2, 2, 2]
    whole = arrays.from_arrays(images, labels, images, labels, class_names=NAMES, source="s")
    with pytest.raises(DataError, match="train images hold only one of class number 1"):
        limit_images(whole, 4, 0)


def test_unknown_source_names_the_known() -> None:
    with pytest.raises(UsageError, match=r"no data source 'mnist'.*fashion-mnist"):
        loading.load("mnist")


def test_real_data(real: Dataset) -> None:
    assert real.train_images.shape == (60000, 28, 28, 1)
    assert real.test_images.shape == (10000, 28, 28, 1)
    assert real.train_images.dtype == real.test_images.dtype == np.uint8
    assert real.train_labels.dtype == real.test_labels.dtype == np.int64
    assert np.bincount(real.train_labels).tolist() == [6000] * 10
    assert np.bincount(real.test_labels).tolist() == [1000] * 10
    assert real.class_names == fashion_mnist.FASHION_MNIST_LABELS
    # The first images of the published set: an ankle boot and a T-shirt; again an ankle boot.
    assert real.train_labels[:2].tolist() == [9, 0]
    assert real.test_labels[0] == 9
    # The mean pixel that people normalise with, 0.2860.
    assert real.train_images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert real.source == "fashion-mnist"


def test_real_data_limited() -> None:
    part = loading.load(limit=1000, seed=7)
    again = loading.load(limit=1000, seed=7)
    other = loading.load(limit=1000, seed=8)
    assert np.bincount(part.train_labels).tolist() == [100] * 10
    assert np.bincount(part.test_labels).tolist() == [100] * 10
    assert part.sha256 == again.sha256 != other.sha256
