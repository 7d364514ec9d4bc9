"""From a source's own order to a Dataset that does not depend on it."""

from dataclasses import replace

import numpy as np
import pytest

from apparel.core.errors import DataError
from apparel.core.image_array import StoredImages, content_keys
from apparel.data import assembly
from apparel.data.assembly import LabelledImages, assemble, join
from apparel.data.splits import draw_share

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 1), np.uint8)


def found(labels, splits=None, images=None) -> LabelledImages:
    images = PIXELS[: len(labels)] if images is None else images
    return LabelledImages(
        images=images,
        labels=labels,
        splits=splits,
        names=[f"image {i}" for i in range(len(labels))],
        unreadable={"broken": "why"},
        sizes={(3, 4): len(labels)},
    )


def assembled(*args, test_split=0.25, split_seed=0, **kwargs):
    return assemble(
        found(*args, **kwargs), source="made", test_split=test_split, split_seed=split_seed
    )


def permuted(whole: LabelledImages, order: np.ndarray) -> LabelledImages:
    return replace(
        whole,
        images=whole.images[order],
        labels=[whole.labels[i] for i in order],
        splits=whole.splits and [whole.splits[i] for i in order],
        names=[whole.names[i] for i in order],
    )


@pytest.mark.parametrize("splits", [None, (["train"] * 3 + ["test"]) * 10])
def test_the_order_of_a_source_makes_no_difference(splits) -> None:
    images = PIXELS[np.arange(40) // 2]  # each one twice, with two labels
    whole = found(["a", "b", "c", "a", "c"] * 8, splits, images)
    order = np.random.default_rng(1).permutation(40)
    first, second = (
        assemble(x, source="made", test_split=0.25, split_seed=3)
        for x in (whole, permuted(whole, order))
    )
    assert first.sha256 == second.sha256
    assert first.test_sha256 == second.test_sha256
    np.testing.assert_array_equal(first.train_images, second.train_images)
    np.testing.assert_array_equal(first.test_labels, second.test_labels)
    assert first.files.train == second.files.train


def test_every_image_keeps_its_label_and_name() -> None:
    labels = ["a", "b", "c", "a"] * 10
    made = assembled(labels)
    names = [*made.files.train, *made.files.test]
    assert sorted(names) == sorted(f"image {i}" for i in range(40))
    images = np.concatenate([made.train_images, made.test_images])
    for name, image, label in zip(
        names, images, [*made.train_labels, *made.test_labels], strict=True
    ):
        position = int(name.removeprefix("image "))
        np.testing.assert_array_equal(image, PIXELS[position])
        assert made.class_names[label] == labels[position]
    assert made.files.unreadable == {"broken": "why"}


def test_test_images_are_drawn_by_the_split_seed() -> None:
    labels = ["a"] * 24 + ["b"] * 16
    made = assembled(labels)
    drawn = draw_share(content_keys(PIXELS), np.repeat([0, 1], [24, 16]), 0.25, 0, "test")
    assert set(made.files.test) == {f"image {i}" for i in np.flatnonzero(drawn)}
    assert set(made.test_labels) == set(made.train_labels) == {0, 1}
    assert made.validation is None
    assert assembled(labels, split_seed=1).files.test != made.files.test


def test_the_splits_of_a_source_are_kept() -> None:
    splits = (["train"] * 2 + ["validation", "test"]) * 10
    labels = ["a" if i % 3 else "b" for i in range(40)]
    made = assembled(labels, splits)
    assert len(made.test_labels) == 10
    assert {int(name[6:]) % 4 for name in made.files.test} == {3}
    assert {int(made.files.train[i][6:]) % 4 for i in made.validation} == {2}
    assert len(made.validation) == 10
    # Without test images, they are drawn from the others.
    made = assembled(labels, (["train"] * 3 + ["validation"]) * 10)
    assert len(made.validation) == 10
    assert {int(name[6:]) % 4 for name in made.files.test} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "2"], ("2", "9", "10")),
        (["b", "a", "10"], ("10", "a", "b")),
        (["👩‍🦰 T-shirt/top", "платье №1"], ("платье №1", "👩‍🦰 T-shirt/top")),  # Cyrillic is meant
    ],
)
def test_whole_numbers_are_in_numerical_order_and_words_in_alphabetical(labels, names) -> None:
    assert assembled(labels * 4).class_names == names


BAD = {
    "spaces": (["a", " b"], r"the label ' b' with stray spaces .* expected was 'b'"),
    "empty": (["a", ""], "the label ''"),
    "one": (["a", "a"], r"of 1 class \(a\), but at least two"),
    "single": (["a", "a", "b"], "the class 'b' has a single image"),
    "many": ([str(i) for i in range(1001)], "1,001 classes, but at most 1,000"),
    "long": (["a", "b" * 1001], "a label of 1,001 letters"),
    "escape": (["a", "a\x1b[2Jb"], r"'a\\x1b\[2Jb' with characters that no line can show"),
}


@pytest.mark.parametrize(("labels", "message"), BAD.values(), ids=BAD)
def test_bad_labels_are_refused(labels, message) -> None:
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    with pytest.raises(DataError, match=message) as refused:
        assembled(labels, images=images)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_missing_from_a_split_is_named(split) -> None:
    labels = ["a", "b", "c"] * 6
    splits = [("train", "validation", "test")[i // 3 % 3] for i in range(18)]
    kept = [i for i in range(18) if not (labels[i] == "c" and splits[i] == split)]
    with pytest.raises(DataError, match=f"no {split} images of 'c'"):
        assembled([labels[i] for i in kept], [splits[i] for i in kept])
    few = [i for i in range(18) if not (labels[i] == "c" and splits[i] == "validation")]
    made = assembled([labels[i] for i in few], [splits[i] for i in few])  # as `images.csv` has it
    assert np.bincount(made.train_labels[made.validation], minlength=3).tolist() == [2, 2, 0]
    with pytest.raises(DataError, match="no images to train on"):
        assembled(["a", "b"] * 4, ["validation", "validation", "test", "test"] * 2)


def test_parts_of_different_shape_do_not_join() -> None:
    parts = [found(["a"] * 4), found(["a"] * 4, images=np.zeros((4, 5, 5, 1), np.uint8))]
    with pytest.raises(DataError, match=r"different shapes, \[\(3, 4, 1\), \(5, 5, 1\)\]"):
        join(parts, splits=["train", "test"], source="made")
    joined = join([parts[0]] * 2, splits=["train", "test"], source="made")
    assert joined.splits == ["train"] * 4 + ["test"] * 4
    assert joined.sizes == {(3, 4): 8}


def test_many_images_are_left_where_they_are_and_read_a_part_at_a_time(monkeypatch) -> None:
    small = assembled(["a", "b"] * 20)
    monkeypatch.setattr(assembly, "LARGEST_IN_MEMORY", PIXELS.nbytes - 1)
    read, digests = [], assembly.digests

    def spy(images):
        read.append(images)
        return digests(images)

    monkeypatch.setattr(assembly, "digests", spy)
    monkeypatch.setattr("apparel.data.arrays.digests", spy)
    large = assembled(["a", "b"] * 20)
    assert [type(images) for images in read] == [StoredImages]
    assert isinstance(small.train_images, np.ndarray)
    assert isinstance(large.train_images, StoredImages)
    assert large.sha256 == small.sha256
    np.testing.assert_array_equal(large.train_images[:], small.train_images)
