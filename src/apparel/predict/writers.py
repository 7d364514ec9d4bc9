"""Predictions → a file, some at a time, so that it may be larger than memory."""

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import ApparelError, UsageError
from apparel.core.records import Answer, FailedImage

# Rows of a Parquet file that are read and written at once.
GROUP_ROWS = 1 << 14

Write: TypeAlias = Callable[[Sequence[Answer]], None]


def check_suffix(path: Path) -> None:
    """Check that the suffix of a file names a format.

    Raises:
        UsageError: it names none.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(
            f"predictions are written to files that end in {', '.join(_WRITERS)}, not to {path}. "
            "Name such a file."
        )


@contextmanager
def writing(path: Path, class_names: Sequence[str], *, has_novelty: bool) -> Iterator[Write]:
    """Write predictions to a file: whole, or not at all.

    Each image has a row: file, label, confidence, perhaps novelty, error, then the probability of
    each class; that of a class which is called as another column is called "probability of" it. An
    image that could not be read has an error and nothing else.

    Args:
        path: ends in .csv, .jsonl or .parquet; an existing file is replaced.
        class_names: k of them.
        has_novelty: whether the model has a novelty score.

    Yields:
        A function that writes some more rows.

    Raises:
        UsageError: the suffix names no format.
        ApparelError: a package that writes the format is missing.
        OSError: the file cannot be written.
    """
    check_suffix(path)
    columns = ["file", "label", "confidence", *(["novelty"] if has_novelty else []), "error"]
    with (
        atomic_path(path) as temporary,
        _WRITERS[path.suffix](temporary, columns, class_names) as write,
    ):
        yield write


def _row(answer: Answer, columns: Sequence[str], k: int) -> list[Any]:
    """The values of an image's columns, then its k probabilities."""
    if isinstance(answer, FailedImage):
        values: dict[str, Any] = {"file": answer.name, "error": answer.problem}
        return [*map(values.get, columns), *[None] * k]
    values = {
        "file": answer.name,
        "label": answer.label,
        "confidence": answer.confidence,
        "novelty": answer.novelty,
    }
    return [*map(values.get, columns), *answer.probabilities.tolist()]


def _header(columns: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """The names of all columns, each unlike all others."""
    found = list(columns)
    for name in class_names:
        column = name
        while column in columns or (column != name and column in class_names):
            column = f"probability of {column}"
        found.append(column)
    return found


@contextmanager
def _csv(path: Path, columns: Sequence[str], class_names: Sequence[str]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_header(columns, class_names))

        def write(answers: Sequence[Answer]) -> None:
            for answer in answers:
                row = _row(answer, columns, len(class_names))
                # Nine digits give a float32 back bit for bit.
                writer.writerow([f"{x:.9g}" if isinstance(x, float) else x for x in row])

        yield write


@contextmanager
def _jsonl(path: Path, columns: Sequence[str], class_names: Sequence[str]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:

        def write(answers: Sequence[Answer]) -> None:
            for answer in answers:
                row = _row(answer, columns, len(class_names))
                of_class = dict(zip(class_names, row[len(columns) :], strict=True))
                is_read = not isinstance(answer, FailedImage)
                values = dict(zip(columns, row, strict=False))
                values["probabilities"] = of_class if is_read else None
                file.write(json.dumps(values) + "\n")

        yield write


@contextmanager
def _parquet(path: Path, columns: Sequence[str], class_names: Sequence[str]) -> Iterator[Write]:
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra
        import pyarrow.parquet as pq  # noqa: PLC0415  # as above
    except ImportError as error:
        raise ApparelError(
            f"{path.name} needs the package pyarrow, which is not installed. Install it with "
            "pip install 'apparel[parquet]', or name a file that ends in .csv or .jsonl."
        ) from error
    text = {"file", "label", "error"}
    kinds = [pa.string() if name in text else pa.float32() for name in columns]
    kinds += [pa.float32()] * len(class_names)
    schema = pa.schema(zip(_header(columns, class_names), kinds, strict=True))
    waiting: list[Any] = []
    with pq.ParquetWriter(os.fspath(path), schema) as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
            waiting.clear()

        def write(answers: Sequence[Answer]) -> None:
            rows = [_row(answer, columns, len(class_names)) for answer in answers]
            for row in rows:  # names need not be UTF-8, but Parquet's text is
                row[0] = os.fsencode(row[0]).decode("utf-8", "backslashreplace")
            values = zip(*rows, strict=True)
            arrays = [pa.array(column, kind) for column, kind in zip(values, kinds, strict=True)]
            waiting.append(pa.Table.from_arrays(arrays, schema=schema))
            if sum(map(len, waiting)) >= GROUP_ROWS:
                flush()

        yield write
        flush()


_WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
