"""The name or path of a source, or arrays → a Dataset."""

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from apparel.core.errors import DataError, UsageError
from apparel.core.messages import printable
from apparel.core.records import ARRAYS, Dataset
from apparel.data.assembly import LabelledImages, Split, assemble, join, labelled_arrays
from apparel.data.selection import limit_images
from apparel.data.sources.fashion_mnist import load_fashion_mnist
from apparel.data.sources.folder import read_folder
from apparel.data.sources.idx import find_idx, read_idx
from apparel.data.sources.npz import read_npz
from apparel.data.sources.table import find_tables, read_table, read_tables

# A name, a path, or arrays.
Source: TypeAlias = str | os.PathLike[str] | tuple[Any, Any]

LOADERS = {"fashion-mnist": load_fashion_mnist}


def load(
    source: Source = "fashion-mnist",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    split_seed: int = 0,
    test_split: float = 0.2,
    image_size: int | None = None,
    max_bad: float = 0.05,
) -> Dataset:
    """Load a data set.

    Args:
        source: "fashion-mnist"; or the path of a folder of class folders, of IDX files or of
            tables, or of a `.csv`, `.parquet` or `.npz` file; or arrays, as
            ((x_train, y_train), (x_test, y_test)) or (X, y).
        data_dir: a folder that holds the files of the named source; by default, the environment
            variable `APPAREL_DATA_DIR`.
        limit: at most so many images of each split, stratified; None for all.
        split_seed: random seed of the images that `limit` keeps and of the test images that are
            drawn, 0 to 2**32 - 1.
        test_split: the share of every class that is drawn for testing where the source has no
            test images, in (0, 1).
        image_size: height and width to bring images in files to; by default their own
            where all have the same of at most 64, else a square of the median of their longer
            sides, and at most 64.
        max_bad: the share of the files that may be unreadable, in [0, 1].

    Returns:
        The images and labels of the source. A named one and arrays keep their order; other images
        are in an order that depends on them alone.

    Raises:
        UsageError: there is no such source, or `limit` is out of range.
        DataError: the source is broken, or is no labelled set of images.
        DataUnavailableError: no mirror has the named set.
        ApparelError: the data cannot be stored, for example because the disk is full.
    """
    if not isinstance(source, str | os.PathLike):
        dataset = _from_pairs(source, test_split=test_split, split_seed=split_seed)
    elif source in LOADERS:
        dataset = LOADERS[os.fspath(source)](data_dir)
    else:
        path = _existing(source)
        try:
            found = _read(path, image_size=image_size)
            _check_readable(path, found, max_bad)
            dataset = assemble(
                found, source=os.fspath(path), test_split=test_split, split_seed=split_seed
            )
        except MemoryError as error:
            raise DataError(
                f"{path} does not fit into this machine's memory. Expected was a set that does, or "
                "a folder of image files, which may be larger. Close other programs, or use fewer "
                "images."
            ) from error
    return dataset if limit is None else limit_images(dataset, limit, split_seed)


def _from_pairs(source: tuple[Any, Any], *, test_split: float, split_seed: int) -> Dataset:
    """Number the labels of arrays, and draw test images where there are none.

    Raises:
        UsageError: these are no pairs of images and labels.
        DataError: the arrays hold no labelled images.
    """
    try:
        first, second = source
    except (TypeError, ValueError):
        first = second = None
    if isinstance(first, tuple | list) and isinstance(second, tuple | list) and len(first) == 2:  # noqa: PLR2004
        pairs = [first, second]
    elif first is not None and np.ndim(second) == 1:
        pairs = [(first, second)]
    else:
        raise UsageError(
            "arrays must come as ((x_train, y_train), (x_test, y_test)) or (X, y). Put images and "
            "labels of a split into a tuple."
        )
    names: list[Split] = ["train", "test"]
    splits = names[: len(pairs)]
    parts = [
        labelled_arrays(np.asarray(images), np.asarray(labels), "", split)
        for split, (images, labels) in zip(splits, pairs, strict=True)
    ]
    found = join(parts, splits=splits, source=ARRAYS)
    return assemble(
        found, source=ARRAYS, test_split=test_split, split_seed=split_seed, keep_order=True
    )


def check_source(source: str) -> None:
    """Check that there is such a source, before anything slow is imported or done.

    Raises:
        UsageError: there is not.
    """
    if source not in LOADERS:
        _existing(source)


def _existing(source: str | os.PathLike[str]) -> Path:
    """Give the path that a source names, or raise UsageError if it does not exist."""
    path = Path(source).expanduser()
    if not path.exists():
        raise UsageError(
            f"there is no data source {os.fspath(source)!r}. Expected was one of: "
            f"{', '.join(LOADERS)}, or the path of a folder or file with labelled images."
        )
    return path.resolve()


def _read(path: Path, *, image_size: int | None) -> LabelledImages:
    """Read a folder or file by its kind, or raise DataError if it is no labelled set of images."""
    if path.is_dir():
        if files := find_idx(path):
            return read_idx(path, files)
        if tables := find_tables(path):
            return read_tables(path, tables, image_size=image_size)
        return read_folder(path, image_size=image_size)
    if not path.is_file():  # opening a pipe would wait for a writer
        raise DataError(
            f"{path} is a pipe, a device or a socket, but expected was a folder or a file. Give "
            "the path of one."
        )
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix in {".csv", ".parquet"}:
        return read_table(path, image_size=image_size)
    raise DataError(
        f"{path} is no set of labelled images. Expected was a folder, or a file that ends in .csv, "
        ".parquet or .npz."
    )


def _check_readable(path: Path, found: LabelledImages, max_bad: float) -> None:
    """Raise DataError if more than the share `max_bad` of the files cannot be read."""
    n_bad = len(found.unreadable)
    share = n_bad / (n_bad + len(found.labels))
    if share > max_bad:
        name, why = next(iter(found.unreadable.items()))
        raise DataError(
            f"{n_bad:,} of {n_bad + len(found.labels):,} files in {path} ({share:.1%}) cannot be "
            f"read, and at most {max_bad:.1%} may be bad. The first one, {printable(name)}: {why} "
            "List them all with `apparel check`, or allow more with --max-bad."
        )
