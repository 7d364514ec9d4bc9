"""Sources by name or path, and arrays → a Dataset."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

from apparel.core.errors import DataError, UsageError
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.sources import fashion_mnist
from apparel.data.splits import prepare
from tests.conftest import run_command
from tests.data.forms import FORMS, as_npz


@pytest.fixture(scope="module")
def arrays(clothes):
    """100 training and 50 test images of ten classes."""
    images, labels = clothes[:150, ..., 0], np.arange(150) * 7 % 10
    return (images[:100], labels[:100]), (images[100:], labels[100:])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_dataset_and_splits(arrays, form, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    made = loading.load(form(arrays, folder))
    first = loading.load(as_npz(arrays, tmp_path))
    assert made.sha256 == first.sha256
    assert made.test_sha256 == first.test_sha256
    assert made.class_names == tuple("0123456789")
    np.testing.assert_array_equal(made.train_images, first.train_images)
    splits, expected = (prepare(x, Settings(split_seed=5)) for x in (made, first))
    np.testing.assert_array_equal(splits.training, expected.training)
    np.testing.assert_array_equal(splits.validation, expected.validation)
    # Not equal by being empty: the images are those that went in.
    went_in, came_out = (sorted(map(bytes, x)) for x in (arrays[0][0], made.train_images))
    assert came_out == went_in


def test_arrays_keep_their_order_and_give_test_images_where_there_are_none(arrays):
    made = loading.load(arrays)
    np.testing.assert_array_equal(made.train_images[..., 0], arrays[0][0])
    np.testing.assert_array_equal(made.test_labels, arrays[1][1])
    images, labels = arrays[0]
    made = loading.load((images / 255, np.array(["x", "y"])[labels % 2]), test_split=0.25)
    assert made.class_names == ("x", "y")
    low, high = binom.interval(0.9999, len(labels), 0.25)
    assert low <= len(made.test_labels) <= high
    positions = [int(name.partition("#")[2]) for name in made.files.test]
    np.testing.assert_array_equal(made.test_images[..., 0], images[positions])


@pytest.mark.parametrize("source", [(1,), (np.zeros((3, 2, 2)), None), 7])
def test_an_argument_that_is_no_pair_of_arrays_is_refused(source):
    with pytest.raises(UsageError, match=r"\(X, y\)"):
        loading.load(source)


def test_a_source_that_is_not_there_or_nothing_known_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no data source 'nowhere'.*fashion-mnist.*path"):
        loading.load("nowhere")
    (tmp_path / "set.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"ends in .csv, .parquet or .npz"):
        loading.load(tmp_path / "set.zip")
    os.mkfifo(tmp_path / "set.csv")  # is not waited for
    with pytest.raises(DataError, match="is a pipe, a device or a socket"):
        loading.load(tmp_path / "set.csv")


def test_a_lack_of_memory_is_explained(tmp_path, monkeypatch):
    def fill(*_, **__):
        raise MemoryError

    monkeypatch.setattr(loading, "read_npz", fill)
    (tmp_path / "set.npz").touch()
    with pytest.raises(DataError, match="does not fit into this machine's memory") as refused:
        loading.load(tmp_path / "set.npz")
    assert refused.value.exit_code == 3


def test_fashion_mnist_is_the_published_set():
    found = loading.load()
    assert found.train_images.shape == (60000, 28, 28, 1)
    assert found.test_images.shape == (10000, 28, 28, 1)
    assert found.train_images.dtype == found.test_images.dtype == np.uint8
    assert np.bincount(found.train_labels).tolist() == [6000] * 10
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
    assert found.class_names == fashion_mnist.FASHION_MNIST_LABELS
    # The first images of the published set: an ankle boot and a T-shirt; again an ankle boot.
    assert found.train_labels[:2].tolist() == [9, 0]
    assert found.test_labels[0] == 9
    # The mean pixel that people normalise with, 0.2860.
    assert found.train_images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert found.source == "fashion-mnist"


# -- a folder of colour photos, from the command's first step to its last ------------------


@pytest.mark.slow
def test_colours_are_learnt_and_shown(tmp_path):
    random = np.random.default_rng(0)
    colours = {"red": (200, 40, 40), "green ball": (40, 160, 60), "blau": (50, 60, 200)}
    for name, colour in colours.items():
        (tmp_path / "balls" / name).mkdir(parents=True)
        for k in range(60):
            size = (*random.integers(60, 120, 2), 3)
            pixels = np.clip(random.normal(colour, 60, size), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "balls" / name / f"{k:02}.jpg", quality=90)
    done = run_command(
        "run", "--data", "balls", "--run-dir", "run", "--epochs", "15", "--batch-size", "16",
        "--image-size", "24", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["accuracy"]["value"] >= 0.9
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["img_shape"] == [24, 24, 3]
    again, first = loading.load(tmp_path / "run" / "images.csv", image_size=24), settings["dataset"]
    assert (again.sha256, again.test_sha256) == (first["sha256"], first["test_sha256"])
    paths = [f"balls/{name}/00.jpg" for name in colours]
    done = run_command("predict", "run", *paths, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line, path, name in zip(done.stdout.splitlines(), paths, colours, strict=False):
        assert name in line.removeprefix(path)
