"""Parquet files of encoded images: read in this process, in a subprocess, and as a table."""

import json
import multiprocessing
import os
import signal
import sys
import time
from functools import partial
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apparel.core.errors import ApparelError, DataError, DataUnavailableError
from apparel.data import loading
from apparel.data.inputs.shards import RowShard, images_of, row_shards
from apparel.data.parquet import process
from apparel.data.parquet.process import ParquetProcess
from apparel.data.parquet.reader import ParquetReader
from apparel.data.parquet.table import EncodedImages, read_parquet
from tests.data.made_parquet import GREYS, PICTURES, rows, written


def shard_of(path, n_images, groups=(0, 1)):
    return RowShard(
        place=str(path), digest="", groups=groups, skipped=0, first_row=0, n_images=n_images
    )


@pytest.fixture
def images():
    return [{"bytes": picture, "path": None} for picture in PICTURES]


@pytest.fixture
def table(tmp_path, images):
    return written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6})


@pytest.fixture
def here(monkeypatch):
    """Read tables in this process, where no test is about the other one."""

    class Here(ParquetReader):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("apparel.data.parquet.table.ParquetProcess", Here)


# -- tables of images and labels ---------------------------------------------------------


def test_rows_are_read_in_order_by_the_names_of_their_labels(tmp_path, images):
    path = tmp_path / "set.parquet"
    found = read_parquet(written(path, {"image": images, "label": [0, 1, 2] * 4}, ["x", "é", "z"]))
    assert found.images[:, 0, 0, 0].tolist() == GREYS
    assert found.images.shape == (12, 4, 5, 1)
    assert found.labels == ["x", "é", "z"] * 4
    assert found.names[7] == "set.parquet#7"
    assert found.sizes == {(4, 5): 12}
    assert multiprocessing.active_children() == []
    # Bytes without a structure, and labels without names.
    columns = {"label": ["7", "a"] * 6, "img": PICTURES}
    found = read_parquet(written(tmp_path / "other.parquet", columns))
    assert found.images[:, 0, 0, 0].tolist() == GREYS
    assert found.labels == ["7", "a"] * 6


def test_a_broken_image_is_named(tmp_path, here, images):
    images[3]["bytes"], images[8]["bytes"] = b"no image", None
    found = read_parquet(written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6}))
    assert list(found.unreadable) == ["set.parquet#3", "set.parquet#8"]
    assert found.labels == ["0", "1", "0", "0", "1", "0", "1", "1", "0", "1"]


def test_rows_are_found_in_any_order(table, images):
    reader = ParquetReader()
    found = EncodedImages(str(table), reader.footer(str(table)), reader)
    assert [found[i] for i in (11, 0, 5, 4)] == [images[i]["bytes"] for i in (11, 0, 5, 4)]
    assert list(found) == found[:] == [image["bytes"] for image in images]


BAD = {
    "no image": ({"picture": [b""], "label": [1]}, None, "column image, but has: picture, label"),
    "no label": ({"image": [b""], "class": [1]}, None, "column label, but has: image, class"),
    "missing label": ({"image": [b"", b""], "label": [1, None]}, None, "None in row 1"),
    "boolean": ({"image": [b""], "label": [True]}, None, "True in row 0"),
    "no name": ({"image": [b""], "label": [2]}, ["a", "b"], "label 2 in row 0, but names for 0 to"),
}


@pytest.mark.parametrize(("columns", "names", "message"), BAD.values(), ids=BAD)
def test_a_table_of_another_kind_is_refused(tmp_path, here, columns, names, message):
    with pytest.raises(DataError, match=message):
        read_parquet(written(tmp_path / "set.parquet", columns, names))


@pytest.mark.parametrize("share", [0, 5, 9])
def test_a_cut_file_is_refused(table, here, share):
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) * share // 10])
    with pytest.raises(DataError, match="no Parquet file that can be read"):
        loading.load(table)


def test_a_table_of_many_rows_in_few_bytes_is_refused(tmp_path, here):
    columns = {"image": pa.array([b"x"] * 80_000), "label": pa.array([1] * 80_000, pa.int64())}
    path = written(tmp_path / "set.parquet", columns, row_group_size=80_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="to unpack to 20,480,000"):
        read_parquet(path)


# -- files, read in this process ---------------------------------------------------------


def test_a_row_without_an_image_is_empty(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [None, {"bytes": b"x"}, {"bytes": None}]}), path)
    assert list(ParquetReader().images(shard_of(path, 3))) == [[b"", b"x", b""]]
    pq.write_table(pa.table({"image": ["text", None]}), path)
    assert list(ParquetReader().images(shard_of(path, 2))) == [[b"", b""]]


def test_without_pyarrow_the_command_to_install_it_is_named(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ApparelError, match=r"pip install 'apparel\[parquet\]'"):
        ParquetReader().footer(str(table))


# -- files, read in a subprocess ---------------------------------------------------------


@pytest.fixture(scope="module")
def parquet():
    with ParquetProcess() as opened:
        yield opened


def test_a_subprocess_reads_the_same(tmp_path, parquet):
    path = tmp_path / "t.parquet"
    images = rows(path, 300, 90)
    reader = ParquetReader()
    footer = parquet.footer(str(path))
    assert footer == reader.footer(str(path))
    assert list(parquet.labels(path)) == list(reader.labels(path)) == [["0"] * 300]
    shards = list(row_shards(str(path), footer))
    assert [image for shard in shards for _, image in images_of(shard, parquet)] == images
    first = parquet.images(shards[0])
    next(first)
    first.close()  # the rest of its answer is not taken for the next one's
    assert [image for shard in shards for _, image in images_of(shard, parquet)] == images


def test_a_file_that_was_changed_is_named(tmp_path, parquet):
    rows(tmp_path / "t.parquet", 3, 5)
    for reader in (ParquetReader(), parquet):
        with pytest.raises(DataError, match=r"t\.parquet has 2 fewer rows than it claims, or was"):
            list(reader.images(shard_of(tmp_path / "t.parquet", 5)))


def test_a_file_whose_images_unpack_to_far_more_is_refused(tmp_path, parquet):
    path = tmp_path / "set.parquet"
    table = pa.table({"image": [b"x", bytes(120_000_000)], "label": [0, 1]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"malloc of size|wants more memory|kills the process"):
        list(parquet.images(shard_of(path, 2)))


def test_a_file_that_kills_the_process_is_named_and_the_next_one_read(table):
    with ParquetProcess() as parquet:
        parquet.footer(str(table))
        os.kill(parquet._process.pid, signal.SIGKILL)
        parquet._process.join()
        with pytest.raises(DataError, match=r"set\.parquet kills the process that reads it"):
            list(parquet.images(shard_of(table, 5)))
        assert len(parquet.footer(str(table)).group_rows) == 3
    assert multiprocessing.active_children() == []


# Other processes import these.


def hang(*_):
    time.sleep(60)


def take_memory(*_):
    bytearray(1 << 31)


def print_and_end(*_):
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'")
    os._exit(1)


def serve_harmful(pipe, harm):
    ParquetReader.labels = harm
    process.serve(pipe)


@pytest.mark.security
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (hang, "takes longer than"),
        (take_memory, "wants more memory than such a file needs"),
        (print_and_end, "kills the process that reads it"),
    ],
)
def test_a_file_that_harms_the_process_is_refused(table, monkeypatch, capfd, harm, said):
    if harm is hang:
        monkeypatch.setattr(process, "SECONDS", 1.0)
    monkeypatch.setattr(process, "serve", partial(serve_harmful, harm=harm))
    with pytest.raises(DataError, match=said):
        read_parquet(table)
    assert capfd.readouterr() == ("", "")
    assert multiprocessing.active_children() == []


def test_an_answer_is_json_and_bytes(table, images):
    def answers(*question):
        sent = []
        process.answer(SimpleNamespace(send_bytes=sent.append), question)
        return sent

    contents = [image["bytes"] for image in images][1:3]
    sizes = json.dumps([len(content) for content in contents]).encode()
    found = answers("images", str(table), 0, 1, 1, 2)
    assert found == [b"null", sizes, b"null", b"".join(contents), b"[]"]
    names = json.dumps(["0", "1"] * 6).encode()
    assert answers("labels", str(table)) == [b"null", names, b"[]"]
    assert json.loads(*answers("footer", "missing.parquet"))[0] == "DataError"
    assert type(process._as_error("DataUnavailableError", "x")) is DataUnavailableError
