"""Copies among images, planted where it is known which they are."""

import io

import numpy as np
import pytest
from PIL import Image

from apparel.data.quality.duplicates import find_duplicates


def mirrored(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


def moved(image: np.ndarray) -> np.ndarray:
    """One pixel down and to the right, with black behind."""
    copy = np.zeros_like(image)
    copy[1:, 1:] = image[:-1, :-1]
    return copy


def saved_again(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "JPEG")
    return np.asarray(Image.open(file))[..., None]


@pytest.mark.parametrize("copy", [np.copy, mirrored, moved, saved_again], ids=lambda f: f.__name__)
def test_planted_copies_are_found_and_little_else_is(clothes, copy) -> None:
    images = clothes[:1000]
    originals = np.arange(0, 500, 5)
    planted = np.stack([copy(image) for image in images[originals]])
    found = find_duplicates(np.concatenate([images, planted]))
    group = found.group[1000:]
    assert (group == found.group[originals]).mean() >= 0.97
    assert (found.second < 1000).mean() <= 0.1
    assert (found.second < 1000).sum() <= 10
    of_planted = found.second >= 1000
    assert found.exact[of_planted].all() == (copy is np.copy)
    assert found.mirrored[of_planted].mean() == pytest.approx(float(copy is mirrored), abs=0.15)
    assert (found.first < found.second).all()


def test_noise_and_single_images_have_no_copies() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 12, 15, 3), np.uint8)
    assert len(find_duplicates(noise).second) == 0
    assert find_duplicates(noise[:1]).group.tolist() == [0]


def test_blank_images_are_copies_only_of_equal_ones() -> None:
    blank = np.stack([np.full((9, 9, 1), grey, np.uint8) for grey in (10, 20, 10)])
    found = find_duplicates(blank)
    assert (found.first.tolist(), found.second.tolist()) == ([0], [2])
    assert len(found.alike) == 0
    real = np.random.default_rng(0).integers(0, 256, (5, 9, 9, 1), np.uint8)
    assert find_duplicates(np.concatenate([blank, real])).second.tolist() == [2]
