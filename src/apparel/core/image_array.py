"""Image arrays that may be larger than memory: read and changed where they are needed."""

from __future__ import annotations

import hashlib
import mmap
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Pages of a mapped file count as this process's memory until they are released. Where images are
# read at random, the system maps twenty times as much as is read.
RELEASE_BYTES = 1 << 24
# Images read at once, where all of them are read in order.
CHUNK_BYTES = 1 << 26


class StoredImages:
    """Some images of an array that is too large to copy.

    An index gives a NumPy array, like an index of the array itself: `images[3]`, `images[:10]`,
    `images[positions]`.

    Attributes:
        shape: (n, h, w, c).
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        positions: NDArray[np.int64],
        *,
        changes: tuple[Callable[[NDArray[Any]], NDArray[Any]], ...] = (),
    ) -> None:
        """Choose images.

        Args:
            pixels: shape (m, h, w, c), usually mapped from a file.
            positions: shape (n,), which of them and in which order.
            changes: functions applied to images after reading, in this order; each takes and
                gives images of one shape (any number, h, w, c).
        """
        self._pixels = pixels
        self._positions = positions
        self._changes = changes
        self._read_bytes = 0
        self.shape = (len(positions), *pixels.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the images that an index gives."""
        return self[:0].dtype

    @property
    def ndim(self) -> int:
        """Always 4: n, h, w, c."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int | slice | NDArray[Any] | list[int]) -> NDArray[Any]:
        positions = self._positions[index]
        single = positions.ndim == 0
        images: NDArray[Any] = np.asarray(self._pixels[np.atleast_1d(positions)])
        self._release(images.nbytes)
        for change in self._changes:
            images = change(images)
        return images[0] if single else images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all images into memory."""
        images = self[:]
        return images if dtype is None else images.astype(dtype)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[position] for position in range(len(self)))

    def take(self, positions: NDArray[Any]) -> StoredImages:
        """Choose some of these images without reading them."""
        return StoredImages(self._pixels, self._positions[positions], changes=self._changes)

    def changed(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> StoredImages:
        """Give the same images with one more function applied where they are read."""
        return StoredImages(self._pixels, self._positions, changes=(*self._changes, change))

    def followed_by(self, other: StoredImages) -> StoredImages | None:
        """Append images of the same array without reading them; None for those of another."""
        if other._pixels is not self._pixels or other._changes != self._changes:
            return None
        positions = np.concatenate([self._positions, other._positions])
        return StoredImages(self._pixels, positions, changes=self._changes)

    def _release(self, n_bytes: int) -> None:
        """Release mapped pages now and then; they stay in the system's cache of files."""
        self._read_bytes += n_bytes
        mapped: object = self._pixels.base
        if self._read_bytes >= RELEASE_BYTES and isinstance(mapped, mmap.mmap):
            self._read_bytes = 0
            mapped.madvise(mmap.MADV_DONTNEED)


# Shape (n, h, w, c), in memory or not.
ImageArray: TypeAlias = NDArray[Any] | StoredImages


def take(images: ImageArray, positions: NDArray[Any]) -> ImageArray:
    """Choose images by their positions, without reading stored ones."""
    return images.take(positions) if isinstance(images, StoredImages) else images[positions]


def changed(images: ImageArray, change: Callable[[NDArray[Any]], NDArray[Any]]) -> ImageArray:
    """Apply a function to images: now, or to stored ones where they are read."""
    return images.changed(change) if isinstance(images, StoredImages) else change(images)


def joined(first: ImageArray, second: ImageArray) -> ImageArray:
    """Concatenate images; stored ones are not read where both are of one array."""
    if isinstance(first, StoredImages) and isinstance(second, StoredImages):
        both = first.followed_by(second)
        if both is not None:
            return both
    return np.concatenate([np.asarray(first), np.asarray(second)])


def chunks(images: ImageArray) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Iterate over images in order, a bounded number of bytes at a time.

    Yields:
        The positions as a slice, and the images.
    """
    step = max(CHUNK_BYTES // max(int(np.prod(images.shape[1:])), 1), 1)
    for start in range(0, len(images), step):
        part = slice(start, min(start + step, len(images)))
        yield part, images[part]


def digests(images: ImageArray) -> NDArray[np.uint64]:
    """Compute a digest of each image (BLAKE2b, RFC 7693), equal for equal images.

    Args:
        images: uint8, shape (n, h, w, c).

    Returns:
        Shape (n, 2): sixteen bytes an image, the same on every machine.
    """
    found = np.empty((len(images), 2), np.uint64)
    for part, some in chunks(images):
        read = b"".join(
            hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(some)
        )
        found[part] = np.frombuffer(read, ">u8").reshape(-1, 2)
    return found


def content_keys(images: ImageArray) -> NDArray[np.uint64]:
    """Give each image's key, by which it is drawn for testing or validation.

    Args:
        images: shape (n, h, w, c), of any dtype.

    Returns:
        Shape (n,): `pixel_key` of each.
    """
    return np.array([pixel_key(image) for _, some in chunks(images) for image in some], np.uint64)


def pixel_key(image: NDArray[Any]) -> int:
    """Hash one image (BLAKE2b), the same for grey in one channel and in three equal ones.

    Args:
        image: shape (h, w, c).

    Returns:
        In 0 to 2**64 - 1.
    """
    if image.shape[-1] > 1 and (image == image[..., :1]).all():
        image = image[..., :1]
    return file_key(np.ascontiguousarray(image).data)


def file_key(content: bytes | memoryview) -> int:
    """Hash the content of a file, to a number in 0 to 2**64 - 1."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def first_equal(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find the first image that equals each, by their digests.

    Args:
        digests: shape (n, 2), by `digests`.

    Returns:
        Positions, shape (n,).
    """
    _, first, number = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[number.reshape(-1)], np.int64)  # NumPy 2.0 gave it another shape


def block_means(images: NDArray[Any], down: int, across: int) -> NDArray[np.float32]:
    """Shrink images by averaging blocks of pixels.

    Args:
        images: shape (n, h, w, c).
        down: rows of a block, at most h.
        across: columns of a block, at most w.

    Returns:
        Shape (n, h // down, w // across, c); remaining columns and rows are left out.
    """
    n, height, width, channels = images.shape
    rows, columns = height // down, width // across
    whole = images[:, : rows * down, : columns * across]
    blocks = whole.reshape(n, rows, down, columns, across, channels)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32))
