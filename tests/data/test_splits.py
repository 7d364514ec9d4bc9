"""A Dataset → Splits, and the stratified draw that it shares with others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from apparel.core.records import Dataset
from apparel.core.settings import Settings
from apparel.data.arrays import one_hot
from apparel.data.splits import balancing_weights, prepare, split, stratified_split

SHAPE = (2, 3, 1)


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


def test_validation_images_of_the_source_are_taken():
    labels = np.repeat([0, 1], [6, 4])
    images, rows = np.zeros((10, *SHAPE), np.float32), one_hot(labels, 2)
    splits = split(
        images, rows, images[:1], rows[:1],
        settings=Settings(), manifest={}, validation=np.array([2, 9]),
    )  # fmt: skip
    assert splits.validation.tolist() == [2, 9]
    assert splits.training.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]
    assert splits.images_per_class["validation"] == [1, 1]


# -- class weights ---------------------------------------------------------------------


def test_weights_are_scikit_learns_balanced_ones():
    labels = np.repeat([0, 1, 2], [40, 11, 10])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balancing_weights(np.bincount(labels)), expected, rtol=1e-6)
    assert expected[labels].mean() == pytest.approx(1)
    # A class without images counts nothing.
    assert balancing_weights(np.array([40.0, 0.0, 10.0])).tolist() == [0.625, 0.0, 2.5]


@pytest.mark.parametrize("counts", [[30, 10], [5, 5, 5], [3, 0, 1], [0, 0], [7]])
def test_classes_of_up_to_three_times_the_size_have_no_weights(counts):
    assert balancing_weights(np.array(counts)) is None


def test_a_split_has_weights_of_its_training_images_alone():
    labels = np.repeat([0, 1], [40, 10])
    images = np.zeros((50, *SHAPE), np.float32)
    splits = split(
        images, one_hot(labels, 2), images[:2], one_hot(labels[:2], 2),
        settings=Settings(validation_split=0.5), manifest={},
    )  # fmt: skip
    assert splits.class_weights.tolist() == [0.625, 2.5]
    assert splits.manifest["class_weights"] == [0.625, 2.5]


# -- the draw --------------------------------------------------------------------------


def test_every_class_gives_the_same_share():
    labels = np.repeat([0, 1, 2], [100, 50, 30])
    training, validation = stratified_split(labels, share=0.1, seed=0)
    assert np.bincount(labels[validation]).tolist() == [10, 5, 3]
    assert np.bincount(labels[training]).tolist() == [90, 45, 27]


@pytest.mark.parametrize(
    ("size", "share", "held_out"),
    [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (3, 0.9, 2), (10, 0.25, 2), (10, 0.26, 3)],
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


@settings(deadline=None)
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
    np.testing.assert_array_equal(again[1], validation)


def test_other_seeds_draw_other_images_and_each_image_once():
    labels = np.zeros(10, int)
    drawn = [tuple(stratified_split(labels, share=0.2, seed=seed)[1]) for seed in range(60)]
    assert len(set(drawn)) > 20
    assert {i for some in drawn for i in some} == set(range(10))


@settings(deadline=None)
@given(
    members=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=20, max_size=80),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 1000),
)
def test_groups_stay_together(members, share, seed):
    labels, groups = np.array(members).T
    groups = groups + 10 * labels
    stay, held_out = stratified_split(labels, share=share, seed=seed, groups=groups)
    assert sorted([*stay, *held_out]) == list(range(len(labels)))
    for label in np.unique(labels):
        of_class = groups[labels == label]
        if len(np.unique(of_class)) == 1:
            continue  # it is divided all the same
        kept, taken = (set(groups[part][labels[part] == label]) for part in (stay, held_out))
        assert kept
        assert taken
        assert not kept & taken
        wanted = min(max(round(share * len(of_class)), 1), len(of_class) - 1)
        count = int((labels[held_out] == label).sum())
        assert count < wanted + int(np.bincount(of_class).max())
        assert count >= wanted or len(kept) == 1


def test_groups_of_one_change_nothing_and_a_single_group_is_divided():
    labels = np.arange(200) % 7
    alone = stratified_split(labels, share=0.2, seed=3)
    grouped = stratified_split(labels, share=0.2, seed=3, groups=np.arange(200))
    np.testing.assert_array_equal(grouped[1], alone[1])
    labels = np.array([0] * 10 + [1] * 10)
    groups = np.array([0] * 10 + list(range(1, 11)))
    _, held_out = stratified_split(labels, share=0.2, seed=0, groups=groups)
    assert (held_out < 10).sum() == (held_out >= 10).sum() == 2
