"""Images that are read where they are needed."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from apparel.core import image_array
from apparel.core.image_array import StoredImages, block_means, changed, chunks, joined, take

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 1), np.uint8)
ORDER = np.array([7, 3, 3, 19, 0])


def halved(pixels):
    return pixels.astype(np.float32) / 2


@pytest.fixture
def stored() -> StoredImages:
    return StoredImages(PIXELS, ORDER)


@pytest.mark.parametrize("index", [-1, slice(1, 4), [4, 0], np.array([2, 2]), np.arange(5) > 2])
def test_an_index_gives_what_it_gives_of_the_array(stored: StoredImages, index) -> None:
    np.testing.assert_array_equal(stored[index], PIXELS[ORDER][index])
    assert isinstance(stored[index], np.ndarray)


def test_shape_and_kind_are_those_of_the_images(stored: StoredImages) -> None:
    assert (stored.shape, stored.ndim, len(stored)) == ((5, 3, 4, 1), 4, 5)
    assert stored.dtype == np.uint8
    assert stored.changed(halved).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(stored), PIXELS[ORDER])
    assert np.asarray(stored, np.float64).dtype == np.float64
    np.testing.assert_array_equal(list(stored), PIXELS[ORDER])


def test_changes_are_made_in_turn_where_images_are_read(stored: StoredImages) -> None:
    found = take(changed(changed(stored, halved), lambda x: x + 1), np.array([3, 0]))
    assert isinstance(found, StoredImages)
    np.testing.assert_array_equal(found[:], PIXELS[[19, 7]] / 2 + 1)
    np.testing.assert_array_equal(stored[1:3], PIXELS[[3, 3]])
    np.testing.assert_array_equal(changed(PIXELS, halved), PIXELS / 2)
    np.testing.assert_array_equal(take(PIXELS, np.array([3, 0])), PIXELS[[3, 0]])


def test_chunks_are_bounded_and_cover_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_array, "CHUNK_BYTES", 3 * 12)
    parts = list(chunks(StoredImages(PIXELS, np.arange(20))))
    assert [(part.start, part.stop) for part, _ in parts][-2:] == [(15, 18), (18, 20)]
    np.testing.assert_array_equal(np.concatenate([some for _, some in parts]), PIXELS)


def test_mapped_pages_are_given_back_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pixels"
    path.write_bytes(PIXELS.tobytes())
    advice = []

    class Mapped(mmap.mmap):
        def madvise(self, option: int) -> None:
            advice.append(option)
            super().madvise(option)

    with path.open("rb") as file:
        mapped = Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
    pixels = np.ndarray(PIXELS.shape, np.uint8, buffer=mapped)
    monkeypatch.setattr(image_array, "RELEASE_BYTES", 2 * 12)
    found = StoredImages(pixels, np.arange(20))
    np.testing.assert_array_equal(found[0], PIXELS[0])
    assert advice == []
    np.testing.assert_array_equal(found[1], PIXELS[1])
    assert advice == [mmap.MADV_DONTNEED]
    np.testing.assert_array_equal(found[:], PIXELS)


def test_images_are_put_after_others_without_reading_them() -> None:
    class Unread(np.ndarray):
        def __getitem__(self, index: object) -> object:
            raise AssertionError("the images were read")

    first, second = StoredImages(PIXELS, ORDER), StoredImages(PIXELS, ORDER[:2] + 1)
    expected = PIXELS[[*ORDER, *(ORDER[:2] + 1)]]
    unread = PIXELS.view(Unread)
    both = joined(StoredImages(unread, ORDER), StoredImages(unread, ORDER[:2]))
    assert isinstance(both, StoredImages)
    assert both.shape == (7, 3, 4, 1)
    np.testing.assert_array_equal(joined(first, second)[:], expected)
    for one in (first, PIXELS[ORDER]):
        other = StoredImages(PIXELS.copy(), ORDER[:2] + 1)
        np.testing.assert_array_equal(joined(one, other), expected)
    halves = joined(first, changed(second, halved))
    np.testing.assert_array_equal(halves[:5], PIXELS[ORDER])
    np.testing.assert_array_equal(halves[5:], halved(PIXELS[ORDER[:2] + 1]))


@pytest.mark.parametrize(
    ("shape", "down", "across"), [((8, 8, 1), 1, 1), ((28, 30, 1), 2, 2), ((64, 41, 3), 4, 2)]
)
def test_images_are_shrunk_by_the_means_of_blocks(shape, down, across):
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    shrunk = block_means(pixels, down, across)
    assert shrunk.shape == (3, shape[0] // down, shape[1] // across, shape[2])
    assert shrunk.dtype == np.float32
    for y, x in np.ndindex(shrunk.shape[1:3]):
        block = pixels[:, y * down : (y + 1) * down, x * across : (x + 1) * across]
        np.testing.assert_allclose(shrunk[:, y, x], block.mean(axis=(1, 2)), rtol=1e-6)
