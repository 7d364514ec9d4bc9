"""Parquet files of encoded images, read by pyarrow in this process.

pyarrow is native code that trusts much of what a file says. So `process` runs this module in a
subprocess, and a cluster runs it in workers that may die.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apparel.core.errors import ApparelError, DataError
from apparel.core.messages import listed, reason, shown
from apparel.data import storage
from apparel.data.inputs.shards import Footer, RowShard
from apparel.data.unpacked_size import check_unpacked_size

_IMAGE_COLUMNS, _LABEL_COLUMNS = ("image", "img"), ("label",)
# Pages are read in pieces: a group of rows may be larger than memory.
_BUFFER_BYTES = 1 << 20
_IMAGES_AT_ONCE, _LABELS_AT_ONCE = 64, 1 << 16


class ParquetReader:
    """See `RowReader`; reads labels as well."""

    def footer(self, place: str) -> Footer:
        """See `RowReader`."""
        with _opened(place) as file:
            _column(file, place, _IMAGE_COLUMNS)
            whole = io.BytesIO()
            file.metadata.write_metadata_file(whole)
            rows = _group_rows(file, place)
        return Footer(rows, hashlib.sha256(whole.getbuffer()).hexdigest())

    def images(self, shard: RowShard) -> Iterator[list[bytes]]:
        """See `RowReader`."""
        before, left = shard.skipped, shard.n_images
        with _opened(shard.place) as file:
            column = _column(file, shard.place, _IMAGE_COLUMNS)
            for batch in file.iter_batches(
                _IMAGES_AT_ONCE, range(*shard.groups), [column], use_threads=False
            ):
                some = batch.column(0).slice(before, left)
                before = max(before - len(batch), 0)
                left -= len(some)
                if len(some):
                    yield [_bytes_of(value) for value in some.to_pylist()]
                if not left:
                    return
        raise _too_few_rows(shard.place, left)

    def labels(self, path: Path) -> Iterator[list[str]]:
        """Read the labels of all rows, by the names that the file has for them.

        Args:
            path: a file on this machine.

        Yields:
            Labels of some rows, in order.

        Raises:
            DataError: the file is no such table, promises more rows than it has room for, or a
                label is neither a whole number nor text.
            ApparelError: pyarrow is not installed.
        """
        place, row = str(path), 0
        with _opened(place) as file:
            n_rows = sum(_group_rows(file, place))
            check_unpacked_size(path, 0, n_images=n_rows)
            column, names = _column(file, place, _LABEL_COLUMNS), _class_names(file)
            for batch in file.iter_batches(_LABELS_AT_ONCE, columns=[column], use_threads=False):
                values = batch.column(0).to_pylist()
                yield [_label(place, row + i, value, names) for i, value in enumerate(values)]
                row += len(values)
        if row < n_rows:
            raise _too_few_rows(place, n_rows - row)


@contextmanager
def _opened(place: str) -> Iterator[Any]:
    """Open a file, and explain errors while it is read.

    Raises:
        DataError: it is no Parquet file, or is damaged.
        DataUnavailableError: the storage refuses.
        ApparelError: pyarrow is not installed.
    """
    try:
        from pyarrow import parquet  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ApparelError(
            f"reading {place} requires pyarrow, which is not installed. Install it with: "
            "pip install 'apparel[parquet]'"
        ) from error
    source = storage.open_stored(place) if storage.is_url(place) else place
    try:
        with parquet.ParquetFile(
            source, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
        ) as file:
            yield file
    except ApparelError:
        raise
    except Exception as error:  # pyarrow meets broken files with errors of any kind
        raise DataError(
            f"{place} is no Parquet file that can be read: {reason(error)}. Write it again."
        ) from error
    finally:
        if not isinstance(source, str):
            source.close()


def _group_rows(file: Any, place: str) -> list[int]:
    """Give the number of rows of each group, or raise DataError if one is negative."""
    metadata = file.metadata
    rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    if min(rows, default=0) < 0:
        raise DataError(f"{place} claims a negative number of rows. Write it again.")
    return rows


def _column(file: Any, place: str, wanted: Sequence[str]) -> str:
    """Find the first of some columns that a file has, or raise DataError."""
    names: list[str] = file.schema_arrow.names
    for name in wanted:
        if name in names:
            return name
    raise DataError(
        f"{place} should have a column {wanted[0]}, but has: {listed(names)}. Rename the column."
    )


def _class_names(file: Any) -> list[str]:
    """Give the class names that Hugging Face's `datasets` writes into the schema, if any."""
    metadata = file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["label"]["names"]]
    except (KeyError, RecursionError, TypeError, ValueError):
        return []


def _label(place: str, row: int, value: Any, names: Sequence[str]) -> str:
    """Give the label of a row as text, or raise DataError if it is missing, odd or has no name."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(
            f"{place} has the label {shown(value)} in row {row}; expected was a whole "
            "number or text. Correct it."
        )
    if not names:
        return str(value)
    if not (isinstance(value, int) and 0 <= value < len(names)):
        raise DataError(
            f"{place} has the label {shown(value)} in row {row}, but names for 0 to "
            f"{len(names) - 1} alone. Correct the label, or name its class."
        )
    return names[value]


def _bytes_of(value: Any) -> bytes:
    """Give the encoded image in a field; empty where there is none."""
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else b""


def _too_few_rows(place: str, missing: int) -> DataError:
    return DataError(
        f"{place} has {missing:,} fewer rows than it claims, or was changed. Write it again."
    )
