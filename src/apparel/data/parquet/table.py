"""Parquet tables of encoded images and their labels, as Hugging Face's data sets have them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from apparel.data.assembly import LabelledImages
from apparel.data.image_files import decode_encoded, labelled
from apparel.data.inputs.shards import Footer, RowReader, RowShard
from apparel.data.parquet.process import ParquetProcess


class EncodedImages(Sequence[bytes]):
    """The encoded images of a table, read a group of rows at a time."""

    def __init__(self, place: str, footer: Footer, rows: RowReader) -> None:
        """Remember how to read them.

        Args:
            place: path of the file.
            footer: of the file.
            rows: reads Parquet files.
        """
        self._place, self._footer, self._reader = place, footer, rows
        self._starts = np.concatenate([[0], np.cumsum(footer.group_rows)]).astype(np.int64)
        self._group, self._images = -1, list[bytes]()

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if group != self._group:
            self._images = self._read(group)
            self._group = group
        return self._images[index - int(self._starts[group])]

    def __iter__(self) -> Iterator[bytes]:
        return (self[i] for i in range(len(self)))

    def _read(self, group: int) -> list[bytes]:
        shard = RowShard(
            place=self._place,
            digest=self._footer.digest,
            groups=(group, group + 1),
            skipped=0,
            first_row=int(self._starts[group]),
            n_images=self._footer.group_rows[group],
        )
        return [image for some in self._reader.images(shard) for image in some]


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
