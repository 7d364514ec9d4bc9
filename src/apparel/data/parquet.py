"""Parquet tables of encoded images and their labels, as Hugging Face's data sets have them."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from apparel.data.assembly import LabelledImages
from apparel.data.decoded import decode_encoded
from apparel.errors import ApparelError, DataError

_IMAGE_COLUMNS = ("image", "img")


class EncodedImages(Sequence[bytes]):
    """The encoded images of a table, read a group of rows at a time."""

    def __init__(self, file: Any, column: str) -> None:
        """Open a column.

        Args:
            file: a `pyarrow.parquet.ParquetFile`.
            column: of bytes, or of structures with a field `bytes`.
        """
        self._file = file
        self._column = column
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
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
            column = self._file.read_row_group(group, columns=[self._column]).column(0)
            self._rows = [_bytes_of(value) for value in column.to_pylist()]
            self._group = group
        return self._rows[index - int(self._starts[group])]

    def __iter__(self) -> Iterator[bytes]:
        return (self[i] for i in range(len(self)))


def _bytes_of(value: Any) -> bytes:
    """The encoded image in a field; nothing where there is none."""
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else b""


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
    file = _open(path)
    names = file.schema_arrow.names
    column = next((name for name in _IMAGE_COLUMNS if name in names), None)
    if column is None or "label" not in names:
        raise DataError(
            f"{path} should have the columns image, of encoded images, and label, but has: "
            f"{', '.join(names)}. Rename them."
        )
    labels = _labels(path, file)
    rows = [f"{path.name}#{i}" for i in range(len(labels))]
    found = decode_encoded(
        EncodedImages(file, column), rows, stored_in=path, image_size=image_size, cache=cache
    )
    return LabelledImages(
        images=found.pixels,
        labels=[labels[i] for i in found.positions],
        splits=None,
        names=[rows[i] for i in found.positions],
        unreadable={rows[i]: why for i, why in found.problems.items()},
        sizes=Counter(map(tuple, found.sizes.tolist())),
    )


def _open(path: Path) -> Any:
    """Open a file.

    Raises:
        DataError: it is no Parquet file.
        ApparelError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: PLC0415  # as above
    except ImportError as error:
        raise ApparelError(
            f"{path} can be read with pyarrow alone, which is not installed. Install it with: "
            "pip install 'apparel[parquet]'"
        ) from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is no Parquet file that can be read: {error}.") from error


def _labels(path: Path, file: Any) -> list[str]:
    """The labels, by the names that the table has for them.

    Raises:
        DataError: one is missing, or is neither a whole number nor text.
    """
    values = file.read(columns=["label"]).column(0).to_pylist()
    names = _class_names(file)
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise DataError(
                f"{path} has the label {value!r} in row {row}; expected was a whole number or text."
            )
    if not names:
        return [str(value) for value in values]
    bad = next((v for v in values if not (isinstance(v, int) and 0 <= v < len(names))), None)
    if bad is not None:
        raise DataError(f"{path} has the label {bad!r}, but names for 0 to {len(names) - 1} alone.")
    return [names[value] for value in values]


def _class_names(file: Any) -> list[str]:
    """The class names that Hugging Face's `datasets` writes into the schema, if they are there."""
    metadata = file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["label"]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
