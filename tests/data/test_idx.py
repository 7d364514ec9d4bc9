"""MNIST's file format, against files written byte by byte."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from apparel.core.errors import DataError
from apparel.data import loading
from apparel.data.sources.idx import find_idx, read_idx_file
from tests.data.forms import idx

RANDOM = np.random.default_rng(0)
TRAIN = RANDOM.integers(0, 256, (12, 5, 4), np.uint8)
TEST = RANDOM.integers(0, 256, (6, 5, 4), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set in the names of MNIST, one half of it compressed."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(TRAIN))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(12) % 3 + 8))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(TEST)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(6) % 3 + 8)))
    return tmp_path


def test_emnists_names_are_known(tmp_path: Path) -> None:
    for split, images in (("train", TRAIN), ("test", TEST)):
        stem = f"emnist-letters-{split}"
        labels = np.arange(len(images)) % 2 + 1
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    assert loading.load(tmp_path).class_names == ("1", "2")
    (tmp_path / "emnist-digits-train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"several sets.*digits.*letters"):
        find_idx(tmp_path)


def test_a_compressed_copy_is_no_other_file_and_a_missing_half_is_named(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(TRAIN)))
    assert len(find_idx(folder)) == 4
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz, but not the labels"):
        find_idx(folder)


BROKEN = {
    "magic": (b"\0\0\x09\x03" + idx(TRAIN)[4:], "should begin with 2051"),
    "header": (idx(TRAIN)[:10], "cut short after 10 bytes"),
    "short": (idx(TRAIN)[:-1], "should hold 240 bytes after its header, but holds 239"),
    "long": (idx(TRAIN) + b"x", "should hold 240 bytes after its header, but holds more"),
    "none": (idx(TRAIN[:0]), r"holds no images: its shape is \(0, 5, 4\)"),
    "huge": (struct.pack(">4I", 0x803, 2**31, 2**20, 2**20), "has .* bytes, but claims"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    for name, packed in (("images", content), ("images.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError, match=message):
            read_idx_file(tmp_path / name, "images")


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "images.gz", gzip.compress(idx(TRAIN))
    for keep in range(1, 60, 3):
        path.write_bytes(whole[:-keep])
        with pytest.raises(DataError, match="Get it once more"):
            read_idx_file(path, "images")


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((40_000, 28, 28), 31_360_000),
        ((1_000_000, 1, 1), 1_000_000),  # small, but a name and a label for each
    ],
)
def test_a_file_that_claims_to_unpack_to_far_more_is_refused(tmp_path: Path, shape, size) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x803, *shape) + bytes(size), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"claims to unpack to [\d,]+"):
        read_idx_file(path, "images")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_images_and_labels_of_different_number_are_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(11) % 3))
    with pytest.raises(DataError, match="holds 12 images, but train-labels-idx1-ubyte 11 labels"):
        loading.load(folder)
