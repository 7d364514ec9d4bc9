"""Novelty scores: what they flag, and against an independent computation."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits

from apparel.core.errors import DataError
from apparel.core.records import Novelty
from apparel.data import loading
from apparel.data.splits import draw_share
from apparel.models import novelty
from apparel.models.novelty import fit, score

RANDOM = np.random.default_rng(0)
LEVELS = (0, 0.15, 0.4, 0.7, 0.9)
CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])


class Stored:
    """Images that can be read by their positions alone, as those of a large set."""

    def __init__(self, pixels):
        self._pixels = pixels
        self.shape = pixels.shape
        self.read = []

    def __len__(self):
        return len(self._pixels)

    def __getitem__(self, positions):
        assert isinstance(positions, np.ndarray)
        self.read.append(positions)
        return self._pixels[positions] / np.float32(255)


def unit(pixels):
    return pixels / np.float32(255)


@pytest.fixture(scope="module")
def clothes():
    return loading.load("fashion-mnist")


@pytest.fixture(scope="module")
def fitted(clothes):
    drawn = draw_share(clothes.train_keys, clothes.train_labels, 0.1, 0, "validation")
    training, validation = np.flatnonzero(~drawn), np.flatnonzero(drawn)
    return fit(Stored(clothes.train_images), training, validation, seed=0)


@pytest.fixture(scope="module")
def flagged(fitted):
    """The share of images that are unlike the clothes."""
    return lambda pixels: float((score(fitted, unit(pixels)) > fitted.threshold).mean())


# -- on clothes ------------------------------------------------------------------------


def test_few_test_images_are_flagged(clothes, flagged):
    # 3 % are asked for; by chance, 6,000 validation and 10,000 test images make 2.4 to 3.6 %.
    assert 0.025 < flagged(clothes.test_images) < 0.04
    assert flagged(255 - clothes.test_images[:1000]) > 0.9


def digits():
    """Handwritten digits, white on black, in the middle of images of 28 pixels."""
    for digit in (load_digits().images * 255 / 16).astype(np.uint8):
        yield np.pad(Image.fromarray(digit).resize((20, 20), Image.Resampling.LANCZOS), 4)


def printed():
    """Digits in a font, turned a little."""
    for angle in range(-15, 16, 3):
        for digit in "0123456789":
            image = Image.new("L", (28, 28))
            font = ImageFont.load_default(18)
            ImageDraw.Draw(image).text((14, 14), digit, fill=255, font=font, anchor="mm")
            yield image.rotate(angle, Image.Resampling.BILINEAR)


SHAPE = (500, 28, 28)
FOREIGN = {
    "digits": digits,
    "print": printed,
    "uniform noise": lambda: RANDOM.integers(0, 256, SHAPE),
    "dark noise": lambda: RANDOM.normal(0, 40, SHAPE),
    "salt": lambda: 255 * (RANDOM.random(SHAPE) < 0.1),
    "plain": lambda: np.broadcast_to(np.linspace(0, 255, 500)[:, None, None], SHAPE),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_foreign_images_are_flagged(flagged, make):
    pixels = np.stack([np.asarray(image) for image in make()])
    assert flagged(np.clip(pixels, 0, 255).astype(np.uint8)[..., None]) > 0.9


CHANGES = {
    "mirrored": lambda pixels: pixels[:, :, ::-1],
    "moved": lambda pixels: np.roll(pixels, (2, -2), axis=(1, 2)),
    "noisy": lambda pixels: np.clip(pixels + RANDOM.normal(0, 5, pixels.shape), 0, 255),
    "blurred": lambda pixels: ndimage.gaussian_filter(pixels, (0, 0.5, 0.5, 0)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_clothes_changed_a_little_are_not_flagged(clothes, flagged, change):
    assert flagged(change(clothes.test_images[:1000]).astype(np.uint8)) < 0.1


# -- against an independent computation --------------------------------------------------


def statistics_of(image, scales):
    """The statistics of one image, as the record describes them, pixel by pixel."""
    height, width, channels = image.shape
    found = []
    for scale in scales:
        rows, columns = height // scale, width // scale
        small = np.zeros((rows, columns, channels))
        for y in range(rows):
            for x in range(columns):
                block = image[y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
                small[y, x] = block.mean(axis=(0, 1))
        grey = small.mean(axis=2)
        inner = grey[1:-1, 1:-1]
        responses = [
            inner,
            inner - grey[2:, 1:-1],
            inner - grey[1:-1, 2:],
            inner - ndimage.generic_filter(grey, np.mean, footprint=CROSS)[1:-1, 1:-1],
        ]
        responses += [(small[..., k] - small[..., k + 1])[1:-1, 1:-1] for k in range(channels - 1)]
        found += [np.maximum(np.abs(r) - level, 0).mean() for r in responses for level in LEVELS]
    distance = np.array(
        [[min(y, height - 1 - y, x, width - 1 - x) for x in range(width)] for y in range(height)]
    )
    n_distances = distance.max() + 1
    ring = distance * min(7, n_distances) // n_distances
    found += [image[ring == k].mean() for k in range(ring.max() + 1)]
    return np.log(np.array(found) + 0.01)


@pytest.mark.parametrize(
    ("shape", "scales"),
    [
        ((8, 9, 3), (1, 2)),
        ((28, 28, 1), (1, 2, 4)),
        ((5, 4, 1), (1,)),
    ],
)
def test_scores_are_mahalanobis_distances_of_the_statistics(shape, scales):
    images = RANDOM.random((60, *shape), np.float32)
    images *= RANDOM.random((60, 1, 1, 1), np.float32)
    found = fit(images, np.arange(40), np.arange(40, 50), seed=0)
    assert found.scales == scales
    statistics = np.stack([statistics_of(image, scales) for image in images])
    expected = LedoitWolf().fit(statistics[:40]).mahalanobis(statistics)
    scores = score(found, images)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


@pytest.mark.parametrize(("n", "rank"), [(33, 33), (66, 65), (999, 970)])
def test_the_threshold_is_that_of_conformal_prediction(n, rank):
    images = RANDOM.random((50 + n, 8, 8, 1), np.float32)
    found = fit(images, np.arange(50), np.arange(50, 50 + n), seed=0)
    scores = np.sort(score(found, images[50:]))
    # A further score lies above it in n + 1 - rank of n + 1 places.
    assert found.threshold == scores[rank - 1]
    assert (n + 1 - rank) / (n + 1) <= 0.03 < (n + 2 - rank) / (n + 1)


def test_too_few_validation_images_give_no_threshold():
    images = RANDOM.random((62, 8, 8, 1), np.float32)
    found = fit(images, np.arange(30), np.arange(30, 62), seed=0)
    assert found.threshold is Novelty.from_arrays(found.as_arrays()).threshold is None
    assert np.isfinite(score(found, images)).all()


@pytest.mark.parametrize("n", [2, 30])
def test_few_or_equal_training_images_give_finite_scores(n):
    images = np.full((n + 40, 28, 28, 1), 0.5, np.float32)
    found = fit(images, np.arange(n), np.arange(n, n + 40), seed=0)
    assert found.threshold < 1e-3
    assert score(found, 1 - images[:1] / 2)[0] > 1


# -- large sets ------------------------------------------------------------------------


def test_some_images_are_drawn_and_read_a_bounded_number_at_a_time(monkeypatch):
    monkeypatch.setattr(novelty, "MOST_IMAGES", 60)
    monkeypatch.setattr(novelty, "CHUNK_PIXELS", 25 * 64 * 64 * 3)
    pixels = RANDOM.integers(0, 256, (200, 64, 64, 3), dtype=np.uint8)
    training, validation = np.arange(0, 200, 2), np.arange(1, 200, 2)
    stored = Stored(pixels)
    found = fit(stored, training, validation, seed=3)
    assert [len(positions) for positions in stored.read] == [25, 25, 10] * 2
    drawn, held_out = (np.concatenate(part) for part in (stored.read[:3], stored.read[3:]))
    assert len(set(drawn)) == len(set(held_out)) == 60
    assert set(drawn) < set(training)
    assert set(held_out) < set(validation)
    again = fit(unit(pixels), training, validation, seed=3)
    np.testing.assert_array_equal(found.whitening, again.whitening)
    assert found.threshold == again.threshold
    other = fit(unit(pixels), training, validation, seed=4)
    assert found.threshold != other.threshold
    for most_values, n_images in ((0, 50), (55 * 64 * 64 * 3, 55)):  # of large images, fewer
        monkeypatch.setattr(novelty, "ENOUGH_IMAGES", 50)
        monkeypatch.setattr(novelty, "MOST_VALUES", most_values)
        stored = Stored(pixels)
        fit(stored, training, validation, seed=0)
        assert sum(map(len, stored.read)) == 2 * n_images


# -- the record ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("location", lambda array: array[1:]),
        ("kernels", lambda array: array[:, :, 1:]),
        ("location", lambda array: array.astype(np.float64)),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(fitted, name, change):
    arrays = {key: np.asarray(value) for key, value in fitted.as_arrays().items()}
    arrays[name] = change(arrays[name])
    with pytest.raises(DataError, match="of a novelty score must be float32 of shape"):
        Novelty.from_arrays(arrays)
