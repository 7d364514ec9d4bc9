"""The same images in every form that a source may have."""

import csv
import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from apparel import ApparelClassifier
from apparel.core.errors import DataError, UsageError
from apparel.core.records import Dataset
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.splits import prepare

N_TRAIN, N_TEST = 400, 100


@pytest.fixture(scope="module")
def real() -> Dataset:
    """Some real images, in an order of their own."""
    return loading.load(limit=N_TRAIN, seed=2)


def parts(real: Dataset):
    yield "train", "train", real.train_images[..., 0], real.train_labels
    yield "test", "t10k", real.test_images[:N_TEST, ..., 0], real.test_labels[:N_TEST]


def as_idx(real: Dataset, folder: Path) -> Path:
    for _, name, images, labels in parts(real):
        header = struct.pack(">4I", 0x803, *images.shape)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        content = struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    return folder


def as_folder(real: Dataset, folder: Path) -> Path:
    for split, _, images, labels in parts(real):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / str(label) / f"{i * 7919 % 10007}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder


def as_kaggle(real: Dataset, folder: Path) -> Path:
    for split, _, images, labels in parts(real):
        with (folder / f"mnist_{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["label", *(f"pixel{i}" for i in range(1, 785))])
            for image, label in zip(images, labels, strict=True):
                writer.writerow([label, *image.reshape(-1)])
    return folder


def as_npz(real: Dataset, folder: Path) -> Path:
    arrays = {}
    for split, _, images, labels in parts(real):
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    np.savez_compressed(folder / "set.npz", **arrays)
    return folder / "set.npz"


def as_paths(real: Dataset, folder: Path) -> Path:
    as_folder(real, folder / "pictures")
    with (folder / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for path in sorted(folder.glob("pictures/*/*/*.png")):
            writer.writerow([path.relative_to(folder), path.parent.name, path.parents[1].name])
    return folder / "set.csv"


def as_parquet(real: Dataset, folder: Path) -> Path:
    """In the layout of Hugging Face's datasets, names in the metadata."""
    features = {
        "image": {"_type": "Image"},
        "label": {"names": [str(k) for k in range(10)], "_type": "ClassLabel"},
    }
    (folder / "data").mkdir()
    for split, _, images, labels in parts(real):
        encoded = []
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / "one.png")
            encoded.append({"bytes": (folder / "one.png").read_bytes(), "path": f"{i}.png"})
        table = pa.table({"image": encoded, "label": labels})
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
        pq.write_table(
            table, folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=64
        )
    return folder


FORMS = [as_idx, as_folder, as_kaggle, as_npz, as_paths, as_parquet]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_dataset_and_splits(
    real: Dataset, form: Callable[[Dataset, Path], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    made = loading.load(form(real, folder))
    first = loading.load(as_npz(real, tmp_path))
    assert made.sha256 == first.sha256
    assert made.test_sha256 == first.test_sha256
    assert made.class_names == tuple("0123456789")
    np.testing.assert_array_equal(made.train_images, first.train_images)
    splits, expected = (prepare(x, Settings(seed=5)) for x in (made, first))
    np.testing.assert_array_equal(splits.training, expected.training)
    np.testing.assert_array_equal(splits.validation, expected.validation)
    # Not equal by being empty: the images are those that went in.
    key = lambda images: sorted(image.tobytes() for image in images)  # noqa: E731
    assert key(made.train_images) == key(real.train_images)


def test_arrays_keep_their_order(real: Dataset) -> None:
    made = loading.load(
        ((real.train_images[..., 0], real.train_labels), (real.test_images, real.test_labels))
    )
    np.testing.assert_array_equal(made.train_images, real.train_images)
    np.testing.assert_array_equal(made.test_labels, real.test_labels)


def test_arrays_without_test_images_give_some(real: Dataset) -> None:
    words = np.array(["x", "y"])[real.train_labels % 2]
    made = loading.load((real.train_images / 255, words), test_split=0.25)
    assert made.class_names == ("x", "y")
    assert len(made.test_labels) == N_TRAIN // 4
    positions = [int(name.partition("#")[2]) for name in made.files.test]
    np.testing.assert_array_equal(made.test_images, real.train_images[positions])


@pytest.mark.parametrize("source", [(), (1,), (np.zeros((3, 2, 2)), None), 7])
def test_what_is_no_pair_of_arrays_is_refused(source: object) -> None:
    with pytest.raises(UsageError, match=r"\(X, y\)"):
        loading.load(source)


def test_a_source_that_is_not_there_or_nothing_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no data source 'nowhere'.*fashion-mnist.*path"):
        loading.load("nowhere")
    (tmp_path / "set.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"ends in .csv, .parquet or .npz"):
        loading.load(tmp_path / "set.zip")


@pytest.fixture(scope="module")
def weights(real: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Trained on the images as arrays in a file."""
    return trained_on(as_npz(real, tmp_path_factory.mktemp("weights")))


def trained_on(source: Path) -> list[np.ndarray]:
    classifier = ApparelClassifier(seed=3, epochs=1).import_data(source).prepare_data()
    classifier.create_model().setup_model().run_training()
    return classifier.model.get_weights()


@pytest.mark.parametrize("form", [form for form in FORMS if form is not as_npz])
def test_every_form_gives_the_same_trained_weights(
    real: Dataset,
    weights: list[np.ndarray],
    form: Callable[[Dataset, Path], Path],
    tmp_path: Path,
) -> None:
    for trained, expected in zip(trained_on(form(real, tmp_path)), weights, strict=True):
        np.testing.assert_array_equal(trained, expected)


def test_equal_images_are_not_divided_between_training_and_testing(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 9, 9), dtype=np.uint8)
    copies = np.concatenate([images, images, images])
    labels = np.tile(np.arange(40) % 2, 3)
    made = loading.load((copies, labels), seed=1)
    assert len(made.test_labels) == 24
    train, test = (
        {image.tobytes() for image in part} for part in (made.train_images, made.test_images)
    )
    assert not train & test
