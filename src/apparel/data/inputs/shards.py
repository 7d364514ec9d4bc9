"""Images to predict → shards of a job, and the images of a shard.

The division depends on the sources alone. So a shard holds the same images, on any machine and at
any time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from apparel.core.messages import printable
from apparel.data import storage
from apparel.data.decode import NamedSource
from apparel.data.inputs.finding import FoundImage, FoundTable, find_sources

# Files of a shard: seconds of work, so that little is repeated after a failure.
FILES = 4096
# A group of rows is left whole up to so many; a larger one becomes a few shards, as each has to
# read over the rows before it.
LARGE_GROUP, LARGEST_ROWS, MOST_PIECES = 1 << 17, 1 << 16, 8
# Files that are fetched at once, and their bytes together.
_FILES_AT_ONCE, _BYTES_AT_ONCE = 16, 1 << 25


@dataclass(frozen=True, kw_only=True)
class FileShard:
    """Image files.

    Attributes:
        names: in messages and tables.
        places: their paths or URLs, or their content.
        sizes: their bytes; -1 where no listing tells.
    """

    names: tuple[str, ...]
    places: tuple[str | bytes, ...]
    sizes: tuple[int, ...]

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class RowShard:
    """Rows of a Parquet file.

    Attributes:
        place: path or URL of the file.
        digest: of the footer of the file, in hex.
        groups: the groups of rows that they are in: the first, and the one behind the last.
        skipped: rows of these groups that are before.
        first_row: their first in the file.
        n_images: number of rows.
    """

    place: str
    digest: str
    groups: tuple[int, int]
    skipped: int
    first_row: int
    n_images: int


Shard: TypeAlias = FileShard | RowShard


class Footer(NamedTuple):
    """The metadata of a Parquet file.

    Attributes:
        group_rows: rows of each group.
        digest: SHA-256 of all of it, in hex.
    """

    group_rows: list[int]
    digest: str


class RowReader(Protocol):
    """Reads Parquet files of encoded images."""

    def footer(self, place: str) -> Footer:
        """Read the footer of a file.

        Raises:
            DataError: it is no such file.
            DataUnavailableError: the storage refuses.
            ApparelError: a package is not installed.
        """

    def images(self, shard: RowShard) -> Iterator[list[bytes]]:
        """Read the encoded images of a shard, some at a time; b"" for a row that has none.

        Raises:
            DataError: the file is damaged, or was changed.
            DataUnavailableError: the storage refuses.
        """


def find_shards(paths: Sequence[str], rows: RowReader) -> list[Shard]:
    """List the images that paths name, in shards.

    Args:
        paths: as `find_sources` takes them.
        rows: reads Parquet files.

    Returns:
        Shards with at least an image each, in the order named: of image files up to `FILES`; of a
        Parquet file whole groups of rows, unless they are large.

    Raises:
        DataError: a path does not exist, names no image, or a table is damaged.
        DataUnavailableError: a storage refuses.
        ApparelError: a package is not installed.
    """
    shards: list[Shard] = []
    files: list[FoundImage] = []
    for found in find_sources(paths):
        if isinstance(found, FoundTable):
            shards += _file_shards(files)
            files = []
            shards += row_shards(found.place, rows.footer(found.place))
        else:
            files.append(found)
    return [*shards, *_file_shards(files)]


def row_shards(place: str, footer: Footer) -> Iterator[RowShard]:
    """Divide the rows of a Parquet file: small groups of rows are joined, large ones divided."""
    row = 0
    for groups, n_rows in _joined(footer.group_rows):
        pieces = min(-(-n_rows // LARGEST_ROWS), MOST_PIECES) if n_rows > LARGE_GROUP else 1
        for begin, end in pairwise(n_rows * k // pieces for k in range(pieces + 1)):
            yield RowShard(
                place=place,
                digest=footer.digest,
                groups=groups,
                skipped=begin,
                first_row=row + begin,
                n_images=end - begin,
            )
        row += n_rows


def _joined(group_rows: Sequence[int]) -> Iterator[tuple[tuple[int, int], int]]:
    """Join groups that have up to `FILES` rows together; with their rows."""
    first = n_rows = 0
    for group, n in enumerate(group_rows):
        if n_rows and n_rows + n > FILES:
            yield (first, group), n_rows
            first, n_rows = group, 0
        n_rows += n
    if n_rows:
        yield (first, len(group_rows)), n_rows


def _file_shards(files: Sequence[FoundImage]) -> Iterator[FileShard]:
    for start in range(0, len(files), FILES):
        names, places, sizes = zip(*files[start : start + FILES], strict=True)
        yield FileShard(names=names, places=places, sizes=sizes)


def images_of(shard: Shard, rows: RowReader) -> Iterator[NamedSource]:
    """Give the images of a shard, in order.

    Args:
        shard: to read.
        rows: reads Parquet files.

    Yields:
        The name of each image, and its path or the content of its file.

    Raises:
        DataError: a table is damaged, or was changed.
        DataUnavailableError: the storage refuses.
    """
    if isinstance(shard, FileShard):
        yield from _files(shard)
        return
    name, row = Path(shard.place).name, shard.first_row
    for images in rows.images(shard):
        for image in images:
            yield f"{name}#{row}", image
            row += 1


def describe(shard: Shard) -> str:
    """Describe a shard in a message."""
    if isinstance(shard, RowShard):
        last = shard.first_row + shard.n_images - 1
        return f"rows {shard.first_row:,} to {last:,} of {printable(shard.place)}"
    return f"{printable(shard.names[0])} to {printable(shard.names[-1])}"


def _files(shard: FileShard) -> Iterator[NamedSource]:
    """Give the files of a shard; those in object storage are fetched some at a time."""
    some: list[tuple[str, str | bytes]] = []
    n_bytes = 0
    for name, place, size in zip(shard.names, shard.places, shard.sizes, strict=True):
        some.append((name, place))
        n_bytes += max(size, 0)
        if len(some) == _FILES_AT_ONCE or n_bytes >= _BYTES_AT_ONCE:
            yield from _fetched(some)
            some, n_bytes = [], 0
    yield from _fetched(some)


def _fetched(some: Sequence[tuple[str, str | bytes]]) -> Iterator[NamedSource]:
    """Fetch files from object storage. The decoder names those that are missing."""
    urls = [place for _, place in some if isinstance(place, str) and storage.is_url(place)]
    found = dict(zip(urls, storage.fetch(urls), strict=True)) if urls else {}
    for name, place in some:
        content = found.get(place) if isinstance(place, str) else None
        yield name, place if content is None else content
