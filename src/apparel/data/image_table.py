"""The image files of a data set → a table that lists them, and that `data.load` reads again."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.records import ImageList, Splits

# As tables name them.
SPLITS = ("train", "validation", "test")
COLUMNS = ("path", "label", "split", "digest")


def image_folder(images: ImageList) -> Path | None:
    """Find the folder that the names of image files are relative to.

    Returns:
        The folder; None where the images are not in files of their own.
    """
    source = Path(images.source)
    folder = source if source.is_dir() else source.parent
    return folder if all((folder / name).is_file() for name in images.names) else None


def image_table(
    images: ImageList,
    folder: Path,
    *,
    splits: NDArray[np.int64],
    kept: NDArray[np.bool_],
    table: Path,
) -> str:
    """List image files.

    Args:
        images: n of them.
        folder: that their names are relative to.
        splits: shape (n,), the split of each as a position in `SPLITS`.
        kept: shape (n,), which of them to list.
        table: the file that the list will be; its folder decides what paths are relative to.

    Returns:
        The text of a CSV file: path, label, split and digest (BLAKE2b of the pixels, in
        hexadecimal digits) of each image.

    Raises:
        DataError: a path is not UTF-8.
    """
    beginning = os.path.relpath(folder, os.path.realpath(table.parent))
    return _as_text(
        (
            Path(beginning, images.names[position]).as_posix(),
            images.class_names[images.labels[position]],
            SPLITS[splits[position]],
            images.digests[position].astype(">u8").tobytes().hex(),
        )
        for position in np.flatnonzero(kept).tolist()
    )


def splits_table(images: ImageList, splits: Splits, table: Path) -> str | None:
    """List the image files of a data set by what they are used for.

    Args:
        images: its files.
        splits: says which of them are held out for validation.
        table: as in `image_table`.

    Returns:
        As `image_table`; None where the images are not in files of their own.

    Raises:
        DataError: a path is not UTF-8.
    """
    folder = image_folder(images)
    if folder is None:
        return None
    of_image = np.zeros(len(images.names), np.int64)
    of_image[splits.validation] = SPLITS.index("validation")
    of_image[len(splits.train_labels) :] = SPLITS.index("test")
    kept = np.ones(len(of_image), bool)
    return image_table(images, folder, splits=of_image, kept=kept, table=table)


def _as_text(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Lay out a CSV table.

    Raises:
        DataError: a path is not UTF-8.
    """
    lines = io.StringIO()
    # Line ends of two characters: csv quotes names that hold one of them.
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    text = lines.getvalue()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.end].rpartition("\n")[2]
        raise DataError(
            f"a table is in UTF-8, but the name of a file is not: {line!a}. Rename the file."
        ) from error
    return text
