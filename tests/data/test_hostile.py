"""Data sets made to do harm: too much of something, somebody else's files, or nothing at all."""

import gzip
import io
import os
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import DataError
from apparel.data import loading
from apparel.data.sources.idx import read_idx_file
from apparel.data.sources.npz import read_npz
from apparel.data.sources.table import read_table
from tests.data.test_npz import GOOD
from tests.data.test_table import GREY, written


@contextmanager
def little_memory(megabytes: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()


# -- more than there is room for -------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ((100_000, 28, 28), bytes(78_400_000)),
        ((10_000_000, 1, 1), bytes(10_000_000)),  # small, but a name and a label for each
        ((2**32 - 1, 2**32 - 1, 2**32 - 1), bytes(10_000)),
    ],
)
def test_an_idx_file_that_unpacks_to_far_more_than_it_has_is_refused(
    tmp_path: Path, shape: tuple[int, int, int], content: bytes
) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x803, *shape) + content))
    with little_memory(5), pytest.raises(DataError, match=r"claims to unpack to [\d,]+"):
        read_idx_file(path, "images")


def test_honest_files_have_room(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    images = np.zeros((15_000, 28, 28), np.uint8)
    images[:, ::7] = np.random.default_rng(0).integers(0, 256, images[:, ::7].shape)
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x803, *images.shape) + images.tobytes()))
    np.testing.assert_array_equal(read_idx_file(path, "images"), images)


def npz(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


MEMBERS = {f"{name}.npy": npy(array) for name, array in GOOD.items()}


def test_an_npz_file_that_unpacks_to_far_more_than_it_has_is_refused(tmp_path: Path) -> None:
    zeros = npy(np.zeros((60_000, 28, 28), np.uint8))
    path = npz(tmp_path / "set.npz", MEMBERS | {"x_train.npy": zeros})
    with little_memory(10), pytest.raises(DataError, match="claims to unpack to"):
        read_npz(path)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_npz_file_that_numpy_does_not_pack_so_is_refused(tmp_path: Path, how: int) -> None:
    with pytest.raises(DataError, match="packed in a way that NumPy does not use"):
        read_npz(npz(tmp_path / "set.npz", MEMBERS, how))


def header(text: str, *, size: int | None = None) -> bytes:
    encoded = text.encode("latin-1")
    return b"\x93NUMPY\x01\0" + struct.pack("<H", size or len(encoded)) + encoded


HEADERS = {
    "nested": header("(" * 5000 + ")" * 5000),
    "a dictionary in a key": header("{{}: 1}"),
    "cut": header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,", size=90),
    "odd escape": header("{'descr': '\\d', 'fortran_order': False, 'shape': (1,)}"),
    "calls": header("__import__('os').system('touch canary')"),
    "structure": header("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (1,)}"),
    "signs": header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "-" * 9000 + "1,)}"),
    "minus": header("{'descr': '|u1', 'fortran_order': False, 'shape': (-12, -5, 4)}") + bytes(240),
    "one number": header("{'descr': '|u1', 'fortran_order': False, 'shape': ()}"),
    "no type": header("{'descr': '|q9', 'fortran_order': False, 'shape': (1,)}"),
    "long": header("{}", size=60_000) + b" " * 60_000,
    "no magic": b"\x94NUMPY\x01\0" + b"\0" * 200,
    "version": b"\x93NUMPY\x03\0" + b"\0" * 200,
    "nothing": b"",
}


@pytest.mark.parametrize("name", HEADERS)
def test_an_array_with_an_odd_header_is_refused_in_silence(tmp_path: Path, name: str) -> None:
    path = npz(tmp_path / "set.npz", MEMBERS | {"x_train.npy": HEADERS[name]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DataError) as refused:
            read_npz(path)
    assert caught == []
    assert str(refused.value).isprintable()
    assert "the array x_train" in str(refused.value)
    said = {
        "long": "NumPy does not write",
        "minus": "which no images",
    }
    assert said.get(name, "") in str(refused.value)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),  # encrypted
        (b"PK\x01\x02\x14\x03\x14\x00", b"PK\x01\x02\x14\x03\xff\x00"),  # of a later version
        (b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x08", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x63"),
    ],
)
def test_a_zip_file_of_another_kind_is_refused(
    tmp_path: Path, pattern: bytes, replacement: bytes
) -> None:
    path = npz(tmp_path / "set.npz", MEMBERS)
    content = path.read_bytes()
    assert pattern in content
    path.write_bytes(content.replace(pattern, replacement))
    with pytest.raises(DataError, match=r"cannot be used|packed in a way"):
        read_npz(path)


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    labels = np.array([0x110000] * 12, np.uint32).view("<U1")
    path = npz(tmp_path / "set.npz", MEMBERS | {"y_train.npy": npy(labels)})
    with pytest.raises(DataError, match="y_train holds 1,114,112 as a letter"):
        read_npz(path)


def test_a_table_of_one_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    for beginning in (b"", b"path,label\n", b"label,p1\n"):
        with path.open("wb") as file:
            file.write(beginning)
            file.truncate(1 << 29)  # a hole, which takes no space
        with little_memory(60), pytest.raises(DataError, match=r"more than 4,194,304 letters"):
            read_table(path, image_size=None, cache=tmp_path)


def test_what_does_not_fit_into_memory_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(loading, "read_npz", fill)
    (tmp_path / "set.npz").touch()
    with pytest.raises(DataError, match="does not fit into this machine's memory") as refused:
        loading.load(tmp_path / "set.npz")
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"set{suffix}")
    with pytest.raises(DataError, match="is a pipe, a device or a socket"):
        loading.load(tmp_path / f"set{suffix}")


# -- labels ----------------------------------------------------------------------------


def pixel_table(path: Path, labels: list[str]) -> Path:
    rows = [["label", "p1", "p2", "p3", "p4"]]
    rows += [[label, *map(str, (k, 2, 3, 4))] for k, label in enumerate(labels)]
    return written(path, rows)


def test_a_label_is_kept_as_it_is(tmp_path: Path) -> None:
    """Neither cut after a hundred letters, nor taken for a comment."""
    labels = ["#1", "C# ", "a" * 150 + "b", "a" * 150 + "c"]
    path = pixel_table(tmp_path / "set.csv", labels)
    found = read_table(path, image_size=None, cache=tmp_path)
    assert found.labels == labels


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("a" * 1001, "a label of 1,001 letters"),
        ("a\x1b[2Jb", r"'a\\x1b\[2Jb' with characters that no line can show"),
        ("a\u2028b", r"'a\\u2028b' with characters"),
        ("a\x85b", r"'a\\x85b' with characters"),
        (os.fsdecode(b"caf\xe9"), r"'caf\\udce9' with characters"),
    ],
)
def test_a_label_that_is_no_name_is_refused(label: str, said: str) -> None:
    images = np.zeros((4, 2, 2), np.uint8)
    with pytest.raises(DataError, match=said) as refused:
        loading.load((images, np.array([label, label, "b", "b"])))
    assert str(refused.value).isprintable()


def test_any_letters_and_signs_make_a_name() -> None:
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    names = ["👩‍🦰 T-shirt/top", "платье №1"]  # Cyrillic is meant
    assert set(loading.load((images, np.repeat(names, 2))).class_names) == set(names)


# -- files that a table lists ----------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a table, beside an image that is none of its business."""
    folder = tmp_path / "set"
    (folder / "pictures").mkdir(parents=True)
    Image.fromarray(GREY[0]).save(tmp_path / "private.png")
    for k in range(1, 5):
        Image.fromarray(GREY[k]).save(folder / "pictures" / f"{k}.png")
    (folder / "link.png").symlink_to(tmp_path / "private.png")
    (folder / "inside.png").symlink_to(folder / "pictures" / "1.png")
    (folder / "away").symlink_to(tmp_path)
    return folder


def test_a_table_names_files_wherever_they_are(outside: Path) -> None:
    names = [
        "pictures/1.png", "./pictures/2.png", "pictures/../pictures/3.png", "inside.png",
        str(outside / "pictures" / "4.png"), "away/set/pictures/1.png", "../private.png",
    ]  # fmt: skip
    rows = [("path", "label"), *((name, "a") for name in names)]
    found = read_table(
        written(outside / "set.csv", rows), image_size=None, cache=outside.parent / "cache"
    )
    assert found.names == names
    assert found.unreadable == {}


def test_a_name_that_no_file_can_have_is_named(outside: Path) -> None:
    rows = [("path", "label"), ("pictures/1.png", "a"), ("a\0b/c.png", "b"), ("x" * 300, "b")]
    found = read_table(
        written(outside / "set.csv", rows), image_size=None, cache=outside.parent / "cache"
    )
    assert list(found.unreadable) == ["a\0b/c.png", "x" * 300]


# -- messages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"a\x1b[2J,b\nc,d\n",
        b"a\r\n\x07,b\n",
        "a\u202eb,c\n".encode(),
        b"path,label,split\na,b,\x1b[2Jtrain\n",
        b"x" * 100_000 + b",y\n",
        b"label,p1\na,\x1b[2J\n",
        b"path,label\n\x1b.png,a\nb\x1b.png,b\n",
    ],
)
def test_what_a_message_shows_of_a_table_is_short_and_harmless(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(DataError) as refused:
        loading.load(tmp_path / "set.csv")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000
