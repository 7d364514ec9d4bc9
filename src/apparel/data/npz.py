"""NumPy's `.npz` files with x_train, y_train, x_test and y_test, as Keras's data sets have them."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from apparel.data.assembly import LabelledImages, Split, join
from apparel.data.pixels import as_labels, as_pixels
from apparel.errors import DataError

_SPLITS: tuple[Split, ...] = ("train", "test")
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> LabelledImages:
    """Read a file.

    Raises:
        DataError: it is broken, lacks an array, holds pickled objects, or holds no images.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {
                name: _read_array(archive, name)
                for split in _SPLITS
                for name in (f"x_{split}", f"y_{split}")
            }
    except (EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be used: {error}. Expected was a file that numpy.savez wrote, with the "
            "arrays x_train, y_train, x_test and y_test."
        ) from error
    parts = [
        labelled_arrays(arrays[f"x_{split}"], arrays[f"y_{split}"], f"{path.name}:", split)
        for split in _SPLITS
    ]
    return join(parts, splits=_SPLITS, source=str(path))


def labelled_arrays(
    images: NDArray[Any], labels: NDArray[Any], file: str, split: str
) -> LabelledImages:
    """Bring images and labels in arrays into one form.

    Args:
        images: as `as_pixels` takes them.
        labels: as `as_labels` takes them.
        file: what goes before the name of an array, for people.
        split: what goes after x_ and y_ in it.

    Raises:
        DataError: they are not of that form, or do not fit together.
    """
    pixels = as_pixels(images, f"{file}x_{split}")
    n, height, width, _ = pixels.shape
    return LabelledImages(
        images=pixels,
        labels=as_labels(labels, f"{file}y_{split}", n_images=n),
        splits=None,
        names=[f"{file}x_{split}#{i}" for i in range(n)],
        unreadable={},
        sizes={(height, width): n},
    )


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an array, once its header promises no more than the archive holds.

    Raises:
        ValueError: there is no such array, it holds objects, or its header is false.
    """
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"there is no array {name} in it") from None
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"the array {name} is of the unknown format {version}")
        shape, _, dtype = _HEADER_READERS[version](file)
        promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
        held = member.file_size - file.tell()
    if dtype.hasobject:
        raise ValueError(f"the array {name} holds pickled objects, which could run code")
    if promised != held:
        raise ValueError(f"the array {name} should hold {promised} bytes, but holds {held}")
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
