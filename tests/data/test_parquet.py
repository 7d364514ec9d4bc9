"""Parquet tables of encoded images."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from apparel.core.errors import DataError
from apparel.data import loading
from apparel.data.parquet import process as process_module
from apparel.data.parquet.file import ParquetTable
from apparel.data.parquet.process import reading
from apparel.data.parquet.table import EncodedImages, read_parquet

GREYS = list(range(0, 240, 20))


def encoded(grey: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5), grey, np.uint8)).save(file, "PNG")
    return file.getvalue()


def written(path: Path, columns: dict, names: list[str] | None = None) -> Path:
    table = pa.table(columns)
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    pq.write_table(table, path, row_group_size=5)
    return path


def read(path: Path):
    return read_parquet(path, image_size=None, cache=path.parent / "cache")


@pytest.fixture
def images() -> list[dict]:
    return [{"bytes": encoded(grey), "path": None} for grey in GREYS]


def test_rows_are_read_in_order_by_the_names_of_their_labels(tmp_path: Path, images) -> None:
    path = tmp_path / "set.parquet"
    found = read(written(path, {"image": images, "label": [0, 1, 2] * 4}, ["x", "é", "z"]))
    assert found.images[:, 0, 0, 0].tolist() == GREYS
    assert found.images.shape == (12, 4, 5, 1)
    assert found.labels == ["x", "é", "z"] * 4
    assert found.names[7] == "set.parquet#7"
    assert found.sizes == {(4, 5): 12}


@pytest.mark.parametrize("labels", [["a", "b"] * 6, [7, 8] * 6], ids=["text", "numbers"])
def test_bytes_without_a_structure_and_plain_labels_are_read(tmp_path: Path, labels) -> None:
    columns = {"label": labels, "img": [encoded(grey) for grey in GREYS]}
    found = read(written(tmp_path / "set.parquet", columns))
    assert found.images[:, 0, 0, 0].tolist() == GREYS
    assert found.labels == [str(label) for label in labels]


def test_a_broken_image_is_named(tmp_path: Path, images) -> None:
    images[3]["bytes"], images[8]["bytes"] = b"no image", None
    found = read(written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6}))
    assert list(found.unreadable) == ["set.parquet#3", "set.parquet#8"]
    assert found.labels == ["0", "1", "0", "0", "1", "0", "1", "1", "0", "1"]


def test_rows_are_found_in_any_order(tmp_path: Path, images) -> None:
    path = written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6})
    table = ParquetTable(path)
    rows = EncodedImages(table.facts().group_rows, table.images)
    assert [rows[i] for i in (11, 0, 5, 4)] == [images[i]["bytes"] for i in (11, 0, 5, 4)]
    assert list(rows) == rows[:] == [image["bytes"] for image in images]


BAD = {
    "columns": ({"picture": [b""], "label": [1]}, None, "but has: picture, label"),
    "no label": ({"image": [b""], "class": [1]}, None, "but has: image, class"),
    "missing label": ({"image": [b"", b""], "label": [1, None]}, None, "None in row 1"),
    "float label": ({"image": [b""], "label": [0.5]}, None, "0.5 in row 0"),
    "boolean": ({"image": [b""], "label": [True]}, None, "True in row 0"),
    "no name": ({"image": [b""], "label": [2]}, ["a", "b"], "label 2, but names for 0 to 1"),
    "text": ({"image": [b""], "label": ["a"]}, ["a", "b"], "label 'a', but names"),
}


@pytest.mark.parametrize(("columns", "names", "message"), BAD.values(), ids=BAD)
def test_a_table_of_another_kind_is_refused(tmp_path: Path, columns, names, message) -> None:
    with pytest.raises(DataError, match=message):
        read(written(tmp_path / "set.parquet", columns, names))


@pytest.mark.parametrize("share", range(10))
def test_a_cut_file_is_refused(tmp_path: Path, images, share: int) -> None:
    path = written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * share // 10])
    with pytest.raises(DataError, match="no Parquet file that can be read"):
        loading.load(path)


def test_without_pyarrow_the_command_to_install_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(b"")
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from apparel.cli.main import main; sys.exit(main(['check', 'set.parquet']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'apparel[parquet]'" in done.stderr
    assert "Traceback" not in done.stderr


# -- a file that does the process harm -------------------------------------------------

# Other processes import these.


def crash(_table: ParquetTable) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(_table: ParquetTable) -> None:
    time.sleep(60)


def take_memory(_table: ParquetTable) -> None:
    bytearray(1 << 31)


def print_and_end(_table: ParquetTable) -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'")
    os._exit(1)


def serve_harmful(pipe, name: str, harm) -> None:
    ParquetTable.facts = harm
    process_module._serve(pipe, name)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (crash, "kills the process that reads it"),
        (hang, "takes longer than"),
        (take_memory, "wants more memory than such a file needs"),
        (print_and_end, "kills the process that reads it"),
    ],
)
def test_a_file_that_harms_the_process_is_refused(
    tmp_path: Path, images, monkeypatch: pytest.MonkeyPatch, capfd, harm, said: str
) -> None:
    path = written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6})
    monkeypatch.setattr(process_module, "SECONDS", 1.0)
    monkeypatch.setattr(process_module, "_serve", partial(serve_harmful, harm=harm))
    with pytest.raises(DataError, match=said):
        read(path)
    assert capfd.readouterr() == ("", "")
    assert multiprocessing.active_children() == []


def asked(path: Path, monkeypatch: pytest.MonkeyPatch, *questions: bytes) -> list[bytes]:
    """What the process would answer, without one."""
    monkeypatch.setattr(process_module, "_limit_memory", lambda _: None)
    monkeypatch.setattr(process_module.os, "dup2", lambda *_: None)
    ours, theirs = multiprocessing.Pipe()
    for question in questions:
        ours.send_bytes(question)
    answering = threading.Thread(target=process_module._serve, args=(theirs, str(path)))
    answering.start()
    answers = []
    while ours.poll(10):
        answers.append(ours.recv_bytes())
        if len(answers) == 4 + 4 * len(questions) or answers[-2:-1] == [b"b"]:
            break
    ours.close()
    answering.join(10)
    assert not answering.is_alive()
    return answers


def test_what_the_process_answers(tmp_path: Path, images, monkeypatch) -> None:
    path = written(tmp_path / "set.parquet", {"image": images, "label": [3, 4] * 6})
    told = asked(path, monkeypatch, b"2", b"0")
    assert told[0::2] == [b"g"] * 6
    assert json.loads(told[3]) == [["3", "4"] * 6, [5, 5, 2]]
    encoded = [image["bytes"] for image in images]
    assert json.loads(told[5]) == [len(image) for image in encoded[10:]]
    assert told[7] == b"".join(encoded[10:])
    assert told[11] == b"".join(encoded[:5])
    path.write_bytes(b"no table")
    assert asked(path, monkeypatch)[2] == b"b"


def test_the_process_ends_with_the_block(tmp_path: Path, images) -> None:
    path = written(tmp_path / "set.parquet", {"image": images, "label": [0, 1] * 6})
    with reading(path) as table:
        (process,) = multiprocessing.active_children()
        assert table.images(1) == [image["bytes"] for image in images[5:10]]
        process.kill()
        process.join()
        with pytest.raises(DataError, match="kills the process"):
            table.images(0)
    assert multiprocessing.active_children() == []


def test_a_table_of_many_rows_in_few_bytes_is_refused(tmp_path: Path) -> None:
    columns = {
        "image": pa.array([b"x"] * 3_000_000),
        "label": pa.array([1] * 3_000_000, pa.int64()),
    }
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table(columns), path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match="once it is unpacked"):
        read(path)


def test_a_table_whose_images_unpack_to_far_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    table = pa.table({"image": [b"x", bytes(120_000_000)], "label": [0, 1]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"malloc of size|wants more memory|kills the process"):
        read(path)


def test_what_cannot_be_had_of_a_group_is_told(tmp_path: Path, images) -> None:
    path = tmp_path / "set.parquet"
    table = pa.table({"image": images, "label": ["a", "b"] * 6})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    whole = bytearray(path.read_bytes())
    at = whole.index(images[7]["bytes"])
    whole[at - 9 : at] = b"\xff" * 9  # the length of the image, and what is before
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"no Parquet file that can be read|kills the process"):
        read(path)
    assert list((path.parent / "cache" / "images").iterdir()) == []


def test_a_page_with_a_checksum_is_compared_with_it(tmp_path: Path, images) -> None:
    path = tmp_path / "set.parquet"
    table = pa.table({"image": images, "label": [0, 1] * 6})
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    whole = bytearray(path.read_bytes())
    whole[whole.index(images[3]["bytes"]) + 20] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="no Parquet file that can be read"):
        read(path)
