"""Keep some images of a Dataset."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import take
from apparel.core.records import Dataset, Files
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
        digests_of=(dataset.train_digests[train], dataset.test_digests[test]),
        validation=None if validation is None else np.flatnonzero(np.isin(train, validation)),
        files=files
        and Files(
            train=[files.train[i] for i in train],
            test=[files.test[i] for i in test],
            unreadable=files.unreadable,
            sizes=files.sizes,
        ),
    )
