"""A part of a job, and its images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from apparel.core.messages import printable
from apparel.data.decode import Source
from apparel.data.inputs import storage

# What messages and tables call an image, and the image.
NamedSource: TypeAlias = tuple[str, Source]

# Files that are fetched at once, and what they may have together.
_FILES_AT_ONCE, _BYTES_AT_ONCE = 16, 1 << 25


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """Image files.

    Attributes:
        names: what each is called.
        places: their paths or URLs, or what is in them.
        sizes: their bytes; -1 where no listing told them.
    """

    names: tuple[str, ...]
    places: tuple[str | bytes, ...]
    sizes: tuple[int, ...]

    @property
    def n_images(self) -> int:
        """How many images it has."""
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class RowPart:
    """Rows of a Parquet file.

    Attributes:
        place: path or URL of the file.
        digest: of what the file says of itself, in hex.
        groups: the groups of rows that they are in: the first, and the one behind the last.
        skipped: rows of these groups that are before.
        first_row: their first in the file.
        n_images: how many rows.
    """

    place: str
    digest: str
    groups: tuple[int, int]
    skipped: int
    first_row: int
    n_images: int


Part: TypeAlias = FilePart | RowPart


class Footer(NamedTuple):
    """What a Parquet file says of itself.

    Attributes:
        group_rows: rows of each group.
        digest: SHA-256 of all of it, in hex.
    """

    group_rows: list[int]
    digest: str


class ReadsRows(Protocol):
    """Reads Parquet files of encoded images."""

    def footer(self, place: str) -> Footer:
        """Read what a file says of itself.

        Raises:
            DataError: it is no such file.
            DataUnavailableError: the storage refuses.
            ApparelError: a package is not installed.
        """

    def images(self, part: RowPart) -> Iterator[list[bytes]]:
        """Read the encoded images of a part, some at a time; nothing for a row that has none.

        Raises:
            DataError: the file is damaged, or another than it was.
            DataUnavailableError: the storage refuses.
        """


def images_of(part: Part, rows: ReadsRows) -> Iterator[NamedSource]:
    """Give the images of a part, in order.

    Args:
        part: whose images are wanted.
        rows: reads Parquet files.

    Yields:
        What each image is called, and its path or what is in its file.

    Raises:
        DataError: a table is damaged, or another than it was.
        DataUnavailableError: the storage refuses.
    """
    if isinstance(part, FilePart):
        yield from _files(part)
        return
    name, row = Path(part.place).name, part.first_row
    for images in rows.images(part):
        for image in images:
            yield f"{name}#{row}", image
            row += 1


def shown(part: Part) -> str:
    """What messages call a part."""
    if isinstance(part, RowPart):
        last = part.first_row + part.n_images - 1
        return f"rows {part.first_row:,} to {last:,} of {printable(part.place)}"
    return f"{printable(part.names[0])} to {printable(part.names[-1])}"


def _files(part: FilePart) -> Iterator[NamedSource]:
    some: list[tuple[str, str | bytes]] = []
    n_bytes = 0
    for name, place, size in zip(part.names, part.places, part.sizes, strict=True):
        some.append((name, place))
        n_bytes += max(size, 0)
        if len(some) == _FILES_AT_ONCE or n_bytes >= _BYTES_AT_ONCE:
            yield from _fetched(some)
            some, n_bytes = [], 0
    yield from _fetched(some)


def _fetched(some: Sequence[tuple[str, str | bytes]]) -> Iterator[NamedSource]:
    """Fetch those that are in object storage. Who decodes tells of files that are not there."""
    urls = [place for _, place in some if isinstance(place, str) and storage.is_url(place)]
    found = dict(zip(urls, storage.fetch(urls), strict=True)) if urls else {}
    for name, place in some:
        content = found.get(place) if isinstance(place, str) else None
        yield name, place if content is None else content
