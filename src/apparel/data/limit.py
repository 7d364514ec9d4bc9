"""Keep a stratified part of a Dataset, for a fast try."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError, UsageError
from apparel.core.records import Dataset
from apparel.core.validation import checked_seed, whole_number
from apparel.data.selection import keep_images


def limit_images(dataset: Dataset, limit: int, seed: int) -> Dataset:
    """Keep at most `limit` images of each split, each class with its share.

    Args:
        dataset: any data set.
        limit: images to keep of each split, at least one a class; a split that has no more
            than that stays whole.
        seed: decides which images are kept, 0 to 2**32 - 1.

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
    train = _kept("train", dataset.train_labels, limit, seed)
    test = _kept("test", dataset.test_labels, limit, seed)
    return keep_images(dataset, train, test)


def _kept(split: str, labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Choose `limit` positions in `labels`, or all of them, in ascending order."""
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
    # scikit-learn stratifies only where what is left out could hold each class as well. With
    # less than that to leave out, shares change by less than one image a class anyway.
    by_class = labels if surplus >= np.count_nonzero(counts) else None
    kept, _ = train_test_split(
        everything, train_size=limit, test_size=surplus, stratify=by_class, random_state=seed
    )
    return np.sort(kept)
