"""Paths, patterns, tables and URLs as users give them → the images that they stand for."""

import csv
import glob
import os
import posixpath
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from apparel.core.errors import DataError
from apparel.core.messages import listed, printable
from apparel.data import storage
from apparel.data.decode.opening import MAX_FILE_BYTES

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PARQUET, TABLE = ".parquet", ".csv"
STANDARD_INPUT = "-"
# Letters of a pattern, as many as a path may have: comparing with longer ones takes seconds.
LONGEST_PATTERN = 4096
COLUMN = "path"


class FoundImage(NamedTuple):
    """An image file.

    Attributes:
        name: in messages and tables.
        place: its path or URL, or the content of the file.
        n_bytes: of the file; -1 where no listing tells.
    """

    name: str
    place: str | bytes
    n_bytes: int = -1


class FoundTable(NamedTuple):
    """A Parquet file of encoded images.

    Attributes:
        place: its path or URL.
    """

    place: str


def find_sources(paths: Sequence[str]) -> Iterator[FoundImage | FoundTable]:
    """List the images that paths name.

    Args:
        paths: image files, Parquet files of encoded images, or CSV files with a column `path`;
            folders, for the images inside them or, where there are none, for Parquet files;
            patterns with `*`, `?` or `[`, where no file has that name; URLs of any of these; or
            "-" for an image on standard input, which is read at once.

    Yields:
        Image files and Parquet files in the order named, those of a folder or a pattern sorted by
        name.

    Raises:
        DataError: a path does not exist, names no image or fits no file, or a table is damaged.
        DataUnavailableError: a storage refuses.
        ApparelError: a package is not installed.
    """
    for path in paths:
        for found in _stored(path) if storage.is_url(path) else _local(path):
            suffix = _suffix(found.place) if isinstance(found.place, str) else ""
            if suffix == TABLE:
                yield from _listed(str(found.place))
            elif suffix == PARQUET:
                yield FoundTable(str(found.place))
            else:
                yield found


def _local(path: str) -> list[FoundImage]:
    """List files on this machine, or raise DataError if there is none."""
    if path == STANDARD_INPUT:
        # One byte more than an image may have: then it is refused, and memory stays bounded.
        return [FoundImage(path, sys.stdin.buffer.read(MAX_FILE_BYTES + 1))]
    if os.path.isdir(path):  # noqa: PTH112  # a Path raises on impossible names
        return _inside(Path(path))
    if os.path.isfile(path):  # noqa: PTH113  # as above
        return [FoundImage(path, path)]
    return _matching(path)


def _inside(folder: Path) -> list[FoundImage]:
    """List the images in a folder by name; Parquet files where it has no images."""
    name = printable(os.fspath(folder))
    try:
        files = sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_file())
    except OSError as error:
        raise DataError(
            f"the folder {name} cannot be read ({error.strerror}). Give one that you may read."
        ) from error
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    found = images or [path for path in files if path.suffix == PARQUET]
    if not found:
        raise DataError(
            f"the folder {name} holds no image. Expected were files that end in "
            f"{', '.join(IMAGE_SUFFIXES)}."
        )
    return [FoundImage(str(path), str(path)) for path in found]


def _matching(pattern: str) -> list[FoundImage]:
    """List the files that match a pattern, or raise DataError if there is none."""
    if not glob.has_magic(pattern):
        raise DataError(
            f"there is no file or folder {printable(pattern)}. Give the path of an image."
        )
    try:
        found = [] if len(pattern) > LONGEST_PATTERN else glob.glob(pattern, recursive=True)  # noqa: PTH207  # a Path takes no absolute pattern
    except (OSError, RecursionError, ValueError):  # no file can have such a name
        found = []
    names = sorted(name for name in found if os.path.isfile(name))  # noqa: PTH113  # as above
    if not names:
        raise DataError(
            f"no file fits the pattern {printable(pattern)}. Give the path of an image."
        )
    return [FoundImage(name, name) for name in names]


def _stored(url: str) -> Iterable[FoundImage]:
    """List files in object storage; Parquet files of a folder that has no images."""
    found = storage.find(url, (*IMAGE_SUFFIXES, PARQUET))
    if not found:
        raise DataError(
            f"the folder {url} holds no image. Expected were files that end in "
            f"{', '.join((*IMAGE_SUFFIXES, PARQUET))}."
        )
    images = [file for file in found if _suffix(file.url) != PARQUET]
    return [FoundImage(file.url, file.url, file.n_bytes) for file in images or found]


def _listed(place: str) -> Iterator[FoundImage]:
    """Read the files that a CSV table lists.

    Args:
        place: path or URL of a CSV file in UTF-8 whose first line names the columns, one of them
            `path`; paths are relative to the table.

    Yields:
        Files, each by its name in the table.

    Raises:
        DataError: it is no such table, or a row lacks its path.
        DataUnavailableError: the storage refuses.
    """
    folder = place.rpartition("/")[0] if storage.is_url(place) else str(Path(place).parent)
    with storage.csv_lines(place) as lines:
        reader = csv.DictReader(lines)
        if COLUMN not in (columns := reader.fieldnames or []):
            raise DataError(
                f"{place} should have the column {COLUMN}, but has: {listed(columns)}. Name it in "
                "the first line."
            )
        for row in reader:
            if not row[COLUMN]:
                raise DataError(
                    f"line {reader.line_num} of {place} lacks a path. Complete it or take it out."
                )
            yield FoundImage(row[COLUMN], _joined(folder, row[COLUMN]))


def _joined(folder: str, path: str) -> str:
    """Give the place of a file that a table in a folder lists."""
    if storage.is_url(path):
        return path
    return posixpath.join(folder, path) if storage.is_url(folder) else str(Path(folder, path))


def _suffix(place: str) -> str:
    return os.path.splitext(place)[1].lower()  # noqa: PTH122  # a place may be a URL
