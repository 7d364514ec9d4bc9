"""Keep some images of a Dataset: those at some positions, or a stratified part for a fast try."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError, UsageError
from apparel.core.image_array import take
from apparel.core.records import Dataset, Files
from apparel.core.validation import checked_seed, whole_number
from apparel.data.arrays import make_dataset


def keep_images(dataset: Dataset, train: NDArray[np.int64], test: NDArray[np.int64]) -> Dataset:
    """Keep the images at some positions, in their old order.

    Args:
        dataset: any data set.
        train: positions of training images, ascending.
        test: positions of test images, ascending.

    Returns:
        A data set with a hash of its own.

    Raises:
        DataError: a split has no images left.
    """
    files, validation = dataset.files, dataset.validation
    return make_dataset(
        take(dataset.train_images, train),
        dataset.train_labels[train],
        take(dataset.test_images, test),
        dataset.test_labels[test],
        class_names=dataset.class_names,
        source=dataset.source,
        known_digests=(dataset.train_digests[train], dataset.test_digests[test]),
        validation=None if validation is None else np.flatnonzero(np.isin(train, validation)),
        files=files
        and Files(
            train=[files.train[i] for i in train],
            test=[files.test[i] for i in test],
            unreadable=files.unreadable,
            sizes=files.sizes,
        ),
    )


def limit_images(dataset: Dataset, limit: int, seed: int) -> Dataset:
    """Keep at most `limit` images of each split, each class with its share.

    Args:
        dataset: any data set.
        limit: images to keep of each split, at least one a class; a smaller split stays whole.
        seed: random seed of the choice, 0 to 2**32 - 1.

    Returns:
        A data set with the kept images in their old order and a hash of its own.

    Raises:
        UsageError: `limit` or `seed` is out of range.
        DataError: a class has a single image, so that no share of it can be taken.
    """
    limit = whole_number("limit", limit, minimum=1)
    seed = checked_seed(seed)
    if limit < dataset.n_classes:
        raise UsageError(
            f"limit must be at least {dataset.n_classes}, one image a class, but is {limit}. "
            "Give a larger one, or none for all images."
        )
    if limit >= max(len(dataset.train_labels), len(dataset.test_labels)):
        return dataset
    train = _drawn("train", dataset.train_labels, limit, seed)
    test = _drawn("test", dataset.test_labels, limit, seed)
    return keep_images(dataset, train, test)


def _drawn(split: str, labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Draw `limit` positions in `labels`, or all of them, in ascending order."""
    everything = np.arange(len(labels), dtype=np.int64)
    surplus = len(labels) - limit
    if surplus <= 0:
        return everything
    from sklearn.model_selection import train_test_split  # noqa: PLC0415  # slow to import

    counts = np.bincount(labels)
    if (counts == 1).any():
        raise DataError(
            f"The {split} images hold only one of class number {int(np.argmax(counts == 1))}, "
            f"so {limit} images cannot be chosen class by class. Add images or drop the limit."
        )
    # scikit-learn stratifies only where the rest could hold each class as well. With less than
    # that to leave out, shares change by less than one image a class anyway.
    by_class = labels if surplus >= np.count_nonzero(counts) else None
    kept, _ = train_test_split(
        everything, train_size=limit, test_size=surplus, stratify=by_class, random_state=seed
    )
    return np.sort(kept)
