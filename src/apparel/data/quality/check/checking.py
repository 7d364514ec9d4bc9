"""Dataset + which of its images are the same or unusual → a DataCheck."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray, first_equal, joined
from apparel.core.records import (
    CheckedImage,
    CopiedImage,
    DataCheck,
    Dataset,
    Duplicates,
    SplitName,
    Unusual,
)
from apparel.data.quality.check.copies import Copies, Pair


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
