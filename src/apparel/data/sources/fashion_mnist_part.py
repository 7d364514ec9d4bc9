"""A part of Fashion-MNIST by name, such as fashion-mnist:test[0:100]."""

import os
import re

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.data.assembly import Split
from apparel.data.sources.fashion_mnist import load_images

_NAME = re.compile(r"fashion-mnist:(train|test)(?:\[(\d{0,9}):(\d{0,9})\])?")


def load_part(
    name: str, data_dir: str | os.PathLike[str] | None = None
) -> tuple[list[str], NDArray[np.uint8]]:
    """Load images of Fashion-MNIST that follow each other.

    Args:
        name: "fashion-mnist:test" or "fashion-mnist:train" or, with positions as Python slices a
            list, for example "fashion-mnist:test[0:100]".
        data_dir: a folder that may hold the data set's files.

    Returns:
        What each is called, n names; and the images, shape (n, 28, 28, 1), 0 to 255.

    Raises:
        DataError: there is no such part, or no image in it.
        DataUnavailableError: the data set cannot be had.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(
            f"{name} names no part of Fashion-MNIST. Expected is fashion-mnist:test, "
            "fashion-mnist:train, or a part of them such as fashion-mnist:test[0:100]."
        )
    split: Split = "train" if match[1] == "train" else "test"
    start, stop = (int(number) if number else None for number in match.groups()[1:])
    images = load_images(split, data_dir)
    chosen = range(len(images))[start:stop]
    if not chosen:
        raise DataError(
            f"{name} holds no image: Fashion-MNIST has {len(images):,} images in {split}, counted "
            f"from 0. Name some, for example fashion-mnist:{split}[0:100]."
        )
    names = [f"fashion-mnist:{split}[{position}]" for position in chosen]
    return names, images[chosen.start : chosen.stop]
