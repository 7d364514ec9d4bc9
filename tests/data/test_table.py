"""Tables of pixels and of paths."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import DataError
from apparel.data import loading
from apparel.data.sources.table import find_tables, read_table

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 4, 4), np.uint8)
COLOUR = RANDOM.integers(0, 256, (12, 4, 4, 3), np.uint8)


def written(path: Path, rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def pixel_rows(images: np.ndarray, labels):
    flat = images.reshape(len(images), -1)
    yield ["label", *(f"pixel{i + 1}" for i in range(flat.shape[1]))]
    for label, row in zip(labels, flat.tolist(), strict=True):
        yield [label, *row]


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_pixels_are_read_row_by_row(tmp_path: Path, images: np.ndarray) -> None:
    found = read_table(written(tmp_path / "set.csv", pixel_rows(images, ["a, b", "c"] * 6)))
    np.testing.assert_array_equal(found.images, images.reshape(12, 4, 4, -1))
    assert found.labels == ["a, b", "c"] * 6
    assert found.names[3] == "set.csv#3"
    assert found.splits is None


def test_a_byte_order_mark_and_kaggles_other_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_bytes(b"\xef\xbb\xbflabel,1x1,1x2,2x1,2x2\r\n7,0,1,2,255\r\n")
    found = read_table(path)
    assert found.images[..., 0].tolist() == [[[0, 1], [2, 255]]]
    assert found.labels == ["7"]


BAD = {
    "empty": ("", "but has: none"),
    "columns": ("file,class\na,b\n", r"but has: file, class\. Name them"),
    "no rows": ("label,p1,p2,p3,p4\n", "holds no image"),
    "not square": ("label,p1,p2\n1,2,3\n", "2 columns of pixels, which make no square"),
    "too bright": ("label,p1,p2,p3,p4\n1,2,3,4,256\n", "could not convert string '256'"),
    "short row": ("label,p1,p2,p3,p4\n1,2,3,4\n", "requires 5 columns but 4 were found"),
    "latin-1": (b"label,p\xe9\n1,2\n", "cannot be read as a table in UTF-8"),
    "no paths": ("path,label\n", "lists no image"),
    "no path": ("path,label\n,a\n", "line 2 of .* lacks a path or a label"),
    "short": ("path,label\na.png\n", "line 2 of .* lacks a path or a label"),
    "some splits": ("path,label,split\na,b,train\na,b,\n", "has 'nothing' in its column split"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_bad_table_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "set.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_table(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(GREY):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{i} ü.png")
    return tmp_path


def test_files_are_found_beside_the_table(pictures: Path) -> None:
    rows = [
        ("path", "label", "note"),
        *((f"pictures/{i} ü.png", "ab"[i % 2], "x") for i in range(12)),
    ]
    found = read_table(written(pictures / "set.csv", rows))
    np.testing.assert_array_equal(found.images[..., 0], GREY)
    assert found.names[1] == "pictures/1 ü.png"
    assert found.splits is None
    (pictures / "pictures" / "0 ü.png").unlink()
    assert list(read_table(pictures / "set.csv").unreadable) == ["pictures/0 ü.png"]


def test_a_column_of_splits_is_kept(pictures: Path) -> None:
    splits = ["train", "train", "VAL", "test"] * 3
    rows = [
        ("split", "label", "path"),
        *((splits[i], "ab"[i // 4 % 2], f"pictures/{i} ü.png") for i in range(12)),
    ]
    found = read_table(written(pictures / "set.csv", rows))
    assert found.splits == ["train", "train", "validation", "test"] * 3
    made = loading.load(pictures / "set.csv")
    assert len(made.test_labels) == len(made.validation) == 3


def test_a_table_for_each_split_is_found_by_its_name(tmp_path: Path) -> None:
    for name in ("fashion-mnist_train.csv", "fashion-mnist_test.csv", "notes.csv"):
        (tmp_path / name).touch()
    assert {path.name: split for path, split in find_tables(tmp_path).items()} == {
        "fashion-mnist_train.csv": "train",
        "fashion-mnist_test.csv": "test",
    }
    (tmp_path / "fashion-mnist_train.csv").unlink()
    assert find_tables(tmp_path) == {}


# -- files made to do harm ---------------------------------------------------------------


def test_a_table_of_one_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    for beginning in (b"", b"path,label\n", b"label,p1\n"):
        with path.open("wb") as file:
            file.write(beginning)
            file.truncate(1 << 29)  # a hole, which takes no space
        tracemalloc.start()
        with pytest.raises(DataError, match=r"more than 4,194,304 letters"):
            read_table(path)
        assert tracemalloc.get_traced_memory()[1] < 60e6
        tracemalloc.stop()


def test_a_label_is_kept_as_it_is(tmp_path: Path) -> None:
    """Neither cut after a hundred letters, nor taken for a comment."""
    labels = ["#1", "C# ", "a" * 150 + "b", "a" * 150 + "c"]
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    assert read_table(written(tmp_path / "set.csv", pixel_rows(images, labels))).labels == labels


def test_a_table_names_files_wherever_they_are(pictures: Path) -> None:
    folder = pictures / "set"
    folder.mkdir()
    (folder / "link.png").symlink_to(pictures / "pictures" / "1 ü.png")
    (folder / "away").symlink_to(pictures)
    names = ["link.png", "../pictures/2 ü.png", "away/pictures/3 ü.png",
             str(pictures / "pictures" / "4 ü.png")]  # fmt: skip
    rows = [("path", "label"), *((name, "a") for name in (*names, "a\0b/c.png", "x" * 300))]
    found = read_table(written(folder / "set.csv", rows))
    assert found.names == names
    assert list(found.unreadable) == ["a\0b/c.png", "x" * 300]


@pytest.mark.parametrize(
    "content",
    [
        b"a\x1b[2J,b\nc,d\n",
        b"path,label,split\na,b,\x1b[2Jtrain\n",
        b"x" * 100_000 + b",y\n",
        b"label,p1\na,\x1b[2J\n",
        b"path,label\n\x1b.png,a\nb\x1b.png,b\n",
    ],
)
def test_text_of_a_table_in_a_message_is_short_and_harmless(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(DataError) as refused:
        loading.load(tmp_path / "set.csv")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000
