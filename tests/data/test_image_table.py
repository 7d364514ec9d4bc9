"""Tables that list image files: of a run, and of images that are left after a check."""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apparel.cli import main
from apparel.core.errors import DataError, UsageError
from apparel.core.settings import Settings
from apparel.data import image_table, loading
from apparel.data.quality.check import check_data, exact_duplicates_of
from apparel.data.splits import prepare


def write_folder(root):
    """A folder of two classes in train and test, with one of each mistake."""
    random = np.random.default_rng(0)

    def write(name, pixels):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    images = random.integers(0, 256, (40, 12, 10), np.uint8)
    for i in range(40):
        split, label = "train" if i < 28 else "test", "bee" if i % 2 else "an ant"
        write(f"{split}/{label}/{i:02d}.png", images[i])
    write("train/bee/leak.png", images[29])
    write("train/an ant/leak, too.png", images[30])
    write("train/bee/right.png", images[39] // 2)
    write("train/an ant/wrong.png", images[39] // 2)
    write("train/an ant/both.png", images[38] // 2)
    write("test/bee/both.png", images[38] // 2)
    write("train/bee/again.png", images[1])
    write("test/bee/again.png", images[31])
    (root / "train" / "bee" / "broken.png").write_bytes(b"no image")
    (root / "train" / "an ant" / "00.png").rename(root / "train" / "an ant" / "a\rb.png")
    (root / "train" / "bee" / "03.png").rename(root / "train" / "bee" / "a\nb.png")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["path"], row["label"], row["split"]) for row in csv.DictReader(file)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "pictures")
    return tmp_path / "pictures"


def cleaned(dataset, table):
    """Write a table of the images that are left once exact copies are out."""
    found = check_data(dataset, exact_duplicates_of(dataset), None)
    table.write_text(image_table.cleaned_table(dataset, found, table), "utf-8", newline="")


LEFT_OUT = {
    "train/bee/leak.png",
    "train/an ant/leak, too.png",
    "train/bee/right.png",
    "train/an ant/wrong.png",
    "train/bee/broken.png",
    "train/an ant/both.png",
    "test/bee/both.png",
}


def test_the_cleaned_table_leaves_out_leaks_conflicts_and_copies(folder, tmp_path):
    before = contents(folder)
    dataset = loading.load(folder, max_bad=1)
    table = tmp_path / "lists" / "clean.csv"
    table.parent.mkdir()
    cleaned(dataset, table)
    names = {f"{path.relative_to(folder)}" for path in before}
    kept = {path.removeprefix("../pictures/"): (label, split) for path, label, split in rows(table)}
    left_out = names - set(kept)
    # Of two with the same pixels, one stays.
    assert left_out >= LEFT_OUT
    assert len(left_out - LEFT_OUT) == 2
    assert len(left_out & {"train/bee/again.png", "train/bee/01.png"}) == 1
    assert len(left_out & {"test/bee/again.png", "test/bee/31.png"}) == 1
    assert set(kept) < names
    for name, (label, split) in kept.items():
        assert name.split("/")[:2] == [split, label]
    assert {"train/an ant/a\rb.png", "train/bee/a\nb.png"} <= set(kept)
    again = loading.load(table)
    assert len(again.train_labels) + len(again.test_labels) == len(kept)
    found = check_data(again, exact_duplicates_of(again), None)
    assert found.is_clean
    assert found.duplicates == ()
    assert again.class_names == ("an ant", "bee")
    assert contents(folder) == before


def test_validation_images_and_those_that_were_drawn_keep_their_split(folder, tmp_path):
    (folder / "test").rename(folder / "valid")
    dataset = loading.load(folder, max_bad=1, split_seed=3)
    table = tmp_path / "clean.csv"
    cleaned(dataset, table)
    again = loading.load(table)
    test = {f"pictures/{name}" for name in dataset.files.test}
    validation = {f"pictures/{dataset.files.train[i]}" for i in dataset.validation}
    assert set(again.files.test) <= test
    assert {again.files.train[i] for i in again.validation} <= validation
    assert {split for *_, split in rows(table)} == {"train", "validation", "test"}


def test_no_table_is_made_that_could_not_be_written_or_trained_on(folder, tmp_path):
    bees = folder / "train" / "bee"
    (bees / "05.png").rename(os.fsdecode(bytes(bees) + b"/\xff.png"))
    dataset = loading.load(folder, max_bad=1)
    with pytest.raises(DataError, match=r"name of a file is not: .*udcff'\. Rename the file"):
        cleaned(dataset, tmp_path / "clean.csv")
    for path in bees.iterdir():
        if path.name not in {"right.png", "leak.png"}:
            path.unlink()
    with pytest.raises(DataError, match=r"no train image of 'bee' would be left"):
        cleaned(loading.load(folder), tmp_path / "clean.csv")


def test_images_that_are_not_in_files_of_their_own_cannot_be_listed(tmp_path, noise):
    path, images, labels = tmp_path / "set.npz", noise(20, 4, 4), np.arange(20) % 2
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    dataset = loading.load(path)
    with pytest.raises(UsageError, match="--fix works for folders and tables of image files"):
        image_table.need_image_files(dataset)
    splits = prepare(dataset, Settings())
    assert image_table.splits_table(dataset.image_list, splits, tmp_path / "images.csv") is None


def test_a_run_lists_its_images_by_their_splits_and_the_list_gives_them_again(folder, tmp_path):
    dataset = loading.load(folder, max_bad=1, split_seed=3)
    splits = prepare(dataset, Settings(seed=5, validation_split=0.25))
    table = tmp_path / "run" / "images.csv"
    table.parent.mkdir()
    text = image_table.splits_table(dataset.image_list, splits, table)
    table.write_text(text, "utf-8", newline="")
    again = loading.load(table)
    assert (again.sha256, again.test_sha256) == (dataset.sha256, dataset.test_sha256)
    assert again.validation.tolist() == splits.validation.tolist()
    of = {path: split for path, _, split in rows(table)}
    held_out = {f"../pictures/{dataset.files.train[i]}" for i in splits.validation}
    assert {path for path, split in of.items() if split == "validation"} == held_out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("there.csv", "there.csv exists, and is not overwritten"),
        ("link.csv", "link.csv exists, and is not overwritten"),
        ("pictures/train/bee/clean.csv", "is inside the folder of the data"),
        ("link/clean.csv", "is inside the folder of the data"),
        ("clean.txt", r"ends in \.csv, not clean.txt"),
    ],
)
def test_no_file_is_overwritten_and_none_comes_among_the_data(folder, tmp_path, name, message):
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UsageError, match=message):
        image_table.check_place(Path(name), "pictures")
    image_table.check_place(Path("new.csv"), "pictures")


def test_the_command_writes_a_table_of_what_is_left_with_the_digest_of_each(
    folder, tmp_path, capsys
):
    before = contents(folder)
    assert main.main(["check", "pictures", "--fix", "clean.csv"]) == 1
    output = capsys.readouterr().out
    assert "3 training images show the same as a test image" in output
    assert "train/bee/leak.png and test/bee/29.png" in output
    assert "4 images show the same as another with a different label" in output
    assert "1 file cannot be read: train/bee/broken.png is no image" in output
    assert "Written: clean.csv" in output
    assert main.main(["check", "pictures", "--fix", "clean.csv"]) == 2
    assert main.main(["check", "clean.csv", "--output", "again.json"]) == 0
    assert json.loads((tmp_path / "again.json").read_text())["is_clean"]
    assert contents(folder) == before
    with (tmp_path / "clean.csv").open(encoding="utf-8", newline="") as file:
        digests = {row["path"]: row["digest"] for row in csv.DictReader(file)}
    dataset = loading.load(folder, max_bad=1)
    names = [*dataset.files.train, *dataset.files.test]
    images = np.concatenate([dataset.train_images, dataset.test_images])
    expected = {
        f"pictures/{name}": hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
        for name, image in zip(names, images, strict=True)
    }
    assert digests
    assert {path: expected[path] for path in digests} == digests
