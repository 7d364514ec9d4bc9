"""From the name of a source to a Dataset."""

import os

from apparel.data.fashion_mnist import load_fashion_mnist
from apparel.data.limit import limit_images
from apparel.errors import UsageError
from apparel.records import Dataset

LOADERS = {"fashion-mnist": load_fashion_mnist}


def load(
    source: str = "fashion-mnist",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a data set by name.

    Args:
        source: "fashion-mnist".
        data_dir: a folder that holds the files of the source; by default, the environment
            variable `APPAREL_DATA_DIR`.
        limit: at most so many images of each split, stratified; None for all.
        seed: decides which images `limit` keeps, 0 to 2**32 - 1.

    Returns:
        The images and labels as they come from the source.

    Raises:
        UsageError: the source is unknown, or `limit` or `seed` is out of range.
        DataUnavailableError: no place has the data.
        ApparelError: the data cannot be stored, for example because the disk is full.
    """
    if source not in LOADERS:
        raise UsageError(
            f"The data source {source!r} is unknown. Choose one of: {', '.join(LOADERS)}."
        )
    dataset = LOADERS[source](data_dir)
    return dataset if limit is None else limit_images(dataset, limit, seed)
