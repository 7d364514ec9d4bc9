"""CSV tables that list image files by path, label and split, and that `data.loading` reads again.

A run lists its images in one; another lists the images that are left once a check has found leaks,
conflicts and copies.
"""

import csv
import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError, UsageError
from apparel.core.records import DataCheck, Dataset, ImageList, Splits
from apparel.data.quality.check import split_numbers

# As tables name them.
SPLITS = ("train", "validation", "test")
COLUMNS = ("path", "label", "split", "digest")


def splits_table(images: ImageList, splits: Splits, table: Path) -> str | None:
    """List the image files of a data set by their split.

    Args:
        images: its files.
        splits: names those that are held out for validation.
        table: file that the list will be; its folder decides what paths are relative to.

    Returns:
        The text of a CSV file: path, label, split and digest (BLAKE2b of the pixels, in
        hexadecimal digits) of each image. None where the images are not in files of their own.

    Raises:
        DataError: a path is not UTF-8.
    """
    if not _are_files(images):
        return None
    of_image = np.zeros(len(images.names), np.int64)
    of_image[splits.validation] = SPLITS.index("validation")
    of_image[len(splits.train_labels) :] = SPLITS.index("test")
    return _table(images, of_image, np.arange(len(of_image)), table)


def cleaned_table(dataset: Dataset, check: DataCheck, table: Path) -> str:
    """List the images of a data set that are left once its problems are out.

    Left out are training images that leak, both images of a conflict, and images with the same
    pixels as an earlier image of their split.

    Args:
        dataset: from image files.
        check: of this data set.
        table: as in `splits_table`.

    Returns:
        As `splits_table`.

    Raises:
        UsageError: the images are not in files of their own.
        DataError: a split would have no image of a class left, or a file's name is not UTF-8.
    """
    images, splits = need_image_files(dataset), split_numbers(dataset)
    kept = _kept(dataset, check, splits)
    for k, split in enumerate(SPLITS):
        before, after = images.labels[splits == k], images.labels[kept & (splits == k)]
        missing = [dataset.class_names[label] for label in np.setdiff1d(before, after)]
        if missing:
            raise DataError(
                f"without leaks, conflicts and copies, no {split} image of "
                f"{', '.join(map(repr, missing))} would be left, and no table is written. Correct "
                "the labels or add images first."
            )
    return _table(images, splits, np.flatnonzero(kept), table)


def check_place(table: Path, source: str | os.PathLike[str]) -> None:
    """Check, before hours of work, that a cleaned table may be written at a place.

    Args:
        table: the file.
        source: the data that it is made from.

    Raises:
        UsageError: the name does not end in .csv, there is a file already, or the place is inside
            a folder of images, where the table would become a part of them.
    """
    if table.suffix != ".csv":
        raise UsageError(f"a table is read from a file that ends in .csv, not {table}. Name one.")
    if os.path.lexists(table):
        raise UsageError(f"{table} exists, and is not overwritten. Name a new file with --fix.")
    inside = os.path.realpath(source)
    if os.path.isdir(inside) and Path(os.path.realpath(table)).is_relative_to(inside):  # noqa: PTH112  # realpath gives text
        raise UsageError(
            f"{table} is inside the folder of the data, which stays as it is. Name a file outside "
            "of it with --fix."
        )


def need_image_files(dataset: Dataset) -> ImageList:
    """Give the image files of a data set.

    Raises:
        UsageError: the images are not in files of their own.
    """
    images = dataset.image_list
    if images is None or not _are_files(images):
        raise UsageError(
            f"--fix works for folders and tables of image files, but {dataset.source} holds its "
            "images in another way. Leave --fix out, and correct the data at their origin."
        )
    return images


def _kept(dataset: Dataset, check: DataCheck, splits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose the images to keep, as a mask over training and then test images."""
    digests = np.concatenate([dataset.train_digests, dataset.test_digests])
    marks = np.column_stack([digests, splits.astype(np.uint64)])
    kept = np.zeros(len(splits), bool)
    kept[np.unique(marks, axis=0, return_index=True)[1]] = True
    kept[check.leaked_training] = False
    for image in (image for pair in check.conflicts for image in (pair.first, pair.second)):
        kept[image.index + len(dataset.train_labels) * (image.split == "test")] = False
    return kept


def _folder_of(images: ImageList) -> Path:
    """Find the folder that the names of image files are relative to."""
    source = Path(images.source)
    return source if source.is_dir() else source.parent


def _are_files(images: ImageList) -> bool:
    """Tell whether all images are in files of their own."""
    folder = _folder_of(images)
    return all((folder / name).is_file() for name in images.names)


def _table(
    images: ImageList, splits: NDArray[np.int64], positions: NDArray[np.int64], table: Path
) -> str:
    """Lay out a CSV table of the images at some positions, or raise DataError: a path not UTF-8."""
    beginning = os.path.relpath(_folder_of(images), os.path.realpath(table.parent))
    lines = io.StringIO()
    # Line ends of two characters: csv quotes names that hold one of them.
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (
            Path(beginning, images.names[position]).as_posix(),
            images.class_names[images.labels[position]],
            SPLITS[splits[position]],
            images.digests[position].astype(">u8").tobytes().hex(),
        )
        for position in positions.tolist()
    )
    text = lines.getvalue()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.end].rpartition("\n")[2]
        raise DataError(
            f"a table is in UTF-8, but the name of a file is not: {line!a}. Rename the file."
        ) from error
    return text
