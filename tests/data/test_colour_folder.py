"""A folder of colour photos, from the command's first step to its last."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from apparel.data import decode, loading
from tests.conftest import run_command

COLOURS = {"red ball": (200, 40, 40), "green ball": (40, 160, 60), "blau": (50, 60, 200)}
N_OF_A_CLASS = 60


def photo(colour: tuple[int, int, int], random: np.random.Generator) -> Image.Image:
    """A ball of about this colour on a grey, uneven ground."""
    width, height = (int(side) for side in random.integers(60, 120, 2))
    ground = random.normal(random.integers(90, 170), 12, (height, width, 1))
    image = Image.fromarray(np.clip(np.repeat(ground, 3, axis=2), 0, 255).astype(np.uint8))
    radius = int(random.integers(12, 25))
    x, y = int(random.integers(radius, width - radius)), int(random.integers(25, height - 25))
    fill = tuple(int(c) for c in np.clip(np.array(colour) + random.normal(0, 25, 3), 0, 255))
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run on such photos ended."""
    folder = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "balls" / name).mkdir(parents=True)
        for k in range(N_OF_A_CLASS):
            photo(colour, random).save(folder / "balls" / name / f"{k:02}.jpg", quality=90)
    done = run_command(
        "run", "--data", "balls", "--run-dir", "run", "--epochs", "15", "--batch-size", "16",
        "--image-size", "24",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_colours_are_learnt(folder: Path) -> None:
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["n"] == 36
    assert metrics["accuracy"]["value"] >= 0.9
    settings = json.loads((folder / "run" / "settings.json").read_text())
    assert settings["img_shape"] == [24, 24, 3]
    assert settings["class_names"] == sorted(COLOURS)


def test_the_images_are_listed_by_their_splits_and_the_list_gives_them_again(folder: Path) -> None:
    with (folder / "run" / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["split"] for row in rows) == {"train": 129, "validation": 15, "test": 36}
    for row in rows:
        path = (folder / "run" / row["path"]).resolve()
        assert path.is_relative_to(folder / "balls" / row["label"])
        pixels = decode.read(path, (24, 24, 3))
        assert row["digest"] == hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()
    again = loading.load(folder / "run" / "images.csv", image_size=24)
    first = json.loads((folder / "run" / "settings.json").read_text())["dataset"]
    assert (again.sha256, again.test_sha256) == (first["sha256"], first["test_sha256"])
    assert {*again.files.train, *again.files.test} == {row["path"] for row in rows}
    held_out = {again.files.train[k] for k in again.validation}
    assert held_out == {row["path"] for row in rows if row["split"] == "validation"}


def test_the_report_shows_them(folder: Path) -> None:
    report = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "<h1>cnn on balls</h1>" in report
    assert all(name in report for name in COLOURS)
    assert (folder / "run" / "plots" / "mistakes.png").is_file()


def test_new_photos_are_classified_from_the_exported_file(folder: Path) -> None:
    random = np.random.default_rng(1)
    for k, colour in enumerate(COLOURS.values()):
        photo(colour, random).save(folder / f"{k}.png")
    names = [f"{k}.png" for k in range(len(COLOURS))]
    done = run_command("predict", "run", *names, cwd=folder)
    assert done.returncode == 0, done.stderr
    for line, name in zip(done.stdout.splitlines(), COLOURS, strict=False):
        assert name in line
    assert "Made similar" not in done.stdout
