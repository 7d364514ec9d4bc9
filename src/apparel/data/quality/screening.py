"""Dataset → what the short check before training finds, and the images without leaks."""

import numpy as np

from apparel.core.records import DataCheck, Dataset
from apparel.data import selection
from apparel.data.quality import check, duplicates, unusual

# The search for near copies compares images with each other: of 70,000 it takes a minute, of
# three times as many up to nine. `apparel check` searches all the same.
MOST_IMAGES = 200_000


def screen(dataset: Dataset) -> DataCheck:
    """Look for copies of images, for broken files and for images that stand out.

    Args:
        dataset: any data set. In a named one, whose images are known, and among more than
            `MOST_IMAGES` images, only equal ones count as copies, and none stands out.
    """
    n_images = len(dataset.train_labels) + len(dataset.test_labels)
    if dataset.files is None or n_images > MOST_IMAGES:
        return check.check_data(dataset, check.exact_duplicates_of(dataset), None)
    images = check.all_images(dataset)
    return check.check_data(
        dataset, duplicates.find_duplicates(images), unusual.find_unusual(images)
    )


def without_leaks(dataset: Dataset, found: DataCheck) -> Dataset:
    """Leave out the training images that show the same as a test image.

    Args:
        dataset: what was checked.
        found: by `screen`.

    Raises:
        DataError: no training image is left.
    """
    if not found.leaked_training:
        return dataset
    train = np.setdiff1d(np.arange(len(dataset.train_labels)), found.leaked_training)
    return selection.keep_images(dataset, train, np.arange(len(dataset.test_labels)))
