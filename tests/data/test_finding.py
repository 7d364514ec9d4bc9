"""Paths as people name them."""

import io
import os
from pathlib import Path

import pytest

from apparel.core.errors import DataError
from apparel.data.inputs import finding
from apparel.data.inputs.finding import FoundTable, find_sources


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def find(*paths):
    return list(find_sources([str(path) for path in paths]))


def relative(found, folder):
    assert all(image.name == image.place and image.n_bytes == -1 for image in found)
    return [image.name.removeprefix(f"{folder}/") for image in found]


def test_files_keep_their_order_and_a_folder_stands_for_its_sorted_images(tmp_path):
    touch(tmp_path / "d", "b.PNG", "a.jpeg", "c.txt", "10.webp", ".hidden")
    touch(tmp_path, "z.png", "a.txt")
    found = find(tmp_path / "z.png", str(tmp_path / "d"), tmp_path / "a.txt")
    assert relative(found, tmp_path) == ["z.png", "d/10.webp", "d/a.jpeg", "d/b.PNG", "a.txt"]


def test_a_pattern_stands_for_the_sorted_files_that_fit(tmp_path):
    touch(tmp_path / "d", "b.png", "c.png", "a.png", "d.png", "c.jpg")
    touch(tmp_path / "e", "d.png")
    (tmp_path / "d" / "f.png").mkdir()
    found = find(tmp_path / "d" / "*.png", tmp_path / "**" / "?.jpg")
    assert relative(found, tmp_path) == [*(f"d/{k}.png" for k in "abcd"), "d/c.jpg"]

    touch(tmp_path, "a[1].png", "a1.png")
    assert relative(find(tmp_path / "a[1].png"), tmp_path) == ["a[1].png"]
    with pytest.raises(DataError, match=r"no file fits the pattern .*\*\.bmp"):
        find(tmp_path / "*.bmp")
    with pytest.raises(DataError, match=r"there is no file or folder .*missing\.png"):
        find(tmp_path / "a1.png", tmp_path / "missing.png")


def test_a_folder_without_images_is_refused(tmp_path):
    touch(tmp_path / "d", "notes.txt")
    with pytest.raises(DataError, match=r"holds no image.*\.bmp, \.gif"):
        find(tmp_path / "d")
    touch(tmp_path / "d", "b.parquet", "a.parquet", ".c.parquet")
    assert find(tmp_path / "d") == [FoundTable(f"{tmp_path}/d/{name}.parquet") for name in "ab"]
    touch(tmp_path / "d", "x.png")
    assert relative(find(tmp_path / "d"), tmp_path) == ["d/x.png"]


@pytest.mark.parametrize(
    "name",
    [
        "x" * 300, "a\0b", "a\0b*", "deep/" * 900 + "*", os.fsdecode(b"latin\xe9*"),
        "bell\x07\x1b[2J", "two\nlines*", "[" * 200, "[ab]*" * 5000, "**/" * 30 + "x",
    ],
)  # fmt: skip
def test_a_name_that_no_file_can_have_is_refused_on_one_line(tmp_path, name):
    with pytest.raises(DataError) as refused:
        find(f"{tmp_path}/{name}")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 3000


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def denied(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(DataError, match=r"the folder .* cannot be read \(Permission denied\)"):
        find(tmp_path)


def test_standard_input_without_an_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(finding, "MAX_FILE_BYTES", 1000)
    endless = io.BytesIO(b"x" * 5000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(endless))
    ((name, content, _),) = find("-")
    assert name == "-"
    assert len(content) == 1001
