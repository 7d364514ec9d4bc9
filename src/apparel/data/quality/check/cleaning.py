"""Dataset + DataCheck → a table of the image files that are left without what spoils the data."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError, UsageError
from apparel.core.records import DataCheck, Dataset, ImageList
from apparel.data.image_table import SPLITS, image_folder, image_table


def check_place(table: Path, source: str | os.PathLike[str]) -> None:
    """Check, before hours of work, that a new table may be written at a place.

    Args:
        table: the file.
        source: the data that it is to be made from.

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


def need_image_files(dataset: Dataset) -> tuple[ImageList, Path]:
    """Give a data set's image files, and the folder that their names are relative to.

    Raises:
        UsageError: the images are not in files of their own.
    """
    images = dataset.image_list
    folder = image_folder(images) if images else None
    if images is None or folder is None:
        raise UsageError(
            f"--fix works for folders and tables of image files, but {dataset.source} holds its "
            "images in another way. Leave --fix out, and mend the data where they come from."
        )
    return images, folder


def cleaned_table(dataset: Dataset, check: DataCheck, table: Path) -> str:
    """List the images of a data set that are left without what spoils it.

    Left out are training images that leak, both images of a conflict, and what has the same pixels
    as an earlier image of its split.

    Args:
        dataset: from image files.
        check: of this data set.
        table: the file that the list will be; its folder decides what paths are relative to.

    Returns:
        A table as `apparel.data.loading.load` reads it.

    Raises:
        UsageError: the images are not in files of their own.
        DataError: a split would have no image of a class left, or a file's name is not UTF-8.
    """
    images, folder = need_image_files(dataset)
    labels, splits = images.labels, _splits(dataset)
    kept = _kept(dataset, check, splits)
    for k, split in enumerate(SPLITS):
        before, after = labels[splits == k], labels[kept & (splits == k)]
        missing = [dataset.class_names[label] for label in np.setdiff1d(before, after)]
        if missing:
            raise DataError(
                f"without leaks, conflicts and copies, no {split} image of "
                f"{', '.join(map(repr, missing))} would be left, and no table is written. Correct "
                "the labels or add images first."
            )
    return image_table(images, folder, splits=splits, kept=kept, table=table)


def _splits(dataset: Dataset) -> NDArray[np.int64]:
    """The split of every training image, then of every test image, as a position in `SPLITS`."""
    n_train = len(dataset.train_labels)
    splits = np.zeros(n_train + len(dataset.test_labels), np.int64)
    splits[n_train:] = SPLITS.index("test")
    if dataset.validation is not None:
        splits[dataset.validation] = SPLITS.index("validation")
    return splits


def _kept(dataset: Dataset, check: DataCheck, splits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose the images that are not to be left out, of those for training and then of the rest."""
    digests = np.concatenate([dataset.train_digests, dataset.test_digests])
    marks = np.column_stack([digests, splits.astype(np.uint64)])
    kept = np.zeros(len(splits), bool)
    kept[np.unique(marks, axis=0, return_index=True)[1]] = True
    kept[check.leaked_training] = False
    for image in (image for pair in check.conflicts for image in (pair.first, pair.second)):
        kept[image.index + len(dataset.train_labels) * (image.split == "test")] = False
    return kept
