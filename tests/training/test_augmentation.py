"""Training batches: every image once an epoch, moved, mirrored and erased as asked."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from apparel.core.recipes import RECIPES
from apparel.training.augmentation import TrainingBatches, erase_rectangles, shifted
from apparel.training.progress import StepProgress

PLAIN = replace(RECIPES["fast"], batch_size=5, prune=0, flip=False, shift=0, erase=0)
N = 10


@pytest.fixture
def images():
    return np.random.default_rng(0).random((N, 5, 6, 2), dtype=np.float32)


LABELS = np.eye(N, dtype=np.float32)  # each image's label is its number


def drawn(images, recipe, seed=0, **options):
    return TrainingBatches(
        images, LABELS[: len(images)], recipe, seed=seed, progress=StepProgress(1000),
        **{"feedback": None} | options,
    )  # fmt: skip


def epochs(images, recipe, count, seed=0):
    """Images and numbers of each epoch."""
    steps = N // recipe.batch_size
    batches = list(islice(drawn(images, recipe, seed), count * steps))
    for k in range(count):
        part = batches[k * steps : (k + 1) * steps]
        numbers = np.concatenate([labels.argmax(axis=1) for _, labels, _ in part])
        yield np.concatenate([batch for batch, *_ in part]), numbers


def test_each_epoch_shows_images_once_in_another_order_with_their_labels(images):
    orders = []
    for shown, numbers in epochs(images, PLAIN, 3):
        np.testing.assert_array_equal(shown, images[numbers])
        assert len(set(numbers)) == len(numbers) == N
        orders.append(tuple(numbers))
    assert len(set(orders)) == 3


def test_two_epochs_show_both_sides_of_an_image(images):
    recipe = replace(PLAIN, flip=True)
    sides = np.zeros((2, N), int)
    for epoch, (shown, numbers) in enumerate(epochs(images, recipe, 2)):
        for image, number in zip(shown, numbers, strict=True):
            straight = np.array_equal(image, images[number])
            assert straight or np.array_equal(image, images[number, :, ::-1])
            sides[epoch, number] = straight
    np.testing.assert_array_equal(sides.sum(axis=0), 1)
    assert 0 < sides[0].sum() < N


def test_the_seed_decides_and_the_users_images_stay_as_they_are(images):
    before = images.copy()
    recipe = replace(PLAIN, flip=True, shift=2, erase=0.5)
    first, again, other = (
        np.concatenate([shown for shown, _ in epochs(images, recipe, 2, seed)])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(images, before)


def test_images_move_by_each_distance_and_black_comes_in():
    random = np.random.default_rng(0)
    image = random.random((5, 6, 1), dtype=np.float32) + 1
    framed = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    expected = {framed[y : y + 5, x : x + 6].tobytes() for y in range(3) for x in range(3)}
    moved = shifted(np.stack([image] * 300), 1, random)
    assert {each.tobytes() for each in moved} == expected


def test_half_of_the_images_lose_a_rectangle_to_noise():
    n, height, width = 2000, 28, 20
    images = np.full((n, height, width, 2), 2, np.float32)  # no noise is 2
    erase_rectangles(images, 0.5, np.random.default_rng(0))
    changed = (images != 2).any(axis=-1)
    erased = images[changed]
    assert (images != 2).sum() == erased.size  # all channels of a pixel
    # Uniform in [0, 1]: 300,000 values have a mean within 0.002 of a half.
    assert 0 <= erased.min() < 0.001
    assert 0.999 < erased.max() < 1
    assert erased.mean() == pytest.approx(0.5, abs=0.004)
    assert changed.any(axis=(1, 2)).sum() == pytest.approx(1000, abs=100)  # four deviations
    areas, ratios, places = [], [], set()
    for mask in changed[changed.any(axis=(1, 2))]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)  # a rectangle
        areas.append(mask.mean())
        ratios.append(len(rows) / len(columns))
        places |= {(i, j) for i in rows[[0, -1]] for j in columns[[0, -1]]}
    # Between 2 and 30 % of the area, evenly, but for the rounding of the sides.
    assert 0.01 < min(areas) < 0.03
    assert 0.28 < max(areas) < 0.33
    assert np.mean(areas) == pytest.approx(0.16, abs=0.015)
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert min(ratios) < 0.4
    assert max(ratios) > 2.5
    assert {(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)} <= places


def test_the_remainder_of_a_pass_is_a_smaller_batch_and_images_have_their_class_weights(images):
    class_weights = np.arange(1, N + 1, dtype=np.float32)
    batches = drawn(images, replace(PLAIN, batch_size=4), class_weights=class_weights)
    taken = list(islice(batches, 6))
    assert [len(batch) for batch, *_ in taken] == [4, 4, 2, 4, 4, 2]
    numbers = np.concatenate([labels.argmax(axis=1) for _, labels, _ in taken[:3]])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(N))
    for batch, labels, weights in taken:
        np.testing.assert_array_equal(batch, images[labels.argmax(axis=1)])
        np.testing.assert_array_equal(weights, labels.argmax(axis=1) + 1)
