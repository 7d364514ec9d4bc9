"""Rows of Parquet files, read by pyarrow in this process, with little memory for any file.

pyarrow is native code that trusts a file in much. So `parquet_apart` runs what is here in a process
of its own, and elsewhere it runs in processes that may die.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apparel.core.errors import ApparelError, DataError
from apparel.core.messages import listed, reason
from apparel.data.inputs import storage
from apparel.data.inputs.parts import Footer, RowPart

_IMAGE_COLUMNS = ("image", "img")
# Pages are read in pieces: a group of rows may be larger than memory.
_BUFFER_BYTES = 1 << 20
_ROWS_AT_ONCE = 64


class RowsHere:
    """See `ReadsRows`."""

    def footer(self, place: str) -> Footer:
        """See `ReadsRows`."""
        with _opened(place) as file:
            metadata = file.metadata
            rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            if min(rows, default=0) < 0:
                raise DataError(f"{place} says to have fewer rows than none. Write it again.")
            _image_column(file, place)
            whole = io.BytesIO()
            metadata.write_metadata_file(whole)
        return Footer(rows, hashlib.sha256(whole.getbuffer()).hexdigest())

    def images(self, part: RowPart) -> Iterator[list[bytes]]:
        """See `ReadsRows`."""
        before, left = part.skipped, part.n_images
        with _opened(part.place) as file:
            column = _image_column(file, part.place)
            for batch in file.iter_batches(
                _ROWS_AT_ONCE, range(*part.groups), [column], use_threads=False
            ):
                some = batch.column(0).slice(before, left)
                before = max(before - len(batch), 0)
                left -= len(some)
                if len(some):
                    yield [_bytes_of(value) for value in some.to_pylist()]
                if not left:
                    return
        raise DataError(
            f"{part.place} has {left:,} rows less than it says, or was changed. Write it again."
        )


@contextmanager
def _opened(place: str) -> Iterator[Any]:
    """Open a file, and say what is wrong with it while it is read.

    Raises:
        DataError: it is no Parquet file, or is damaged.
        DataUnavailableError: the storage refuses.
        ApparelError: pyarrow is not installed.
    """
    try:
        from pyarrow import parquet  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ApparelError(
            f"{place} can be read with pyarrow alone, which is not installed. Install it with: "
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


def _image_column(file: Any, place: str) -> str:
    """The name of the column of images.

    Raises:
        DataError: there is none.
    """
    names: list[str] = file.schema_arrow.names
    for name in _IMAGE_COLUMNS:
        if name in names:
            return name
    raise DataError(
        f"{place} should have the column image, of encoded images, but has: "
        f"{listed(names)}. Rename it."
    )


def _bytes_of(value: Any) -> bytes:
    """The encoded image in a field; nothing where there is none."""
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else b""
