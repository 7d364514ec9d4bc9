"""Sources as people name them → parts of a job."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from apparel.core.errors import DataError
from apparel.data.inputs import image_sources, path_table, storage
from apparel.data.inputs.image_sources import IMAGE_SUFFIXES
from apparel.data.inputs.parts import FilePart, Footer, Part, ReadsRows, RowPart

PARQUET, TABLE = ".parquet", ".csv"
# Files of a part: seconds of work, so that little is done again after a failure.
FILES = 4096
# A group of rows is left whole up to so many; a larger one becomes some parts, but not many, as
# each has to read over those before it.
LARGE_GROUP, LARGEST_ROWS, MOST_PIECES = 1 << 17, 1 << 16, 8

# What an image is called, where it is, and how many bytes it has or -1.
_Found = tuple[str, str | bytes, int]


def find_parts(paths: Sequence[str], rows: ReadsRows) -> list[Part]:
    """List the images that paths name, in parts.

    Args:
        paths: as `image_sources.find_images` takes them; Parquet files of encoded images, folders
            of these, or patterns; CSV files with a column `path`; or URLs of any of these.
        rows: reads Parquet files.

    Returns:
        Parts with at least an image each, in the order named: of image files up to `FILES`; of a
        Parquet file whole groups of rows, unless they are large.

    Raises:
        DataError: a path does not exist, names no image, or a table is damaged.
        DataUnavailableError: a storage refuses.
        ApparelError: a package is not installed.
    """
    parts: list[Part] = []
    files: list[_Found] = []
    for entry in _entries(paths):
        if isinstance(entry, str):
            parts += _file_parts(files)
            files = []
            parts += row_parts(entry, rows.footer(entry))
        else:
            files.append(entry)
    return [*parts, *_file_parts(files)]


def row_parts(place: str, footer: Footer) -> Iterator[RowPart]:
    """Divide the rows of a Parquet file.

    Small groups of rows are joined, large ones divided.
    """
    row = 0
    for groups, n_rows in _joined(footer.group_rows):
        pieces = min(-(-n_rows // LARGEST_ROWS), MOST_PIECES) if n_rows > LARGE_GROUP else 1
        for begin, end in pairwise(n_rows * k // pieces for k in range(pieces + 1)):
            yield RowPart(
                place=place,
                digest=footer.digest,
                groups=groups,
                skipped=begin,
                first_row=row + begin,
                n_images=end - begin,
            )
        row += n_rows


def _joined(group_rows: Sequence[int]) -> Iterator[tuple[tuple[int, int], int]]:
    """Groups that have up to `FILES` rows together, or one that has more; and their rows."""
    first = n_rows = 0
    for group, n in enumerate(group_rows):
        if n_rows and n_rows + n > FILES:
            yield (first, group), n_rows
            first, n_rows = group, 0
        n_rows += n
    if n_rows:
        yield (first, len(group_rows)), n_rows


def _entries(paths: Sequence[str]) -> Iterator[_Found | str]:
    """Images, and the places of Parquet files."""
    for path in paths:
        for name, place, size in _stored(path) if storage.is_url(path) else _local(path):
            suffix = _suffix(place) if isinstance(place, str) else ""
            if suffix == TABLE:
                yield from ((listed, where, -1) for listed, where in path_table.listed(str(place)))
            elif suffix == PARQUET:
                yield str(place)
            else:
                yield name, place, size


def _stored(url: str) -> Iterable[_Found]:
    """Files in object storage.

    Raises:
        DataError: there is none.
    """
    found = storage.find(url, (*IMAGE_SUFFIXES, PARQUET))
    images = [file for file in found if _suffix(file.url) != PARQUET]
    if not found:
        raise DataError(
            f"the folder {url} holds no image. Expected were files that end in "
            f"{', '.join((*IMAGE_SUFFIXES, PARQUET))}."
        )
    return [(file.url, file.url, file.n_bytes) for file in images or found]


def _local(path: str) -> Iterable[_Found]:
    """Files on this machine; Parquet files of a folder where it has no images.

    Raises:
        DataError: there is none.
    """
    try:
        found = image_sources.find_images([path])
    except DataError:
        tables = sorted(Path(path).glob(f"[!.]*{PARQUET}")) if os.path.isdir(path) else []  # noqa: PTH112  # a Path throws at names that cannot be
        if not tables:
            raise
        found = [(str(table), str(table)) for table in tables]
    return [
        (name, source if isinstance(source, bytes) else os.fspath(source), -1)
        for name, source in found
    ]


def _file_parts(files: Sequence[_Found]) -> Iterator[FilePart]:
    for start in range(0, len(files), FILES):
        names, places, sizes = zip(*files[start : start + FILES], strict=True)
        yield FilePart(names=names, places=places, sizes=sizes)


def _suffix(place: str) -> str:
    return os.path.splitext(place)[1].lower()  # noqa: PTH122  # a place may be a URL
