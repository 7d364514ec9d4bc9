"""Dataset → a DataCheck: copies, leaks, conflicting labels, broken files and unusual images."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import first_equal, joined
from apparel.core.records import (
    CheckedImage,
    CopiedImage,
    DataCheck,
    Dataset,
    Duplicates,
    SplitName,
    Unusual,
)
from apparel.data.quality.copies import Copies, Pair
from apparel.data.quality.duplicates import find_duplicates
from apparel.data.quality.unusual import find_unusual
from apparel.data.selection import keep_images

SPLIT_NAMES: tuple[SplitName, ...] = ("training", "validation", "test")
# The search for near copies compares images with each other: of 70,000 it takes a minute, of
# three times as many up to nine. `apparel check` searches all the same.
MOST_IMAGES = 200_000


def check_all(dataset: Dataset) -> DataCheck:
    """Look for near copies and unusual images, among any number of images."""
    images = joined(dataset.train_images, dataset.test_images)
    return check_data(dataset, find_duplicates(images), find_unusual(images))


def screen(dataset: Dataset) -> DataCheck:
    """Check a data set before training.

    Args:
        dataset: any data set. In a named one, whose images are known, and among more than
            `MOST_IMAGES` images, only equal images count as copies, and none as unusual.
    """
    n_images = len(dataset.train_labels) + len(dataset.test_labels)
    if dataset.files is None or n_images > MOST_IMAGES:
        return check_data(dataset, exact_duplicates_of(dataset), None)
    return check_all(dataset)


def without_leaks(dataset: Dataset, found: DataCheck) -> Dataset:
    """Leave out the training images that show the same as a test image.

    Args:
        dataset: the data set that was checked.
        found: its check.

    Raises:
        DataError: no training image is left.
    """
    if not found.leaked_training:
        return dataset
    train = np.setdiff1d(np.arange(len(dataset.train_labels)), found.leaked_training)
    return keep_images(dataset, train, np.arange(len(dataset.test_labels)))


def exact_duplicates_of(dataset: Dataset) -> Duplicates:
    """Find equal images by their digests, without reading pixels.

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
        alike_mirrored=np.zeros(0, np.bool_),
        group=group,
    )


def split_numbers(dataset: Dataset) -> NDArray[np.int64]:
    """Give the split of every training image, then of every test image, as in `SPLIT_NAMES`."""
    n_train = len(dataset.train_labels)
    splits = np.zeros(n_train + len(dataset.test_labels), np.int64)
    splits[n_train:] = SPLIT_NAMES.index("test")
    if dataset.validation is not None:
        splits[dataset.validation] = SPLIT_NAMES.index("validation")
    return splits


def check_data(dataset: Dataset, duplicates: Duplicates, unusual: Unusual | None) -> DataCheck:
    """Find the problems of a data set.

    Args:
        dataset: n training and m test images.
        duplicates: images that show the same. Positions below n are those of training images,
            n + i that of test image i.
        unusual: images that are blank or unlike the others, by the same positions; None where
            they were not looked for.
    """
    files, n_train = dataset.files, len(dataset.train_labels)
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    splits = split_numbers(dataset)

    def image(position: int) -> CheckedImage:
        split = SPLIT_NAMES[splits[position]]
        index = position - n_train if split == "test" else position
        kind = "test" if split == "test" else "train"
        return CheckedImage(
            split=split,
            index=index,
            name=getattr(files, kind)[index] if files else f"{kind} {index}",
            label=dataset.class_names[labels[position]],
        )

    def pairs(found: Iterable[Pair]) -> tuple[CopiedImage, ...]:
        return tuple(
            CopiedImage(
                first=image(pair.first),
                second=image(pair.second),
                exact=pair.exact,
                mirrored=pair.mirrored,
            )
            for pair in found
        )

    def images(positions: NDArray[np.int64]) -> tuple[CheckedImage, ...]:
        return tuple(map(image, positions.tolist()))

    copies = Copies(duplicates, labels, n_train)
    return DataCheck(
        source=dataset.source,
        sha256=dataset.sha256,
        class_names=dataset.class_names,
        images_per_class={
            name: np.bincount(labels[splits == k], minlength=dataset.n_classes).tolist()
            for k, name in enumerate(SPLIT_NAMES)
            if name != "validation" or dataset.validation is not None
        },
        img_shape=dataset.img_shape,
        sizes=dict(files.sizes) if files else {},
        unreadable=dict(files.unreadable) if files else {},
        duplicates=pairs(copies.repeats()),
        leaks=pairs(copies.leaks()),
        conflicts=pairs(copies.conflicts()),
        unusual=None if unusual is None else images(unusual.positions),
        blank=None if unusual is None else images(unusual.blank),
    )
