"""A Parquet file, read by pyarrow in this process.

pyarrow is native code that trusts a file in much. So `parquet_process` runs what is here in a
process of its own.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from apparel.core.errors import DataError
from apparel.core.messages import listed, reason, shown
from apparel.data.bounds import check_growth

_IMAGE_COLUMNS = ("image", "img")


class Facts(NamedTuple):
    """What a table says besides its images.

    Attributes:
        labels: of the rows.
        group_rows: how many rows each group has.
    """

    labels: list[str]
    group_rows: list[int]


class ParquetTable:
    """A table of encoded images and their labels."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Args:
            path: of the file.

        Raises:
            DataError: it is no such table, or promises more rows than it has room for.
            ImportError: pyarrow is not installed.
        """
        from pyarrow import parquet  # noqa: PLC0415  # an extra

        self._path = path
        try:
            self._file = parquet.ParquetFile(path, page_checksum_verification=True)
            metadata = self._file.metadata
            self._group_rows = [
                metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)
            ]
            names = self._file.schema_arrow.names
        except Exception as error:  # pyarrow meets broken files with errors of any kind
            raise self._broken(error) from error
        if min(self._group_rows, default=0) < 0:
            raise DataError(f"{path} says to have fewer rows than none. Write it again.")
        check_growth(path, 0, n_images=sum(self._group_rows))
        column = next((name for name in _IMAGE_COLUMNS if name in names), None)
        if column is None or "label" not in names:
            raise DataError(
                f"{path} should have the columns image, of encoded images, and label, but has: "
                f"{listed(names)}. Rename them."
            )
        self._column = column

    def facts(self) -> Facts:
        """Read the labels, by the names that the table has for them.

        Raises:
            DataError: one is missing, or is neither a whole number nor text.
        """
        values = []
        for group in range(len(self._group_rows)):
            values += self._values(group, "label")
        names = self._class_names()
        for row, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise DataError(
                    f"{self._path} has the label {shown(value)} in row {row}; expected was a "
                    "whole number or text. Correct it."
                )
            if names and not (isinstance(value, int) and 0 <= value < len(names)):
                raise DataError(
                    f"{self._path} has the label {shown(value)}, but names for 0 to "
                    f"{len(names) - 1} alone. Correct the label, or name its class."
                )
        labels = [names[value] if names else str(value) for value in values]
        return Facts(labels, self._group_rows)

    def images(self, group: int) -> list[bytes]:
        """Read the encoded images of a group of rows; nothing for a row that has none.

        Raises:
            DataError: the group is damaged.
        """
        return [_bytes_of(value) for value in self._values(group, self._column)]

    def _values(self, group: int, column: str) -> list[Any]:
        """The values of a column, in one group of rows.

        Raises:
            DataError: they cannot be read, or are more or fewer than the file says.
        """
        try:
            read = self._file.read_row_group(group, columns=[column], use_threads=False)
            values: list[Any] = read.column(0).to_pylist()
        except Exception as error:  # as above
            raise self._broken(error) from error
        if len(values) != self._group_rows[group]:
            raise DataError(
                f"{self._path} should have {self._group_rows[group]:,} rows in group {group}, but "
                f"has {len(values):,}. Write it again."
            )
        return values

    def _class_names(self) -> list[str]:
        """The names that Hugging Face's `datasets` writes into the schema, if they are there."""
        metadata = self._file.schema_arrow.metadata or {}
        try:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
            return [str(name) for name in features["label"]["names"]]
        except (KeyError, RecursionError, TypeError, ValueError):
            return []

    def _broken(self, error: Exception) -> DataError:
        return DataError(
            f"{self._path} is no Parquet file that can be read: {reason(error)}. Write it again."
        )


def _bytes_of(value: Any) -> bytes:
    """The encoded image in a field; nothing where there is none."""
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else b""


def lacking(path: Path) -> str:
    """Say that pyarrow is missing."""
    return (
        f"{path} can be read with pyarrow alone, which is not installed. Install it with: "
        "pip install 'apparel[parquet]'"
    )
