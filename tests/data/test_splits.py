"""A Dataset → Splits; test, validation and limited images are drawn by their content."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binom
from sklearn.utils.class_weight import compute_class_weight

from apparel.core.image_array import content_keys
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.arrays import from_arrays, one_hot
from apparel.data.splits import balancing_weights, draw_number, draw_share, prepare, split

RANDOM = np.random.default_rng(0)
KEYS = RANDOM.integers(0, 2**64, 10_000, np.uint64)
LABELS = np.arange(10_000) % 10
SHAPE = (2, 3, 1)


def test_a_dataset_becomes_scaled_images_and_one_hot_labels():
    images = np.arange(20 * 6, dtype=np.uint8).reshape(20, *SHAPE)
    labels = np.repeat([0, 1], [14, 6])
    dataset = from_arrays(
        images, labels, images[:3], [1, 0, 1], class_names=["a", "b", "c"], source="made up"
    )
    splits = prepare(dataset, Settings(validation_split=0.2, split_seed=3))
    np.testing.assert_array_equal(splits.train_images, (images / 255).astype(np.float32))
    np.testing.assert_array_equal(splits.test_images, (images[:3] / 255).astype(np.float32))
    assert splits.train_images.dtype == splits.train_labels.dtype == np.float32
    assert splits.test_labels.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert splits.train_labels.argmax(axis=1).tolist() == labels.tolist()
    drawn = draw_share(dataset.train_keys, labels, 0.2, 3, "validation")
    assert splits.training.tolist() == np.flatnonzero(~drawn).tolist()
    assert splits.validation.tolist() == np.flatnonzero(drawn).tolist()
    training, validation = (np.bincount(labels[d], minlength=3).tolist() for d in (~drawn, drawn))
    assert splits.manifest == {
        "source": "made up",
        "sha256": dataset.sha256,
        "test_sha256": dataset.test_sha256,
        "images_per_class": {"training": training, "validation": validation, "test": [1, 2, 0]},
        "class_weights": None,
    }


# -- class weights ---------------------------------------------------------------------


def test_weights_are_scikit_learns_balanced_ones_where_classes_differ_much():
    labels = np.repeat([0, 1, 2], [40, 11, 10])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balancing_weights(np.bincount(labels)), expected, rtol=1e-6)
    assert expected[labels].mean() == pytest.approx(1)
    # A class without images counts nothing.
    assert balancing_weights(np.array([40.0, 0.0, 10.0])).tolist() == [0.625, 0.0, 2.5]
    for counts in ([30, 10], [3, 0, 1], [0, 0]):
        assert balancing_weights(np.array(counts)) is None


def test_a_split_has_weights_of_its_training_images_alone():
    labels = np.repeat([0, 1], [40, 10])
    images = np.zeros((50, *SHAPE), np.float32)
    splits = split(
        images, one_hot(labels, 2), images[:2], one_hot(labels[:2], 2),
        settings=Settings(), manifest={}, validation=np.arange(0, 50, 2),
    )  # fmt: skip
    assert splits.validation.tolist() == list(range(0, 50, 2))  # those of the source
    assert splits.training.tolist() == list(range(1, 50, 2))
    assert splits.images_per_class["validation"] == [20, 5]
    assert splits.class_weights.tolist() == [0.625, 2.5]
    assert splits.manifest["class_weights"] == [0.625, 2.5]


# -- the draw --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty photos a class of 80 x 80 pixels, in three classes."""
    for name in ("a", "b", "c"):
        for i in range(60):
            save(tmp_path / "photos" / name / f"{i}.png", side=80)
    return tmp_path / "photos"


def save(path: Path, *, side: int, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, (side, side, channels), np.uint8)
    Image.fromarray(pixels.squeeze()).save(path)


def places(folder: Path, **settings) -> dict[str, str]:
    """Name of each file → its split."""
    dataset = loading.load(folder, **settings)
    validation = prepare(dataset, Settings()).validation
    split = dict.fromkeys(dataset.files.train, "training")
    split |= dict.fromkeys(dataset.files.test, "test")
    return split | {dataset.files.train[i]: "validation" for i in validation}


@pytest.mark.parametrize("share", [0.1, 0.7])
def test_the_share_is_the_one_asked_for_whatever_other_images_there_are(share) -> None:
    low, high = binom.interval(0.999, len(KEYS), share)
    drawn = draw_share(KEYS, LABELS, share, 0, "test")
    assert low <= drawn.sum() <= high
    counts = np.bincount(LABELS[drawn])
    low, high = binom.interval(0.9999, 1000, share)
    assert ((low <= counts) & (counts <= high)).all()
    # Other images change no draw.
    part = draw_share(KEYS[:6000], LABELS[:6000], share, 0, "test")
    np.testing.assert_array_equal(drawn[:6000], part)


def test_draws_for_other_purposes_and_by_other_seeds_are_independent() -> None:
    draws = [
        draw_share(KEYS, LABELS, 0.5, seed, purpose)
        for seed, purpose in [(0, "test"), (0, "validation"), (1, "test"), (1, "validation")]
    ]
    low, high = binom.interval(0.9999, len(KEYS), 0.25)
    for i, first in enumerate(draws):
        for second in draws[:i]:
            assert low <= (first & second).sum() <= high


@settings(deadline=None)
@given(
    members=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_class_gives_and_keeps_an_image_if_it_can(members, share, seed) -> None:
    labels, contents = np.array(members).T
    keys = KEYS[contents]
    drawn = draw_share(keys, labels, share, seed, "test")
    for label in np.unique(labels):
        of_class = labels == label
        if of_class.sum() > 1:
            assert 0 < drawn[of_class].sum() < of_class.sum()
        else:
            assert not drawn[of_class].any()
        if len(set(keys[of_class])) > 1:  # equal images stay together
            assert not set(keys[of_class & drawn]) & set(keys[of_class & ~drawn])


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(lambda c: sum(c) > 9),
    data=st.data(),
)
def test_a_limit_keeps_the_shares_of_classes(counts, data) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    number = data.draw(st.integers(np.count_nonzero(counts), sum(counts)))
    kept = draw_number(KEYS[: len(labels)], labels, number, 0)
    assert len(kept) == number
    assert (np.diff(kept) > 0).all()
    found = np.bincount(labels[kept], minlength=len(counts))
    assert (found >= (np.array(counts) > 0)).all()
    exact = number * np.array(counts) / sum(counts)
    if (exact[np.array(counts) > 0] >= 1).all():
        assert (abs(found - exact) < 1).all()


def test_a_smaller_limit_keeps_some_of_the_same_images() -> None:
    small, large = (set(draw_number(KEYS, LABELS, n, 0)) for n in (1000, 2000))
    assert small < large
    assert set(draw_number(KEYS, LABELS, 1000, 1)) != small


def test_adding_images_moves_no_other_and_copies_are_on_one_side(folder: Path) -> None:
    before = places(folder)
    assert set(before.values()) == {"training", "validation", "test"}
    for i in range(60, 100):
        save(folder / "a" / f"{i}.png", side=30)
    save(folder / "d" / "0.png", side=120, channels=1)
    save(folder / "d" / "1.png", side=120, channels=1)
    after = places(folder)
    assert len(after) == len(before) + 42
    assert before.items() <= after.items()
    for path in sorted(folder.glob("b/*.png")):
        shutil.copy(path, folder / "c" / f"copy of {path.name}")
    found = places(folder)
    assert before.items() <= found.items()
    assert all(found[f"c/copy of {i}.png"] == found[f"b/{i}.png"] for i in range(60))


def test_the_size_that_images_are_brought_to_moves_none(folder: Path) -> None:
    for i in range(30):
        save(folder / "a" / f"small {i}.png", side=20)
    assert places(folder, image_size=16) == places(folder, image_size=40) == places(folder)


def test_grey_pixels_in_one_channel_and_in_three_have_the_same_key() -> None:
    grey = RANDOM.integers(0, 256, (5, 6, 7, 1), np.uint8)
    colour = RANDOM.integers(0, 256, (2, 6, 7, 3), np.uint8)
    mixed = np.concatenate([np.repeat(grey, 3, axis=-1), colour])
    np.testing.assert_array_equal(content_keys(mixed)[:5], content_keys(grey))
    assert len(set(content_keys(mixed).tolist())) == 7
