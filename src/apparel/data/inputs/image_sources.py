"""Paths as people name them → the images that they stand for."""

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from apparel.core.errors import DataError
from apparel.core.messages import printable
from apparel.data.decode import Source
from apparel.data.decode.opening import MAX_FILE_BYTES

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
STANDARD_INPUT = "-"
# Letters of a pattern, as many as a path may have: comparing with longer ones takes seconds.
LONGEST_PATTERN = 4096

# What messages and tables call an image, and the image.
NamedSource: TypeAlias = tuple[str, Source]


def find_images(paths: Sequence[str | os.PathLike[str]]) -> list[NamedSource]:
    """List the images that paths name.

    Args:
        paths: files; folders, for the images inside them; patterns with `*`, `?` or `[`, where no
            file has that name; or "-" for an image on standard input, which is read at once.

    Returns:
        Images in the order named, those of a folder or a pattern sorted by name.

    Raises:
        DataError: a path does not exist, a folder holds no image, or nothing fits a pattern.
    """
    found: list[NamedSource] = []
    for path in paths:
        name = os.fspath(path)
        if name == STANDARD_INPUT:
            # One more than an image may have: then it is refused, and the memory is not filled.
            found.append((name, sys.stdin.buffer.read(MAX_FILE_BYTES + 1)))
        elif os.path.isdir(name):  # noqa: PTH112  # a Path throws at names that cannot be
            found += _inside(Path(name))
        elif os.path.isfile(name):  # noqa: PTH113  # as above
            found.append((name, name))
        else:
            found += _fitting(name)
    return found


def _inside(folder: Path) -> list[NamedSource]:
    """The images in a folder, known by their names.

    Raises:
        DataError: there is none, or the folder cannot be read.
    """
    shown = printable(os.fspath(folder))
    try:
        inside = sorted(
            os.fspath(path)
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "." and path.is_file()
        )
    except OSError as error:
        raise DataError(
            f"the folder {shown} cannot be read ({error.strerror}). Give one that you may read."
        ) from error
    if not inside:
        raise DataError(
            f"the folder {shown} holds no image. Expected were files that end in "
            f"{', '.join(IMAGE_SUFFIXES)}."
        )
    return [(name, name) for name in inside]


def _fitting(pattern: str) -> list[NamedSource]:
    """The files that fit a pattern.

    Raises:
        DataError: there is none.
    """
    shown = printable(pattern)
    if not glob.has_magic(pattern):
        raise DataError(f"there is no file or folder {shown}. Give the path of an image.")
    try:
        found = [] if len(pattern) > LONGEST_PATTERN else glob.glob(pattern, recursive=True)  # noqa: PTH207  # a Path takes no absolute pattern
    except (OSError, RecursionError, ValueError):  # no pattern of names that can be
        found = []
    names = sorted(name for name in found if os.path.isfile(name))  # noqa: PTH113  # as above
    if not names:
        raise DataError(f"no file fits the pattern {shown}. Give the path of an image.")
    return [(name, name) for name in names]
