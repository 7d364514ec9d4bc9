"""Images that are blank or unlike the rest of a set."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from apparel.data.quality.unusual import find_unusual

N = 2000
NOISE = np.random.default_rng(0).integers(0, 256, (49, 28, 28, 1), dtype=np.uint8)


def of_photos(n):
    """Small pieces of two photos."""
    random = np.random.default_rng(1)
    photos = [photo.mean(axis=2)[::3, ::3] for photo in load_sample_images().images]
    corners = random.integers(0, [photos[0].shape[0] - 28, photos[0].shape[1] - 28], (n, 2))
    pieces = [photos[k % 2][y : y + 28, x : x + 28] for k, (y, x) in enumerate(corners.tolist())]
    return np.stack(pieces)[..., None].astype(np.uint8)


@pytest.mark.parametrize("kind", ["noise", "photos", "inverted"])
def test_strangers_among_clothes_come_first(clothes, kind):
    strangers = {"noise": NOISE[:8], "photos": of_photos(8), "inverted": 255 - clothes[-8:]}[kind]
    found = find_unusual(np.concatenate([strangers, clothes]))
    assert (found.positions[:7] < 8).all()
    assert len(found.positions) <= 8 + 0.005 * N
    assert not len(found.blank)


def test_a_group_of_images_belongs_to_the_set(clothes):
    shoes = np.random.default_rng(2).permutation(clothes[:200])
    found = find_unusual(np.concatenate([clothes, 255 - shoes]))
    assert len(found.positions) <= 0.005 * N


def test_a_copy_of_a_stranger_makes_it_no_less_strange(clothes):
    found = find_unusual(np.concatenate([clothes, np.repeat(NOISE[:1], 3, axis=0)]))
    assert set(found.positions[:3].tolist()) == {N, N + 1, N + 2}


def test_images_of_one_colour_are_blank_and_nothing_else():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (100, 9, 12, 3), dtype=np.uint8)
    images[3] = 0
    images[5] = 255
    images[7] = (200, 30, 90)
    images[9] = 100 + random.integers(-2, 3, (9, 12, 3))
    images[11] = 100 + random.integers(-5, 6, (9, 12, 3))
    images[13, ..., 0] = 7
    found = find_unusual(images)
    assert found.blank.tolist() == [3, 5, 7, 9]
    assert 11 in found.positions
    assert not set(found.blank) & set(found.positions)


@pytest.mark.parametrize("n", [1, 49])
def test_of_a_few_images_none_is_unlike_the_rest(n):
    images = NOISE[:n].copy()
    images[0] = 9
    found = find_unusual(images)
    assert found.blank.tolist() == [0]
    assert found.positions.tolist() == []


def test_equal_images_are_alike_however_the_processor_rounds():
    for n in (50, 60, 77, 200):
        assert not len(find_unusual(np.repeat(NOISE[:1], n, axis=0)).positions)
