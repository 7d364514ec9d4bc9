"""Files on this machine and, by URL, in object storage or elsewhere fsspec reaches."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from apparel.core.errors import ApparelError, DataError, DataUnavailableError
from apparel.core.messages import printable, reason

# A single letter is a drive of Windows.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_MAGIC = re.compile(r"[*?\[]")
# Of a Parquet file, whose pages are read one after the other.
_BLOCK_BYTES = 1 << 23
# Letters of a line of a table: a million pixels have room. A file of one line would fill memory.
LONGEST_LINE = 1 << 22


class StoredFile(NamedTuple):
    """A file in a listing.

    Attributes:
        url: of the file.
        n_bytes: of the file; -1 where the listing does not tell.
    """

    url: str
    n_bytes: int


def is_url(place: str) -> bool:
    """Tell whether a place is in object storage and not on this machine."""
    return _URL.match(place) is not None


def filesystem(url: str) -> tuple[Any, str]:
    """Give fsspec's file system of a URL, and the path within.

    Raises:
        ApparelError: a package for it is not installed.
        DataError: it is no such URL.
    """
    try:
        import fsspec  # noqa: PLC0415  # for these places only
    except ImportError as error:
        raise ApparelError(
            f"reading {printable(url)} requires fsspec, which is not installed. Install it with: "
            "pip install fsspec"
        ) from error
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ApparelError(
            f"{printable(url)} needs a package that is not installed: {reason(error)}. Install it "
            "on every machine that works on the job."
        ) from error
    except ValueError as error:
        raise DataError(
            f"{printable(url)} is no place that can be read ({reason(error)}). Give a path, or a "
            "URL such as s3://bucket/folder."
        ) from error
    return found


@contextmanager
def stored_errors(url: str) -> Iterator[None]:
    """Name the place where the storage refuses.

    Raises:
        DataUnavailableError: it refused.
    """
    try:
        yield
    except ApparelError:
        raise
    except Exception as error:  # every storage has errors of its own
        raise DataUnavailableError(
            f"{printable(url)} cannot be reached ({reason(error)}). Check the name and the access "
            "rights, and try again."
        ) from error


def find(url: str, suffixes: Sequence[str]) -> list[StoredFile]:
    """List files, by the rules for files on this machine.

    Args:
        url: of a file; of a folder, for the files in it; or a pattern.
        suffixes: of files that are taken from a folder.

    Returns:
        Files, sorted; empty where a folder has none.

    Raises:
        DataError: there is no such file or folder, or nothing fits the pattern.
        DataUnavailableError: the storage refuses.
    """
    system, path = filesystem(url)
    with stored_errors(url):
        if _MAGIC.search(path) and not system.isfile(path):
            entries = list(system.glob(path, detail=True).values())
            if not entries:
                raise DataError(f"no file fits the pattern {printable(url)}. Give another.")
        elif system.isdir(path):
            entries = [
                entry
                for entry in system.ls(path, detail=True)
                if _base(entry)[0] != "." and _base(entry).lower().endswith(tuple(suffixes))
            ]
        elif system.exists(path):
            entries = [system.info(path)]
        else:
            raise DataError(f"there is no file or folder {printable(url)}. Check the URL.")
    return sorted(
        StoredFile(system.unstrip_protocol(entry["name"]), _size(entry.get("size")))
        for entry in entries
        if entry["type"] == "file"
    )


def fetch(urls: Sequence[str]) -> list[bytes | None]:
    """Read some files at once.

    Args:
        urls: of files in one storage.

    Returns:
        The content of each; None where there is no such file.

    Raises:
        DataUnavailableError: the storage refuses.
    """
    system, _ = filesystem(urls[0])
    paths = [filesystem(url)[1] for url in urls]
    with stored_errors(urls[0]):
        found = system.cat_ranges(paths, None, None, on_error="return")
    return [_content(url, content) for url, content in zip(urls, found, strict=True)]


def open_stored(url: str) -> BinaryIO:
    """Open a file to read it from its beginning to its end.

    Raises:
        DataUnavailableError: the storage refuses.
    """
    system, path = filesystem(url)
    with stored_errors(url):
        opened: BinaryIO = system.open(path, "rb", block_size=_BLOCK_BYTES)
    return opened


@contextmanager
def csv_lines(place: str) -> Iterator[Iterator[str]]:
    """Open a CSV table in UTF-8.

    Args:
        place: its path or URL.

    Yields:
        The lines, with their ends.

    Raises:
        DataError: the file cannot be read, is not in UTF-8, or has a line that is too long.
        DataUnavailableError: the storage refuses.
    """

    def bounded(text: io.TextIOWrapper) -> Iterator[str]:
        while line := text.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise DataError(
                    f"{place} has a line of more than {LONGEST_LINE:,} letters, which no table of "
                    "images has. Write it with a line for each image."
                )
            yield line

    try:
        with (
            open_stored(place) if is_url(place) else Path(place).open("rb") as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
        ):
            yield bounded(text)
    except ApparelError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{place} cannot be read as a table in UTF-8 ({reason(error)}). Save it in UTF-8."
        ) from error


def _content(url: str, found: bytes | Exception) -> bytes | None:
    """Give the content that was read, None for a missing file, or raise DataUnavailableError."""
    if isinstance(found, FileNotFoundError | IsADirectoryError):
        return None
    with stored_errors(url):
        if isinstance(found, Exception):
            raise found
    return bytes(found)


def _base(entry: dict[str, Any]) -> str:
    """Give the last part of the name of an entry."""
    return str(entry["name"]).rstrip("/").rpartition("/")[2] or "."


def _size(found: object) -> int:
    return found if isinstance(found, int) else -1
