"""A folder of class folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import DataError
from apparel.data import loading
from apparel.data.sources.folder import read_folder


def put(path: Path, grey: int) -> None:
    """Write an image of one grey, which tells it from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), grey, np.uint8)).save(path, "PNG")


def greys(found) -> dict[str, int]:
    return dict(zip(found.names, found.images[:, 0, 0, 0].tolist(), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "set"


def test_a_folder_is_a_class(folder: Path) -> None:
    for i, name in enumerate(["b/2.png", "b/10.png", "a/x.png", "日本 語/é.png", "b/deep/er/1"]):
        put(folder / name, i)
    found = read_folder(folder)
    assert greys(found) == {
        "a/x.png": 2, "b/10.png": 1, "b/2.png": 0, "b/deep/er/1": 4, "日本 語/é.png": 3
    }  # fmt: skip
    assert found.labels == ["a", "b", "b", "b", "日本 語"]
    assert found.splits is None
    assert found.unreadable == {}
    assert found.sizes == {(4, 5): 5}


@pytest.mark.parametrize("validation", ["val", "VALID"])
def test_splits_are_known_by_their_names(folder: Path, validation: str) -> None:
    for i, split in enumerate(("train", validation, "Test")):
        for k, label in enumerate("ab"):
            put(folder / split / label / "1.png", 10 * i + k)
            put(folder / split / label / "2.png", 100 + 10 * i + k)
    found = read_folder(folder)
    by_split = dict(zip(found.names, found.splits, strict=True))
    assert by_split[f"{validation}/a/1.png"] == "validation"
    assert by_split["Test/b/2.png"] == "test"
    made = loading.load(folder)
    assert made.class_names == ("a", "b")
    assert sorted(made.test_images[:, 0, 0, 0].tolist()) == [20, 21, 120, 121]
    held_out = made.train_images[made.validation]
    assert sorted(held_out[:, 0, 0, 0].tolist()) == [10, 11, 110, 111]


def test_a_lone_training_folder_is_divided(folder: Path) -> None:
    for i in range(20):
        put(folder / "train" / "ab"[i % 2] / f"{i}.png", i)
    made = loading.load(folder, test_split=0.3)
    assert set(made.test_labels) == set(made.train_labels) == {0, 1}


def test_train_may_be_a_class(folder: Path) -> None:
    for i, label in enumerate(["train", "bus", "tram"]):
        put(folder / label / "1.png", i)
    assert read_folder(folder).labels == ["bus", "train", "tram"]


def test_hidden_files_and_litter_are_passed_over(folder: Path) -> None:
    put(folder / "a" / "1.png", 1)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden/2.png"):
        (folder / "a" / name).parent.mkdir(exist_ok=True)
        (folder / "a" / name).write_bytes(b"x")
    (folder / ".git").mkdir()
    put(folder / ".git" / "2.png", 2)
    put(folder / "loose.png", 3)
    found = read_folder(folder)
    assert greys(found) == {"a/1.png": 1}
    assert found.unreadable == {}


def test_links_out_of_the_folder_are_named_and_not_followed(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "secret" / "1.png", 99)
    put(folder / "a" / "1.png", 1)
    put(folder / "b" / "2.png", 2)
    (folder / "a" / "out.png").symlink_to(tmp_path / "secret" / "1.png")
    (folder / "a" / "in.png").symlink_to(folder / "b" / "2.png")
    (folder / "a" / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "a" / "more").symlink_to(tmp_path / "secret")
    (folder / "c").symlink_to(tmp_path / "secret")
    (folder / "a" / "loop").symlink_to(folder)
    found = read_folder(folder)
    assert greys(found) == {"a/1.png": 1, "a/in.png": 2, "b/2.png": 2}
    gone = found.unreadable.pop("a/gone.png")
    assert "gone.png" in gone
    assert found.unreadable == {
        "a/out.png": "the link leads out of the folder",
        "a/more": "links to folders are not followed",
        "a/loop": "links to folders are not followed",
        "c": "links to folders are not followed",
    }


def test_a_broken_file_costs_nothing_but_itself_and_too_many_are_an_error(folder: Path) -> None:
    for i in range(18):
        put(folder / "ab"[i % 2] / f"{i}.png", i)
    for name in ("x\n", "y"):
        (folder / "a" / f"{name}.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"2 of 20 files .*10.0%.* at most 5.0% .*a/x\\n.png"
    ) as error:
        loading.load(folder)
    assert "\n" not in str(error.value)
    made = loading.load(folder, max_bad=0.1)
    assert list(made.files.unreadable) == ["a/x\n.png", "a/y.png"]
    assert len(made.train_labels) + len(made.test_labels) == 18
    for path in folder.rglob("[0-9]*.png"):
        path.unlink()
    with pytest.raises(DataError, match="none of the 2 files"):
        loading.load(folder)


EMPTY = {
    "nothing": ([], "has no folder with images"),
    "mixture": (["train/a/1.png", "test/a/1.png", "more/a/1.png"], r"beside others \(more\)"),
    "twice": (["train/a/1.png", "val/a/1.png", "valid/a/1.png"], "two folders for one split"),
}


@pytest.mark.parametrize(("names", "message"), EMPTY.values(), ids=EMPTY)
def test_a_folder_of_another_kind_is_refused(folder: Path, names, message: str) -> None:
    folder.mkdir()
    for i, name in enumerate(names):
        put(folder / name, i)
    with pytest.raises(DataError, match=message):
        loading.load(folder)
