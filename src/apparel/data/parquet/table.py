"""Parquet tables of encoded images and their labels, as Hugging Face's data sets have them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from apparel.data.assembly import LabelledImages
from apparel.data.image_files import decode_encoded, labelled
from apparel.data.inputs.shards import Footer, RowReader, RowShard
from apparel.data.parquet.process import ParquetProcess


class EncodedImages(Sequence[bytes]):
    """The encoded images of a table, of which a few are in memory; quick if asked for in order."""

    def __init__(self, place: str, footer: Footer, rows: RowReader) -> None:
        """Remember how to read them.

        Args:
            place: path of the file.
            footer: of the file.
            rows: reads Parquet files.
        """
        self._reader = rows
        self._all = RowShard(
            place=place,
            digest=footer.digest,
            groups=(0, len(footer.group_rows)),
            skipped=0,
            first_row=0,
            n_images=sum(footer.group_rows),
        )
        self._stream: Iterator[list[bytes]] = iter(())
        self._start, self._images = 0, list[bytes]()

    def __len__(self) -> int:
        return self._all.n_images

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index < self._start or not self._images:
            del self._stream  # which ends its question, before the next one
            self._stream, self._start, self._images = self._reader.images(self._all), 0, []
        while index >= self._start + len(self._images):
            self._start += len(self._images)
            self._images = next(self._stream)
        return self._images[index - self._start]


def read_parquet(path: Path, *, image_size: int | None = None) -> LabelledImages:
    """Read encoded images and their labels.

    Args:
        path: of the file.
        image_size: height and width of the images; None for the size that fits them.

    Raises:
        DataError: it is no such table.
        ApparelError: pyarrow is not installed, or the cache cannot be written.
    """
    known: dict[str, str] = {}  # a label that many rows have is kept once
    with ParquetProcess() as rows:
        labels = [known.setdefault(label, label) for some in rows.labels(path) for label in some]
        images = EncodedImages(str(path), rows.footer(str(path)), rows)
        names = [f"{path.name}#{i}" for i in range(len(images))]
        found = decode_encoded(images, names, stored_in=path, image_size=image_size)
    return labelled(found, names, labels, splits=None)
