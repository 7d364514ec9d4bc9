"""`.npz` files."""

import io
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from apparel.core.errors import DataError
from apparel.data import loading
from apparel.data.sources.npz import read_npz

RANDOM = np.random.default_rng(0)
GOOD = {
    "x_train": RANDOM.integers(0, 256, (12, 5, 4), np.uint8),
    "y_train": np.arange(12) % 3,
    "x_test": RANDOM.integers(0, 256, (6, 5, 4), np.uint8),
    "y_test": np.arange(6) % 3,
}


def saved(folder: Path, **arrays: object) -> Path:
    path = folder / "set.npz"
    np.savez(path, **{k: v for k, v in {**GOOD, **arrays}.items() if v is not None})
    return path


def test_every_image_keeps_its_label_and_split(tmp_path: Path) -> None:
    found = loading.load(saved(tmp_path))
    for split in ("train", "test"):
        names = getattr(found.files, split)
        positions = [int(name.removeprefix(f"set.npz:x_{split}#")) for name in names]
        assert sorted(positions) == list(range(len(GOOD[f"x_{split}"])))
        images = getattr(found, f"{split}_images")[..., 0]
        np.testing.assert_array_equal(images, GOOD[f"x_{split}"][positions])
        np.testing.assert_array_equal(
            getattr(found, f"{split}_labels"), GOOD[f"y_{split}"][positions]
        )


def test_text_labels_floats_and_labels_in_a_column_are_read(tmp_path: Path) -> None:
    plain = loading.load(saved(tmp_path))
    words = {name: np.array(["ü", "b", "a"])[GOOD[name]] for name in ("y_train", "y_test")}
    assert loading.load(saved(tmp_path, **words)).class_names == ("a", "b", "ü")
    floats = {name: GOOD[name] / 255 for name in ("x_train", "x_test")}
    assert loading.load(saved(tmp_path, **floats)).sha256 == plain.sha256
    column = loading.load(saved(tmp_path, y_train=GOOD["y_train"][:, None]))
    assert column.sha256 == plain.sha256


NAN = np.full((12, 5, 4), np.nan)
BAD = {
    "missing": ({"y_test": None}, "there is no array y_test in it"),
    "flat": ({"x_train": GOOD["x_train"].reshape(12, 20)}, r"has shape \(12, 20\)"),
    "four channels": ({"x_train": np.zeros((12, 5, 4, 4), np.uint8)}, "with 1 or 3 channels"),
    "nan": ({"x_train": NAN}, "from nan to nan, but pixels must lie in 0 to 1"),
    "sixteen bits": ({"x_train": GOOD["x_train"].astype(np.uint16) * 257}, "0 to 255"),
    "words": ({"x_train": np.full((12, 5, 4), "a")}, "must hold numbers"),
    "float labels": ({"y_train": np.arange(12) / 2}, "must hold whole numbers or text"),
    "one-hot": ({"y_train": np.eye(12)}, "one label an image"),
    "other size": ({"x_test": np.zeros((6, 5, 5), np.uint8)}, "images of different shapes"),
    "empty": ({"x_test": np.zeros((0, 5, 4), np.uint8)}, r"has shape \(0, 5, 4\)"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD)
def test_a_bad_array_is_refused(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        loading.load(saved(tmp_path, **arrays))


def test_a_cut_or_flipped_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    for share in range(10):
        path.write_bytes(whole[: len(whole) * share // 10])
        with pytest.raises(DataError, match="cannot be used"):
            loading.load(path)
    flipped = bytearray(whole)
    flipped[whole.index(GOOD["x_test"].tobytes()) + 100] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError, match="Bad CRC-32"):
        loading.load(path)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "canary",))

    with pytest.raises(DataError, match="pickled objects"):
        loading.load(saved(tmp_path, x_train=np.array([Canary()] * 12, dtype=object)))
    assert not (tmp_path / "canary").exists()


# -- files made to do harm ---------------------------------------------------------------


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


def test_a_file_that_claims_to_unpack_to_far_more_is_refused(tmp_path: Path) -> None:
    zeros = npy(np.zeros((30_000, 28, 28), np.uint8))
    path = npz(tmp_path / "set.npz", MEMBERS | {"x_train.npy": zeros})
    tracemalloc.start()
    with pytest.raises(DataError, match="claims to unpack to"):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def header(text: str, *, size: int | None = None) -> bytes:
    encoded = text.encode("latin-1")
    return b"\x93NUMPY\x01\0" + struct.pack("<H", size or len(encoded)) + encoded


HEADERS = {
    "too much": header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000)}"),
    "nested": header("(" * 5000 + ")" * 5000),
    "cut": header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,", size=90),
    "odd escape": header("{'descr': '\\d', 'fortran_order': False, 'shape': (1,)}"),
    "calls": header("__import__('os').system('touch canary')"),
    "minus": header("{'descr': '|u1', 'fortran_order': False, 'shape': (-12, -5, 4)}") + bytes(240),
    "long": header("{}", size=60_000) + b" " * 60_000,
    "version": b"\x93NUMPY\x03\0" + b"\0" * 200,
}


def test_an_array_with_an_odd_header_is_refused_in_silence(tmp_path: Path) -> None:
    for name, content in HEADERS.items():
        path = npz(tmp_path / "set.npz", MEMBERS | {"x_train.npy": content})
        expected = pytest.raises(DataError, match="the array x_train")
        with warnings.catch_warnings(action="error"), expected as refused:
            read_npz(path)
        assert str(refused.value).isprintable(), name


def test_a_zip_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "set.npz", MEMBERS)
    member = b"PK\x01\x02\x14\x03\x14\x00\x00\x00"
    content = path.read_bytes()
    assert member in content
    path.write_bytes(content.replace(member, member[:-2] + b"\x01\x00"))  # encrypted
    with pytest.raises(DataError, match="cannot be used"):
        read_npz(path)
    npz(path, MEMBERS, zipfile.ZIP_BZIP2)
    with pytest.raises(DataError, match="packed in a way that NumPy does not use"):
        read_npz(path)


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    labels = np.array([0x110000] * 12, np.uint32).view("<U1")
    path = npz(tmp_path / "set.npz", MEMBERS | {"y_train.npy": npy(labels)})
    with pytest.raises(DataError, match="y_train holds 1,114,112 as a letter"):
        read_npz(path)
