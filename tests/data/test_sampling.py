"""Drawing a share of every class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apparel.data.splits import stratified_split


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
        largest = int(np.bincount(of_class).max())
        assert count < wanted + largest
        assert count >= wanted or len(kept) == 1


def test_groups_of_one_change_nothing():
    labels = np.arange(200) % 7
    alone = stratified_split(labels, share=0.2, seed=3)
    grouped = stratified_split(labels, share=0.2, seed=3, groups=np.arange(200))
    for part, expected in zip(grouped, alone, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_a_class_of_one_group_is_divided():
    labels = np.array([0] * 10 + [1] * 10)
    groups = np.array([0] * 10 + list(range(1, 11)))
    _, held_out = stratified_split(labels, share=0.2, seed=0, groups=groups)
    assert (held_out < 10).sum() == (held_out >= 10).sum() == 2
