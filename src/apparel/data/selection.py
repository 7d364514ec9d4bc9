"""Keep some images of a Dataset: those at some positions, or a stratified part for a fast try."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import UsageError
from apparel.core.image_array import take
from apparel.core.records import Dataset, Files
from apparel.core.validation import whole_number
from apparel.data.arrays import make_dataset
from apparel.data.splits import draw_number


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
        known_keys=(dataset.train_keys[train], dataset.test_keys[test]),
        validation=None if validation is None else np.flatnonzero(np.isin(train, validation)),
        files=files
        and Files(
            train=[files.train[i] for i in train],
            test=[files.test[i] for i in test],
            unreadable=files.unreadable,
            sizes=files.sizes,
        ),
    )


def limit_images(dataset: Dataset, limit: int, split_seed: int) -> Dataset:
    """Keep at most `limit` images of each split, each class with its share.

    Args:
        dataset: any data set.
        limit: images to keep of each split, at least one a class; a smaller split stays whole.
        split_seed: random seed of the choice, 0 to 2**32 - 1.

    Returns:
        A data set with the kept images in their old order and a hash of its own.

    Raises:
        UsageError: `limit` is out of range.
    """
    limit = whole_number("limit", limit, minimum=1)
    if limit < dataset.n_classes:
        raise UsageError(
            f"limit must be at least {dataset.n_classes}, one image a class, but is {limit}. "
            "Give a larger one, or none for all images."
        )
    if limit >= max(len(dataset.train_labels), len(dataset.test_labels)):
        return dataset
    train = draw_number(dataset.train_keys, dataset.train_labels, limit, split_seed)
    test = draw_number(dataset.test_keys, dataset.test_labels, limit, split_seed)
    return keep_images(dataset, train, test)
