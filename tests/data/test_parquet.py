"""Parquet tables of encoded images."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from apparel import data
from apparel.data.parquet import EncodedImages, read_parquet
from apparel.errors import DataError

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
    rows = EncodedImages(pq.ParquetFile(path), "image")
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
        data.load(path)


def test_without_pyarrow_the_command_to_install_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(b"")
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from apparel.cli import main; sys.exit(main(['check', 'set.parquet']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'apparel[parquet]'" in done.stderr
    assert "Traceback" not in done.stderr
