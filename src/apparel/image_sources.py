"""Paths as people name them → the images that they stand for."""

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from apparel.decode import Source
from apparel.errors import DataError

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
STANDARD_INPUT = "-"

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
            found.append((name, sys.stdin.buffer.read()))
        elif Path(name).is_dir():
            found += _inside(Path(name))
        elif Path(name).is_file():
            found.append((name, name))
        else:
            found += _fitting(name)
    return found


def _inside(folder: Path) -> list[NamedSource]:
    """The images in a folder, known by their names.

    Raises:
        DataError: there is none.
    """
    inside = sorted(
        os.fspath(path)
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "." and path.is_file()
    )
    if not inside:
        raise DataError(
            f"the folder {folder} holds no image. Expected were files that end in "
            f"{', '.join(IMAGE_SUFFIXES)}."
        )
    return [(name, name) for name in inside]


def _fitting(pattern: str) -> list[NamedSource]:
    """The files that fit a pattern.

    Raises:
        DataError: there is none.
    """
    if not glob.has_magic(pattern):
        raise DataError(f"there is no file or folder {pattern}. Give the path of an image.")
    names = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207  # a Path takes no absolute pattern
    if not names:
        raise DataError(f"no file fits the pattern {pattern}. Give the path of an image.")
    return [(name, name) for name in names]
