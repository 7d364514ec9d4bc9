"""`.npz` files."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from apparel.core.errors import DataError
from apparel.data import loading

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


def test_compressed_files_and_text_labels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    words = {name: np.array(["ü", "b", "a"])[GOOD[name]] for name in ("y_train", "y_test")}
    np.savez_compressed(path, **GOOD | words)
    assert loading.load(path).class_names == ("a", "b", "ü")


def test_floating_point_pixels_are_rounded(tmp_path: Path) -> None:
    whole = loading.load(saved(tmp_path))
    floats = {name: GOOD[name] / 255 for name in ("x_train", "x_test")}
    assert loading.load(saved(tmp_path, **floats)).sha256 == whole.sha256


def test_labels_in_a_column_are_read(tmp_path: Path) -> None:
    plain = loading.load(saved(tmp_path))
    column = loading.load(saved(tmp_path, y_train=GOOD["y_train"][:, None]))
    assert column.sha256 == plain.sha256


NAN = np.full((12, 5, 4), np.nan)
BAD = {
    "missing": ({"y_test": None}, "there is no array y_test in it"),
    "objects": ({"y_train": np.array([{}] * 12)}, "holds pickled objects"),
    "flat": ({"x_train": GOOD["x_train"].reshape(12, 20)}, r"has shape \(12, 20\)"),
    "no channel": ({"x_train": np.zeros((12, 5, 4, 0), np.uint8)}, r"\(12, 5, 4, 0\)"),
    "four channels": ({"x_train": np.zeros((12, 5, 4, 4), np.uint8)}, "with 1 or 3 channels"),
    "nan": ({"x_train": NAN}, "from nan to nan, but pixels must lie in 0 to 1"),
    "bright": ({"x_train": GOOD["x_train"] * 1.0}, "pixels must lie in 0 to 1"),
    "sixteen bits": ({"x_train": GOOD["x_train"].astype(np.uint16) * 257}, "0 to 255"),
    "words": ({"x_train": np.full((12, 5, 4), "a")}, "must hold numbers"),
    "few labels": ({"y_train": np.arange(11) % 3}, r"shape \(12,\), but has shape \(11,\)"),
    "float labels": ({"y_train": np.arange(12) / 2}, "must hold whole numbers or text"),
    "one-hot": ({"y_train": np.eye(12)}, "one label an image"),
    "other size": ({"x_test": np.zeros((6, 5, 5), np.uint8)}, "images of different shapes"),
    "empty": ({"x_test": np.zeros((0, 5, 4), np.uint8)}, r"has shape \(0, 5, 4\)"),
    "class missing": ({"y_test": np.arange(6) % 2}, "no test images of '2'"),
    "one class": ({"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)}, "of 1 class"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD)
def test_a_bad_array_is_refused(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        loading.load(saved(tmp_path, **arrays))


@pytest.mark.parametrize("share", range(10))
def test_a_cut_file_is_refused(tmp_path: Path, share: int) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * share // 10])
    with pytest.raises(DataError, match="cannot be used"):
        loading.load(path)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
    )
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in GOOD:
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(DataError, match="should hold 100000000000000 bytes, but holds 0"):
        loading.load(path)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "canary",))

    objects = np.array([Canary()] * 12, dtype=object)
    with pytest.raises(DataError, match="pickled objects"):
        loading.load(saved(tmp_path, x_train=objects))
    assert not (tmp_path / "canary").exists()
