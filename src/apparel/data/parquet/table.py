"""Parquet tables of encoded images and their labels, as Hugging Face's data sets have them."""

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from apparel.core.errors import ApparelError
from apparel.data.assembly import LabelledImages
from apparel.data.decoded import decode_encoded
from apparel.data.parquet.file import lacking


class EncodedImages(Sequence[bytes]):
    """The encoded images of a table, read a group of rows at a time."""

    def __init__(self, group_rows: Sequence[int], read: Callable[[int], list[bytes]]) -> None:
        """Say how to read them.

        Args:
            group_rows: how many rows each group has.
            read: gives the images of a group.
        """
        self._read = read
        self._starts = np.concatenate([[0], np.cumsum(group_rows)]).astype(np.int64)
        self._group, self._rows = -1, list[bytes]()

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
            self._rows = self._read(group)
            self._group = group
        return self._rows[index - int(self._starts[group])]

    def __iter__(self) -> Iterator[bytes]:
        return (self[i] for i in range(len(self)))


def read_parquet(path: Path, *, image_size: int | None, cache: Path) -> LabelledImages:
    """Read encoded images and their labels.

    Args:
        path: of the file.
        image_size: height and width of the images; None for what fits them.
        cache: where decoded images are kept.

    Raises:
        DataError: it is no such table.
        ApparelError: pyarrow is not installed, or the cache cannot be written.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ApparelError(lacking(path))
    from apparel.data.parquet.process import reading  # noqa: PLC0415  # for these tables only

    with reading(path) as table:
        labels, group_rows = table.facts
        rows = [f"{path.name}#{i}" for i in range(len(labels))]
        found = decode_encoded(
            EncodedImages(group_rows, table.images),
            rows,
            stored_in=path,
            image_size=image_size,
            cache=cache,
        )
    return LabelledImages(
        images=found.pixels,
        labels=[labels[i] for i in found.positions],
        splits=None,
        names=[rows[i] for i in found.positions],
        unreadable={rows[i]: why for i, why in found.problems.items()},
        sizes=Counter(map(tuple, found.sizes.tolist())),
    )
