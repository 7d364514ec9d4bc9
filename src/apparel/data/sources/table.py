"""Tables: of image files and their labels, or of labels and pixels, as Kaggle has them."""

import csv
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from apparel.core.errors import DataError
from apparel.core.messages import listed, reason, shown
from apparel.data.assembly import LabelledImages, Split, join
from apparel.data.image_files import read_files
from apparel.data.parquet.table import read_parquet
from apparel.data.sources.folder import SPLITS
from apparel.data.storage import csv_lines

_PIXEL = re.compile(r"\D*\d+(x\d+)?", re.IGNORECASE)  # pixel1, px_1, 1x1
SUFFIXES = (".csv", ".parquet")


def read_table(path: Path, *, image_size: int | None = None) -> LabelledImages:
    """Read a table.

    Args:
        path: of a Parquet file, or of a CSV file in UTF-8 whose first line names the columns:
            `path` and `label`, and perhaps `split`, with paths relative to the table; or `label`
            first, then a column for each pixel, row by row.
        image_size: height and width of images in files; None for the size that fits them.

    Raises:
        DataError: it is no such table.
    """
    if path.suffix == ".parquet":
        return read_parquet(path, image_size=image_size)
    with csv_lines(str(path)) as lines:
        columns = next(csv.reader(lines), [])
    if {"path", "label"} <= set(columns):
        return _read_paths(path, image_size)
    if columns[:1] == ["label"] and len(columns) > 1 and all(map(_PIXEL.fullmatch, columns[1:])):
        return _read_pixels(path, columns)
    raise DataError(
        f"{path} should have the columns path and label (and perhaps split), or label and then a "
        f"column for each pixel, but has: {listed(columns)}. Name them in the first line."
    )


def _read_paths(path: Path, image_size: int | None) -> LabelledImages:
    """Read the image files that a table lists, wherever they are; a row may lack no value."""
    names, labels, splits = [], [], []
    same: dict[str, str] = {}  # a label that many rows have is kept once
    with csv_lines(str(path)) as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            if not row["path"] or not row["label"]:
                raise DataError(
                    f"line {reader.line_num} of {path} lacks a path or a label. Complete it or "
                    "take it out."
                )
            names.append(row["path"])
            labels.append(same.setdefault(row["label"], row["label"]))
            splits.append(row.get("split") or "")
    if not names:
        raise DataError(f"{path} names its columns, but lists no image. Add a line for each.")
    return read_files(
        path.parent,
        names,
        labels=labels,
        splits=_checked_splits(path, splits),
        left_out={},
        image_size=image_size,
    )


def _checked_splits(path: Path, splits: Sequence[str]) -> list[Split] | None:
    """Give the split of each row, None where no row has one, or raise DataError."""
    given = set(splits)
    if given == {""}:
        return None
    unknown = sorted(name for name in given if name.lower() not in SPLITS)
    if unknown:
        raise DataError(
            f"{path} has {shown(unknown[0] or 'nothing')} in its column split; "
            "expected were train, validation (or val, valid) and test, in every row or in none. "
            "Correct it."
        )
    return [SPLITS[name.lower()] for name in splits]


def _read_pixels(path: Path, columns: Sequence[str]) -> LabelledImages:
    """Read a table of labels and pixels, which must make a square of whole numbers of 0 to 255."""
    n_pixels = len(columns) - 1
    channels = 1 if math.isqrt(n_pixels) ** 2 == n_pixels else 3
    side = math.isqrt(n_pixels // channels)
    if side * side * channels != n_pixels:
        raise DataError(
            f"{path} has {n_pixels:,} columns of pixels, which make no square image: expected was "
            "a square number for grey images, or three times one for coloured ones."
        )
    row = [("label", object), ("pixels", np.uint8, (n_pixels,))]
    try:
        with warnings.catch_warnings(), csv_lines(str(path)) as lines:
            warnings.simplefilter("ignore")  # of an empty table, which is told below
            read = np.loadtxt(
                lines, row, delimiter=",", skiprows=1, comments=None, quotechar='"', ndmin=1
            )
    except DataError:
        raise
    except (ValueError, OverflowError) as error:
        why = reason(str(error).partition("\n")[0])
        raise DataError(
            f"{path} should hold a label and {n_pixels:,} whole numbers of 0 to 255 in each line, "
            f"but {why}. Correct the line."
        ) from error
    if not len(read):
        raise DataError(f"{path} names its columns, but holds no image. Add a line for each.")
    same: dict[str, str] = {}  # a label that many rows have is kept once
    return LabelledImages(
        images=read["pixels"].reshape(-1, side, side, channels),
        labels=[same.setdefault(label, label) for label in read["label"].tolist()],
        splits=None,
        names=[f"{path.name}#{i}" for i in range(len(read))],
        unreadable={},
        sizes={(side, side): len(read)},
    )


def find_tables(folder: Path) -> dict[Path, Split]:
    """Find a table for each split, by a word in its name, in a folder or its folder `data`.

    Hugging Face's data sets have `data/train-00000-of-00001.parquet`, Kaggle's
    `fashion-mnist_train.csv`.

    Returns:
        The tables, sorted by name, and their splits; nothing where none is for training.
    """
    found: dict[Path, Split] = {}
    for path in sorted((*folder.iterdir(), *folder.glob("data/*"))):
        if path.suffix in SUFFIXES and path.is_file():
            for word in re.split(r"[-_.\s]", path.name.lower()):
                if word in SPLITS:
                    found[path] = SPLITS[word]
    return found if "train" in found.values() else {}


def read_tables(
    folder: Path, tables: Mapping[Path, Split], *, image_size: int | None = None
) -> LabelledImages:
    """Read the tables of a set.

    Args:
        folder: of the tables.
        tables: from `find_tables`.
        image_size: height and width of images in files; None for the size that fits them.

    Raises:
        DataError: a table is broken, or two do not fit together.
    """
    parts = [read_table(path, image_size=image_size) for path in tables]
    return join(parts, splits=tuple(tables.values()), source=str(folder))
