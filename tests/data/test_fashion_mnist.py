"""Fashion-MNIST: its mirrors, Keras's cache, and the comparison of arrays with known content."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from apparel.core import backend
from apparel.core.errors import DataError, DataUnavailableError
from apparel.data.sources import fashion_mnist
from apparel.data.sources.keras_cache import KnownFile
from apparel.data.sources.mirrors import folder_mirror
from tests.data.forms import idx


def names(home, data_dir=None):
    found = fashion_mnist.find_mirrors(home, home / fashion_mnist.CACHE_SUBFOLDER, data_dir)
    return [mirror.name.partition(" (")[0] for mirror in found]


REST = [
    "the folder of the package dataset-fashion-mnist",
    "Keras's download",
    "apt-get download dataset-fashion-mnist",
]


def test_the_order_of_mirrors(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("APPAREL_DATA_DIR", raising=False)
    assert names(tmp_path) == REST
    assert names(tmp_path, str(tmp_path / "slip")) == ["the folder you named", *REST]
    (record,) = caplog.records  # a named folder that lacks files may be a slip
    assert str(tmp_path / "slip") in record.getMessage()
    assert all(file.name in record.getMessage() for file in fashion_mnist.FILES)
    monkeypatch.setenv("APPAREL_DATA_DIR", str(tmp_path / "b"))
    assert names(tmp_path) == ["the folder you named", *REST]
    home = tmp_path / fashion_mnist.CACHE_SUBFOLDER
    found = fashion_mnist.find_mirrors(tmp_path, home, tmp_path / "a")
    assert found[0].name == f"the folder you named ({tmp_path / 'a'})"
    found = fashion_mnist.find_mirrors(tmp_path, tmp_path / "elsewhere", None)
    assert found[0].name == f"Keras's home, read-only ({home})"


def test_the_cache_is_where_keras_looks(tmp_path, monkeypatch):
    keras = backend.load_keras()
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))
    cache = tmp_path / "datasets" / "fashion-mnist"
    assert fashion_mnist.keras_cache(tmp_path) == cache
    cache.mkdir(parents=True)
    (cache / "one.gz").touch()
    found = keras.utils.get_file(
        "one.gz", origin="https://host.invalid/", cache_subdir="datasets/fashion-mnist"
    )
    assert Path(found).parent == cache
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert fashion_mnist.keras_cache(tmp_path) == Path("/tmp/.keras/datasets/fashion-mnist")  # noqa: S108


@pytest.mark.parametrize("apt_get", ["/usr/bin/apt-get", None])
def test_without_a_mirror_the_message_says_what_helps(tmp_path, monkeypatch, apt_get):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "find_mirrors", lambda *_: ())
    monkeypatch.setattr(fashion_mnist.shutil, "which", lambda _: apt_get)
    with pytest.raises(DataUnavailableError, match="--data-dir FOLDER") as caught:
        fashion_mnist.load_images("train")
    install = "sudo apt-get update && sudo apt-get install dataset-fashion-mnist"
    assert (install in str(caught.value)) == (apt_get is not None)
    assert str(caught.value).count("train-images-idx3-ubyte.gz") == 2


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    """A Keras that reads four small files from an empty home, and a mirror that has them."""
    arrays = [np.arange(40, dtype=np.uint8).reshape(10, 2, 2), np.arange(10, dtype=np.uint8)]
    arrays += [array[:5] for array in arrays]
    known = []
    for file, array in zip(fashion_mnist.FILES, arrays, strict=True):
        content = idx(array)
        (tmp_path / file.name).write_bytes(gzip.compress(content))
        known.append(KnownFile(file.name, len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(fashion_mnist, "FILES", known)
    monkeypatch.setattr(fashion_mnist, "find_mirrors", lambda *_: [folder_mirror("a", tmp_path)])
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return arrays


def test_a_part_is_named_as_a_slice(small_set):
    found, images = fashion_mnist.load_part("fashion-mnist:train")
    np.testing.assert_array_equal(images[..., 0], small_set[0])
    assert found == [f"fashion-mnist:train[{i}]" for i in range(10)]
    found, images = fashion_mnist.load_part("fashion-mnist:test[3:9]")
    np.testing.assert_array_equal(images[..., 0], small_set[2][3:])
    assert found == ["fashion-mnist:test[3]", "fashion-mnist:test[4]"]
    with pytest.raises(DataError, match="names no part of Fashion-MNIST"):
        fashion_mnist.load_part("fashion-mnist:all")
    with pytest.raises(DataError, match="has 5 images in test"):
        fashion_mnist.load_part("fashion-mnist:test[5:]")


def test_the_arrays_of_keras_are_compared_with_the_files(small_set, monkeypatch, caplog):
    keras = backend.load_keras()
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", os.environ["KERAS_HOME"])
    flipped = small_set[2].copy()
    flipped[3, 1, 1] ^= 16
    train, test = small_set[:2], small_set[2:]
    answers = [
        (train, (flipped, test[1])),
        (train, test),
        EOFError("Compressed file ended before the end-of-stream marker was reached"),
        Exception("URL fetch failure on https://host.invalid"),
        ZeroDivisionError(),
    ]

    def answer():
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", answer)
    made = fashion_mnist.load_fashion_mnist()
    np.testing.assert_array_equal(made.test_images[..., 0], test[0])
    assert "t10k-images-idx3-ubyte.gz: other content than was checked" in caplog.text
    with pytest.raises(DataUnavailableError, match=r"URL fetch failure.*test this machine"):
        fashion_mnist.load_fashion_mnist()
    with pytest.raises(ZeroDivisionError):  # a mistake of ours is no broken file
        fashion_mnist.load_fashion_mnist()


def test_only_fashion_mnists_accuracy_has_a_credible_limit():
    labels = list(fashion_mnist.FASHION_MNIST_LABELS)
    assert fashion_mnist.highest_credible_accuracy(labels) == 0.975
    assert fashion_mnist.highest_credible_accuracy(["x", "y"]) == 1
