"""Images of any number, wherever they are, in parts."""

import io
import json
import os
import random
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apparel.core.errors import ApparelError, DataError, DataUnavailableError
from apparel.data import inputs
from apparel.data.inputs import (
    FilePart,
    RowPart,
    find_parts,
    finding,
    images_of,
    path_table,
    shown,
    storage,
)
from apparel.data.inputs.parts import Footer
from apparel.data.parquet import apart
from apparel.data.parquet.apart import RowsApart
from apparel.data.parquet.rows import RowsHere


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())


def table(path, n, group_rows, *, column="image", wrap=True, of=str(0)):
    """A Parquet file whose image k is `<of> k`."""
    images = [f"{of} {k}".encode() for k in range(n)]
    values = [{"bytes": image, "path": "p"} for image in images] if wrap else images
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": [0] * n, column: values}), path, row_group_size=group_rows)
    return images


def all_images(parts, rows=None):
    return [image for part in parts for image in images_of(part, rows or RowsHere())]


def parts_of(*paths):
    return find_parts([str(path) for path in paths], RowsHere())


# -- files ---------------------------------------------------------------------------------


def test_files_are_divided_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "FILES", 3)
    touch(tmp_path / "d", *(f"{k}.png" for k in range(5)), "notes.txt")
    touch(tmp_path, "z.jpg", "a.bin")
    parts = parts_of(tmp_path / "z.jpg", tmp_path / "d", tmp_path / "a.bin")
    assert [part.n_images for part in parts] == [3, 3, 1]
    names = [str(tmp_path / name) for name in ("z.jpg", *(f"d/{k}.png" for k in range(5)), "a.bin")]
    assert all_images(parts) == [(name, name) for name in names]
    assert shown(parts[0]) == f"{names[0]} to {names[2]}"


def test_standard_input_is_an_image_like_others(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"an image")))
    (part,) = parts_of("-")
    assert all_images([part]) == [("-", b"an image")]


def test_a_table_among_files_keeps_its_place(tmp_path):
    touch(tmp_path, "a.png", "b.png")
    table(tmp_path / "t.parquet", 2, 2)
    parts = parts_of(tmp_path / "a.png", tmp_path / "t.parquet", tmp_path / "b.png")
    assert [name for name, _ in all_images(parts)] == [
        str(tmp_path / "a.png"), "t.parquet#0", "t.parquet#1", str(tmp_path / "b.png")
    ]  # fmt: skip


def test_a_folder_without_images_stands_for_its_parquet_files(tmp_path):
    for name in ("b.parquet", "a.PARQUET", ".c.parquet"):
        table(tmp_path / "d" / name, 1, 1, of=name)
    touch(tmp_path / "d", "notes.txt")
    assert [name for name, _ in all_images(parts_of(tmp_path / "d"))] == ["b.parquet#0"]
    touch(tmp_path / "d", "x.png")
    assert [name for name, _ in all_images(parts_of(tmp_path / "d"))] == [
        str(tmp_path / "d" / "x.png")
    ]


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no file or folder .*missing"):
        parts_of(tmp_path / "missing")
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        parts_of(tmp_path / "d")


# -- CSV tables ----------------------------------------------------------------------------


def test_a_table_lists_files_relative_to_itself(tmp_path):
    (tmp_path / "t.csv").write_text(
        f"label,path\n1,d/a.png\n2,{tmp_path}/b.png\n3,file:///c.png\n", encoding="utf-8-sig"
    )
    (part,) = parts_of(tmp_path / "t.csv")
    assert part.names == ("d/a.png", f"{tmp_path}/b.png", "file:///c.png")
    assert part.places == (f"{tmp_path}/d/a.png", f"{tmp_path}/b.png", "file:///c.png")


def test_a_table_in_object_storage_lists_files_there(tmp_path):
    (tmp_path / "t.csv").write_text("path\nd/a.png\n")
    (part,) = parts_of(f"file://{tmp_path}/t.csv")
    assert part.places == (f"file://{tmp_path}/d/a.png",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,label\na,1\n", r"t\.csv should have the column path, but has: file, label"),
        (b"", "should have the column path, but has: none"),
        (b"path,label\na,1\n,2\n", r"line 3 of .*t\.csv lacks a path"),
        (b"path\n\xff\n", r"t\.csv cannot be read as a table in UTF-8"),
        (b"path\n" + b"x" * 70_000, "a line of more than 65,536 letters"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        parts_of(tmp_path / "t.csv")


# -- rows of Parquet files -------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [True, False])
def test_rows_are_called_by_their_place_in_the_file(tmp_path, monkeypatch, wrap):
    monkeypatch.setattr(finding, "FILES", 5)
    images = table(tmp_path / "t.parquet", 11, 2, wrap=wrap, column="img")
    parts = parts_of(tmp_path / "t.parquet")
    assert [(p.groups, p.first_row, p.n_images) for p in parts] == [
        ((0, 2), 0, 4), ((2, 4), 4, 4), ((4, 6), 8, 3)
    ]  # fmt: skip
    assert all_images(parts) == [(f"t.parquet#{k}", image) for k, image in enumerate(images)]
    assert shown(parts[1]) == f"rows 4 to 7 of {tmp_path}/t.parquet"


def test_a_large_group_is_divided_and_all_its_rows_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "FILES", 50)
    monkeypatch.setattr(finding, "LARGE_GROUP", 100)
    monkeypatch.setattr(finding, "LARGEST_ROWS", 64)
    images = table(tmp_path / "t.parquet", 1000, 600)
    parts = parts_of(tmp_path / "t.parquet")
    assert [p.n_images for p in parts[:8]] == [75] * 8
    assert len(parts) == 8 + 7
    assert [image for _, image in all_images(parts)] == images


@pytest.mark.parametrize("seed", range(5))
def test_each_row_of_any_file_is_in_one_part(seed, monkeypatch):
    monkeypatch.setattr(finding, "FILES", 50)
    monkeypatch.setattr(finding, "LARGE_GROUP", 200)
    draw = random.Random(seed)  # noqa: S311  # a test
    groups = [draw.choice([0, 1, 7, 40, 51, 190, 999]) for _ in range(30)]
    rows = [(group, k) for group, n in enumerate(groups) for k in range(n)]
    found = []
    for part in finding.row_parts("x", Footer(groups, "")):
        inside = [row for row in rows if part.groups[0] <= row[0] < part.groups[1]]
        assert rows.index(inside[part.skipped]) == part.first_row
        found += inside[part.skipped : part.skipped + part.n_images]
        assert len({group for group, _ in inside}) == 1 or part.n_images <= 50
    assert found == rows


def test_a_row_without_an_image_is_empty(tmp_path):
    pq.write_table(
        pa.table({"image": [None, {"bytes": b"x"}, {"bytes": None}]}), tmp_path / "t.parquet"
    )
    assert [image for _, image in all_images(parts_of(tmp_path / "t.parquet"))] == [b"", b"x", b""]
    pq.write_table(pa.table({"image": ["text", None]}), tmp_path / "t.parquet")
    assert [image for _, image in all_images(parts_of(tmp_path / "t.parquet"))] == [b"", b""]


def test_a_footer_says_more_about_a_file_than_its_rows(tmp_path):
    table(tmp_path / "a.parquet", 3, 2)
    table(tmp_path / "b.parquet", 3, 2, of="xyz")
    a, b = (RowsHere().footer(str(tmp_path / f"{name}.parquet")) for name in "ab")
    assert a.group_rows == b.group_rows == [2, 1]
    assert a.digest != b.digest


@pytest.mark.parametrize("rows", [RowsHere, RowsApart])
def test_what_is_no_table_of_images_is_refused(tmp_path, rows):
    touch(tmp_path, "t.parquet")
    table(tmp_path / "u.parquet", 2, 2, column="picture")
    asked = rows()
    with pytest.raises(DataError, match=r"t\.parquet is no Parquet file that can be read"):
        asked.footer(str(tmp_path / "t.parquet"))
    with pytest.raises(DataError, match=r"u\.parquet should have the column image.*label, picture"):
        asked.footer(str(tmp_path / "u.parquet"))


@pytest.mark.parametrize("rows", [RowsHere, RowsApart])
def test_a_file_that_was_changed_is_named(tmp_path, rows):
    table(tmp_path / "t.parquet", 5, 5)
    (part,) = parts_of(tmp_path / "t.parquet")
    table(tmp_path / "t.parquet", 3, 5)
    with pytest.raises(DataError, match=r"t\.parquet has 2 rows less than it says, or was changed"):
        list(rows().images(part))


def test_without_pyarrow_the_package_is_named(tmp_path, monkeypatch):
    table(tmp_path / "t.parquet", 2, 2)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ApparelError, match=r"pip install 'apparel\[parquet\]'"):
        parts_of(tmp_path / "t.parquet")


# -- rows, read in another process -------------------------------------------------------------


def test_another_process_reads_the_same(tmp_path):
    images = table(tmp_path / "t.parquet", 300, 90)
    with RowsApart() as rows:
        parts = find_parts([str(tmp_path / "t.parquet")], rows)
        assert parts == parts_of(tmp_path / "t.parquet")
        assert [image for _, image in all_images(parts, rows)] == images
        first = rows.images(parts[0])
        next(first)
        first.close()  # what is left of its answer is not taken for the next one's
        assert [image for _, image in all_images(parts, rows)] == images
    assert rows._process is None


def test_a_file_that_kills_the_process_is_named_and_the_next_one_read(tmp_path):
    table(tmp_path / "t.parquet", 3, 3)
    (part,) = parts_of(tmp_path / "t.parquet")
    with RowsApart() as rows:
        rows.footer(part.place)
        os.kill(rows._process.pid, signal.SIGKILL)
        rows._process.join()
        with pytest.raises(DataError, match=r"t\.parquet kills the process that reads it"):
            list(rows.images(part))
        assert len(all_images([part], rows)) == 3


def test_a_file_that_takes_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "SECONDS", 0.0)
    with RowsApart() as rows, pytest.raises(DataError, match="takes longer than 0 seconds"):
        rows.footer(str(tmp_path / "t.parquet"))


class Pipe:
    def __init__(self):
        self.sent = []

    def send_bytes(self, content):
        self.sent.append(content)


def test_an_answer_is_json_and_bytes(tmp_path):
    images = table(tmp_path / "t.parquet", 3, 3)
    place = str(tmp_path / "t.parquet")
    pipe = Pipe()
    apart.answer(pipe, ["images", place, 0, 1, 1, 2])
    assert pipe.sent == [b"null", b"[3, 3]", b"null", b"".join(images[1:]), b"[]"]
    pipe = Pipe()
    apart.answer(pipe, ["footer", place])
    assert json.loads(pipe.sent[1])[0] == [3]
    for broken, error in (
        (MemoryError(), "DataError"),
        (DataUnavailableError("x"), "DataUnavailableError"),
    ):
        pipe = Pipe()

        def fail(*_, broken=broken):
            raise broken

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RowsHere, "footer", fail)
            apart.answer(pipe, ["footer", place])
        ((kind, _),) = map(json.loads, pipe.sent)
        assert kind == error
        assert type(apart._problem(kind, "x")).__name__ == error


# -- object storage ------------------------------------------------------------------------


def test_a_folder_in_object_storage_is_like_one_here(tmp_path):
    touch(tmp_path / "d", "b.PNG", "a.jpeg", "c.txt", ".hidden.png")
    (tmp_path / "d" / "inside.png").mkdir()
    (part,) = parts_of(f"file://{tmp_path}/d")
    assert all_images([part]) == [
        (f"file://{tmp_path}/d/a.jpeg", b"a.jpeg"), (f"file://{tmp_path}/d/b.PNG", b"b.PNG")
    ]  # fmt: skip
    assert part.sizes == (6, 5)


def test_a_pattern_and_a_file_in_object_storage(tmp_path):
    touch(tmp_path / "d", "b.png", "a.png", "a[1].png")
    found = all_images(parts_of(f"file://{tmp_path}/d/?.png", f"file://{tmp_path}/d/a[1].png"))
    assert [content for _, content in found] == [b"a.png", b"b.png", b"a[1].png"]


def test_parquet_files_in_object_storage(tmp_path):
    images = table(tmp_path / "d" / "t.parquet", 7, 3)
    found = all_images(parts_of(f"file://{tmp_path}/d"))
    assert found == [(f"t.parquet#{k}", image) for k, image in enumerate(images)]


def test_many_files_are_fetched_some_at_a_time(tmp_path, monkeypatch):
    names = [f"{k:02}.png" for k in range(40)]
    touch(tmp_path / "d", *names)
    fetched = []
    fetch = storage.fetch
    monkeypatch.setattr(storage, "fetch", lambda urls: fetched.append(len(urls)) or fetch(urls))
    found = all_images(parts_of(f"file://{tmp_path}/d"))
    assert [content for _, content in found] == [name.encode() for name in names]
    assert fetched == [16, 16, 8]


def test_a_file_that_is_gone_is_left_to_who_decodes(tmp_path):
    part = FilePart(names=("x",), places=(f"file://{tmp_path}/x",), sizes=(-1,))
    assert all_images([part]) == [("x", f"file://{tmp_path}/x")]


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("file://{}/missing", DataError, "there is no file or folder file://.*missing"),
        ("file://{}/*.gif", DataError, "no file fits the pattern"),
        ("file://{}", DataError, "holds no image"),
        ("nowhere://x", DataError, "is no place that can be read"),
        (
            "s3://bucket/x",
            ApparelError,
            "s3://bucket/x needs a package that is not installed.*s3fs",
        ),
    ],
)
def test_a_place_that_cannot_be_read_is_named(tmp_path, url, error, message):
    with pytest.raises(ApparelError, match=message) as refused:
        parts_of(url.format(tmp_path))
    assert type(refused.value) is error


def test_a_storage_that_refuses_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png")
    (part,) = parts_of(f"file://{tmp_path}/a.png")

    def denied(*_, **__):
        raise PermissionError("Forbidden")

    system = type(inputs.filesystem("file:///")[0])
    monkeypatch.setattr(system, "cat_file", denied)
    with pytest.raises(DataUnavailableError, match=r"a\.png cannot be reached \(Forbidden\)"):
        all_images([part])
    monkeypatch.setattr(system, "isdir", denied)
    with pytest.raises(DataUnavailableError, match=r"cannot be reached \(Forbidden\)"):
        parts_of(f"file://{tmp_path}")


def test_without_fsspec_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ApparelError, match="pip install fsspec"):
        parts_of("s3://bucket/x")


def test_a_drive_is_no_url():
    assert not inputs.is_url("c:/x")
    assert not inputs.is_url(str(Path("/x")))
    assert inputs.is_url("gs://x")


def test_a_part_is_a_value():
    rows = RowPart(place="p", digest="d", groups=(0, 1), skipped=0, first_row=0, n_images=2)
    assert rows == RowPart(place="p", digest="d", groups=(0, 1), skipped=0, first_row=0, n_images=2)
    assert path_table.COLUMN == "path"
