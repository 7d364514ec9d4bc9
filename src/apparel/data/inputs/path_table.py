"""A CSV table of image files → where they are."""

import csv
import io
import posixpath
from collections.abc import Iterator
from pathlib import Path

from apparel.core import messages
from apparel.core.errors import DataError
from apparel.data.inputs import storage

COLUMN = "path"
# Letters of a line. A file of one line would fill the memory.
LONGEST_LINE = 1 << 16


def listed(place: str) -> Iterator[tuple[str, str]]:
    """Read which files a table lists.

    Args:
        place: path or URL of a CSV file in UTF-8 whose first line names the columns, one of them
            `path`; paths are relative to the table.

    Yields:
        A path as the table has it, and where that is.

    Raises:
        DataError: it is no such table, or a row lacks its path.
        DataUnavailableError: the storage refuses.
    """
    folder = place.rpartition("/")[0] if storage.is_url(place) else str(Path(place).parent)
    try:
        with storage.open_stored(place) if storage.is_url(place) else Path(place).open("rb") as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            reader = csv.DictReader(_bounded(text, place))
            if COLUMN not in (columns := reader.fieldnames or []):
                raise DataError(
                    f"{place} should have the column {COLUMN}, but has: "
                    f"{messages.listed(columns)}. Name it in the first line."
                )
            for row in reader:
                if not row[COLUMN]:
                    raise DataError(
                        f"line {reader.line_num} of {place} lacks a path. Complete it or take it "
                        "out."
                    )
                yield row[COLUMN], _joined(folder, row[COLUMN])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{place} cannot be read as a table in UTF-8 ({messages.reason(error)}). Save it "
            "in UTF-8."
        ) from error


def _bounded(text: io.TextIOWrapper, place: str) -> Iterator[str]:
    """Lines, none of which fills the memory.

    Raises:
        DataError: one is too long.
    """
    while line := text.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{place} has a line of more than {LONGEST_LINE:,} letters, which no table of "
                "images has. Write it with a line for each image."
            )
        yield line


def _joined(folder: str, path: str) -> str:
    """Where a file is that a table in a folder lists."""
    if storage.is_url(path):
        return path
    return posixpath.join(folder, path) if storage.is_url(folder) else str(Path(folder, path))
