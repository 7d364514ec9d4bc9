"""`apparel predict` with a model file whose answers are known."""

import csv
import subprocess
import sys

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from apparel.cli import predict as command
from apparel.core.errors import DataError
from apparel.data.sources import fashion_mnist
from tests import made_model
from tests.made_model import MadeModel

FASHION = (28, 28, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return MadeModel(tmp_path_factory.mktemp("model") / "m.onnx", FASHION, threshold=0.5)


@pytest.fixture(scope="module")
def test_images():
    (_, _), (images, _) = keras.datasets.fashion_mnist.load_data()
    return images[..., None]


# -- Fashion-MNIST by name ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("names", [("HOME",), ("HOME", "KERAS_HOME")])
def test_keras_home_is_found_without_keras(names, monkeypatch, tmp_path):
    environment = {name: str(tmp_path / name) for name in names}
    (tmp_path / "HOME").mkdir()  # in place of one that cannot be written to, Keras takes /tmp
    code = "import keras; print(keras.src.backend.config.keras_home())"
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(fashion_mnist.keras_home()) == done.stdout.strip()


def test_a_model_for_other_images_refuses_fashion_mnist(tmp_path):
    other = MadeModel(tmp_path / "m.onnx")
    with pytest.raises(DataError, match="28 x 28 x 1, but the model takes 8 x 9 x 1"):
        command.predict_files(other.path, ["fashion-mnist:test[0:1]"])


# -- explanations ---------------------------------------------------------------------------


def test_each_image_that_was_read_is_explained(made, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"x")
    Image.new("L", (28, 28), 9).save(tmp_path / "a.png")
    paths = [str(tmp_path / "broken.png"), str(tmp_path / "a.png")]
    n_failed = command.predict_files(made.path, paths, explain=tmp_path / "why")
    assert n_failed == 1
    (picture,) = (tmp_path / "why").iterdir()
    assert picture.name.startswith("00001-a-")
    assert f"Written: {tmp_path / 'why'}, 1 explanations\n" in capsys.readouterr().out


# -- sources of all kinds ------------------------------------------------------------------


def test_images_of_all_sources_are_answered_in_order(made, test_images, tmp_path, capsys):
    (tmp_path / "d").mkdir()
    for k in range(3):
        Image.fromarray(test_images[k, ..., 0]).save(tmp_path / "d" / f"{k}.png")
    encoded = [(tmp_path / "d" / f"{k}.png").read_bytes() for k in range(3)]
    pq.write_table(pa.table({"image": [*encoded, b"broken"]}), tmp_path / "t.parquet")
    (tmp_path / "l.csv").write_text("path\nd/0.png\nd/missing.png\n")
    sources = ["fashion-mnist:test[0:2]", f"{tmp_path / 'd'}", f"{tmp_path / 't.parquet'}",
               f"file://{tmp_path}/l.csv", "fashion-mnist:test[1:2]"]  # fmt: skip
    output = tmp_path / "o.csv"
    assert command.predict_files(made.path, sources, output=output, exact=True) == 2
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        **{f"fashion-mnist:test[{k}]": k for k in range(2)},
        **{str(tmp_path / "d" / f"{k}.png"): k for k in range(3)},
        **{f"t.parquet#{k}": k for k in range(3)},
        "t.parquet#3": None,
        "d/0.png": 0,
        "d/missing.png": None,
    }
    assert [row["file"] for row in rows] == [*expected, "fashion-mnist:test[1]"]
    probabilities = made.probabilities(test_images[:3])
    for row in rows:
        k = expected[row["file"]]
        if k is None:
            assert row["error"].startswith(row["file"]) or "there is no file" in row["error"]
        else:
            found = [float(row[name]) for name in made_model.NAMES]
            np.testing.assert_allclose(found, probabilities[k], atol=1e-5)
    printed = capsys.readouterr().out
    assert "t.parquet#3  error" in printed
    assert "12 images" in printed
