"""Dataset + its duplicates and unusual images → a DataCheck, and a table of the images to keep."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError, UsageError
from apparel.core.image_array import ImageArray, first_equal, joined
from apparel.core.records import (
    CheckedImage,
    CopiedImage,
    DataCheck,
    Dataset,
    Duplicates,
    ImageList,
    SplitName,
    Unusual,
)
from apparel.data.image_table import SPLITS, image_folder, image_table
from apparel.data.quality.copies import Copies, Pair


def all_labels(dataset: Dataset) -> NDArray[np.int64]:
    """The labels of the training images, then of the test images, shape (n + m,)."""
    return np.concatenate([dataset.train_labels, dataset.test_labels])


def all_images(dataset: Dataset) -> ImageArray:
    """The training images, then the test images, shape (n + m, h, w, c)."""
    return joined(dataset.train_images, dataset.test_images)


def exact_duplicates_of(dataset: Dataset) -> Duplicates:
    """Find equal images by their digests, without reading one.

    Args:
        dataset: n training and m test images.

    Returns:
        Positions below n are those of training images, n + i that of test image i.
    """
    group = first_equal(np.concatenate([dataset.train_digests, dataset.test_digests]))
    second = np.flatnonzero(group != np.arange(len(group)))
    return Duplicates(
        n_images=len(group),
        first=group[second],
        second=second,
        exact=np.ones(len(second), np.bool_),
        mirrored=np.zeros(len(second), np.bool_),
        distance=np.zeros(len(second), np.float32),
        alike=np.zeros((0, 2), np.int64),
        group=group,
    )


def check_data(dataset: Dataset, duplicates: Duplicates, unusual: Unusual | None) -> DataCheck:
    """Find what spoils a data set.

    Args:
        dataset: n training and m test images.
        duplicates: which images show the same. Positions below n are those of training images,
            n + i that of test image i.
        unusual: which images are blank or unlike the others, by the same positions; None where
            they were not looked for.
    """
    places, files = _Places(dataset), dataset.files
    copies = Copies(
        duplicates,
        all_labels(dataset),
        len(dataset.train_labels),
        images=lambda: all_images(dataset),
    )
    return DataCheck(
        source=dataset.source,
        sha256=dataset.sha256,
        class_names=dataset.class_names,
        images_per_class=places.count(),
        img_shape=dataset.img_shape,
        sizes=dict(files.sizes) if files else {},
        unreadable=dict(files.unreadable) if files else {},
        duplicates=places.pairs(copies.repeats()),
        leaks=places.pairs(copies.leaks()),
        conflicts=places.pairs(copies.conflicts()),
        unusual=None if unusual is None else places.images(unusual.positions),
        blank=None if unusual is None else places.images(unusual.blank),
    )


class _Places:
    """Positions among training and test images → the images by their split, name and label."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._n_train = len(dataset.train_labels)
        self._validation = np.zeros(self._n_train, bool)
        if dataset.validation is not None:
            self._validation[dataset.validation] = True

    def image(self, position: int) -> CheckedImage:
        """Tell which image is at a position."""
        dataset, files = self._dataset, self._dataset.files
        if position >= self._n_train:
            index = position - self._n_train
            split: SplitName = "test"
            name = files.test[index] if files else f"test {index}"
            label = dataset.test_labels[index]
        else:
            index = position
            split = "validation" if self._validation[index] else "training"
            name = files.train[index] if files else f"train {index}"
            label = dataset.train_labels[index]
        return CheckedImage(split=split, index=index, name=name, label=dataset.class_names[label])

    def images(self, positions: NDArray[np.int64]) -> tuple[CheckedImage, ...]:
        """Tell which images are at some positions."""
        return tuple(self.image(position) for position in positions.tolist())

    def pairs(self, pairs: Iterable[Pair]) -> tuple[CopiedImage, ...]:
        """Tell which images pairs of positions are."""
        return tuple(
            CopiedImage(
                first=self.image(pair.first),
                second=self.image(pair.second),
                exact=pair.exact,
                mirrored=pair.mirrored,
            )
            for pair in pairs
        )

    def count(self) -> dict[SplitName, list[int]]:
        """How many images of each class every split has."""
        dataset = self._dataset
        labels: dict[SplitName, NDArray[np.int64]] = {
            "training": dataset.train_labels[~self._validation]
        }
        if dataset.validation is not None:
            labels["validation"] = dataset.train_labels[self._validation]
        labels["test"] = dataset.test_labels
        return {
            split: np.bincount(of_split, minlength=dataset.n_classes).tolist()
            for split, of_split in labels.items()
        }


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
