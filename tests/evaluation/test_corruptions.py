"""Each corruption on images for which the right result is known."""

import numpy as np
import pytest
from scipy import ndimage

from apparel.evaluation.corruptions import CORRUPTIONS, corrupt

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


def square(n=40, side=28, background=0.0):
    """Images with a bright square in the middle of a plain background."""
    images = np.full((n, side, side, 1), background, np.float32)
    images[:, side // 2 - 4 : side // 2 + 4, side // 2 - 4 : side // 2 + 4] = 1
    return images


def corrupted(name, images, strength):
    return corrupt(BY_NAME[name], images, strength, seed=0)


@pytest.mark.parametrize("shape", [(7, 28, 28, 1), (1, 9, 14, 3)])
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_images_stay_images_and_repeat_with_their_seed(corruption, shape):
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    kept = images.copy()
    for strength in corruption.strengths:
        found = corrupt(corruption, images, strength, seed=1)
        assert (found.shape, found.dtype) == (shape, np.float32)
        assert 0 <= found.min() <= found.max() <= 1
        np.testing.assert_array_equal(found, corrupt(corruption, images, strength, seed=1))
    np.testing.assert_array_equal(images, kept)
    assert not np.array_equal(found, images)


def test_noise_has_the_deviation_asked_for():
    images = np.full((100, 28, 28, 1), 0.5, np.float32)
    noise = corrupted("noise", images, 0.1) - images
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.002)


def test_blur_is_scipys_of_each_image():
    images = square(n=2)
    expected = [ndimage.gaussian_filter(image[..., 0], 1.0, mode="nearest") for image in images]
    np.testing.assert_allclose(corrupted("blur", images, 1.0)[..., 0], expected, atol=1e-6)


@pytest.mark.parametrize(("side", "distance"), [(28, 3), (56, 6)])
def test_shifts_go_in_all_eight_directions_and_fill_in_the_corners_colour(side, distance):
    moved = corrupted("shift", square(n=400, side=side, background=0.25), 3)
    assert set(np.unique(moved)) == {np.float32(0.25), np.float32(1)}
    found = set()
    for image in moved[..., 0]:
        rows, columns = np.nonzero(image == 1)
        assert len(rows) == 64
        found.add((rows.min() - side // 2 + 4, columns.min() - side // 2 + 4))
    by = (-distance, 0, distance)
    assert found == {(y, x) for y in by for x in by if y or x}


def test_a_quarter_turn_is_numpys_one_way_or_the_other():
    images = np.random.default_rng(0).random((20, 9, 9, 1), dtype=np.float32)
    images[:, 0, 0] = 0
    ways = [
        [np.allclose(a, np.rot90(b, k), atol=1e-5) for k in (1, 3)]
        for a, b in zip(corrupted("rotation", images, 90), images, strict=True)
    ]
    assert {tuple(way) for way in ways} == {(True, False), (False, True)}


def test_shrinking_halves_a_square_about_the_centre():
    small = corrupted("shrinking", square(n=1, background=0.2), 0.5)[0, ..., 0]
    np.testing.assert_allclose(small[12:16, 12:16], 1, atol=1e-6)
    np.testing.assert_allclose(small, small[::-1, ::-1], atol=1e-6)
    assert small[:11].max() == small[0, 0] == np.float32(0.2)


def test_brightness_and_contrast_follow_their_formulas():
    images = np.random.default_rng(0).random((3, 8, 8, 3), dtype=np.float32)
    bright = corrupted("brightness", images, 0.3)
    np.testing.assert_allclose(bright, np.minimum(images + 0.3, 1), atol=1e-6)
    pale = corrupted("contrast", images, 0.7)
    for image, result in zip(images, pale, strict=True):
        np.testing.assert_allclose(result, image.mean() + 0.3 * (image - image.mean()), atol=1e-6)


def test_a_grey_square_covers_another_place_of_each_image():
    images = np.ones((50, 20, 20, 1), np.float32)
    covered = corrupted("occlusion", images, 0.25) == np.float32(0.5)
    assert (covered.sum(axis=(1, 2, 3)) == 25).all()
    corners = {(rows.min(), cols.min()) for rows, cols, _ in map(np.nonzero, covered)}
    assert len(corners) > 30
