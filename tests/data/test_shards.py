"""Images of any number, wherever they are, in shards."""

import sys
from pathlib import Path

import pytest

from apparel.core.errors import ApparelError, DataError, DataUnavailableError
from apparel.data import storage
from apparel.data.inputs import shards
from apparel.data.inputs.shards import FileShard, describe, find_shards, images_of
from apparel.data.parquet.reader import ParquetReader
from tests.data.made_parquet import rows


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())


def all_images(found):
    return [image for shard in found for image in images_of(shard, ParquetReader())]


def shards_of(*paths):
    return find_shards([str(path) for path in paths], ParquetReader())


# -- files ---------------------------------------------------------------------------------


def test_files_are_divided_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "FILES", 3)
    touch(tmp_path / "d", *(f"{k}.png" for k in range(5)), "notes.txt")
    touch(tmp_path, "z.jpg", "a.bin")
    found = shards_of(tmp_path / "z.jpg", tmp_path / "d", tmp_path / "a.bin")
    assert [shard.n_images for shard in found] == [3, 3, 1]
    names = [str(tmp_path / name) for name in ("z.jpg", *(f"d/{k}.png" for k in range(5)), "a.bin")]
    assert all_images(found) == [(name, name) for name in names]
    assert describe(found[0]) == f"{names[0]} to {names[2]}"


def test_a_table_among_files_keeps_its_place(tmp_path):
    touch(tmp_path, "a.png", "b.png")
    rows(tmp_path / "t.parquet", 2, 2)
    found = shards_of(tmp_path / "a.png", tmp_path / "t.parquet", tmp_path / "b.png")
    assert [name for name, _ in all_images(found)] == [
        str(tmp_path / "a.png"), "t.parquet#0", "t.parquet#1", str(tmp_path / "b.png")
    ]  # fmt: skip


# -- CSV tables ----------------------------------------------------------------------------


def test_a_table_lists_files_relative_to_itself(tmp_path):
    (tmp_path / "t.csv").write_text(
        f"label,path\n1,d/a.png\n2,{tmp_path}/b.png\n3,file:///c.png\n", encoding="utf-8-sig"
    )
    (shard,) = shards_of(tmp_path / "t.csv")
    assert shard.names == ("d/a.png", f"{tmp_path}/b.png", "file:///c.png")
    assert shard.places == (f"{tmp_path}/d/a.png", f"{tmp_path}/b.png", "file:///c.png")
    (tmp_path / "t.csv").write_text("path\nd/a.png\n")
    (shard,) = shards_of(f"file://{tmp_path}/t.csv")
    assert shard.places == (f"file://{tmp_path}/d/a.png",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,label\na,1\n", r"t\.csv should have the column path, but has: file, label"),
        (b"path,label\na,1\n,2\n", r"line 3 of .*t\.csv lacks a path"),
        (b"path\n\xff\n", r"t\.csv cannot be read as a table in UTF-8"),
        (b"path\n" + b"x" * (storage.LONGEST_LINE + 1), "a line of more than 4,194,304 letters"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        shards_of(tmp_path / "t.csv")


# -- rows of Parquet files -------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [True, False])
def test_rows_are_called_by_their_place_in_the_file(tmp_path, monkeypatch, wrap):
    monkeypatch.setattr(shards, "FILES", 5)
    images = rows(tmp_path / "t.parquet", 11, 2, wrap=wrap, column="img")
    found = shards_of(tmp_path / "t.parquet")
    assert [(p.groups, p.first_row, p.n_images) for p in found] == [
        ((0, 2), 0, 4), ((2, 4), 4, 4), ((4, 6), 8, 3)
    ]  # fmt: skip
    assert all_images(found) == [(f"t.parquet#{k}", image) for k, image in enumerate(images)]
    assert describe(found[1]) == f"rows 4 to 7 of {tmp_path}/t.parquet"


def test_a_large_group_is_divided_and_all_its_rows_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "FILES", 50)
    monkeypatch.setattr(shards, "LARGE_GROUP", 100)
    monkeypatch.setattr(shards, "LARGEST_ROWS", 64)
    images = rows(tmp_path / "t.parquet", 1000, 600)
    found = shards_of(tmp_path / "t.parquet")
    assert [p.n_images for p in found[:8]] == [75] * 8
    assert len(found) == 8 + 7
    assert all_images(found) == [(f"t.parquet#{k}", image) for k, image in enumerate(images)]


# -- object storage ------------------------------------------------------------------------


def test_a_folder_in_object_storage_is_like_one_here(tmp_path):
    touch(tmp_path / "d", "b.PNG", "a.jpeg", "c.txt", ".hidden.png")
    (tmp_path / "d" / "inside.png").mkdir()
    (shard,) = shards_of(f"file://{tmp_path}/d")
    assert all_images([shard]) == [
        (f"file://{tmp_path}/d/a.jpeg", b"a.jpeg"), (f"file://{tmp_path}/d/b.PNG", b"b.PNG")
    ]  # fmt: skip
    assert shard.sizes == (6, 5)
    touch(tmp_path / "d", "b.png", "a.png", "a[1].png")
    found = all_images(shards_of(f"file://{tmp_path}/d/?.png", f"file://{tmp_path}/d/a[1].png"))
    assert [content for _, content in found] == [b"a.png", b"b.png", b"a[1].png"]
    images = rows(tmp_path / "tables" / "t.parquet", 7, 3)
    found = all_images(shards_of(f"file://{tmp_path}/tables"))
    assert found == [(f"t.parquet#{k}", image) for k, image in enumerate(images)]


def test_many_files_are_fetched_some_at_a_time(tmp_path, monkeypatch):
    names = [f"{k:02}.png" for k in range(40)]
    touch(tmp_path / "d", *names)
    fetched = []
    fetch = storage.fetch
    monkeypatch.setattr(storage, "fetch", lambda urls: fetched.append(len(urls)) or fetch(urls))
    found = all_images(shards_of(f"file://{tmp_path}/d"))
    assert [content for _, content in found] == [name.encode() for name in names]
    assert fetched == [16, 16, 8]
    # A file that is gone is left to the decoder.
    shard = FileShard(names=("x",), places=(f"file://{tmp_path}/x",), sizes=(-1,))
    assert all_images([shard]) == [("x", f"file://{tmp_path}/x")]


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("file://{}/missing", DataError, "there is no file or folder file://.*missing"),
        ("file://{}/*.gif", DataError, "no file fits the pattern"),
        ("file://{}", DataError, "holds no image"),
        ("nowhere://x", DataError, "is no place that can be read"),
        ("s3://bucket/x", ApparelError, "s3://bucket/x needs a package that is not inst.*s3fs"),
    ],
)
def test_a_place_that_cannot_be_read_is_named(tmp_path, url, error, message):
    with pytest.raises(ApparelError, match=message) as refused:
        shards_of(url.format(tmp_path))
    assert type(refused.value) is error


def test_a_storage_that_refuses_and_a_package_that_is_missing_are_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png")
    (shard,) = shards_of(f"file://{tmp_path}/a.png")

    def denied(*_, **__):
        raise PermissionError("Forbidden")

    system = type(storage.filesystem("file:///")[0])
    monkeypatch.setattr(system, "cat_file", denied)
    with pytest.raises(DataUnavailableError, match=r"a\.png cannot be reached \(Forbidden\)"):
        all_images([shard])
    monkeypatch.setattr(system, "isdir", denied)
    with pytest.raises(DataUnavailableError, match=r"cannot be reached \(Forbidden\)"):
        shards_of(f"file://{tmp_path}")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ApparelError, match="pip install fsspec"):
        shards_of("s3://bucket/x")


def test_a_drive_is_no_url():
    assert not storage.is_url("c:/x")
    assert not storage.is_url(str(Path("/x")))
    assert storage.is_url("gs://x")
