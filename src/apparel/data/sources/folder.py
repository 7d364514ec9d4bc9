"""A folder with a folder of images for each class, split or not."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apparel.core.errors import DataError
from apparel.data.assembly import LabelledImages, Split
from apparel.data.image_files import read_files

SPLITS: dict[str, Split] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
# Files that file managers leave behind.
LITTER = {"thumbs.db", "desktop.ini"}
LINKED_FOLDER = "links to folders are not followed"


@dataclass(kw_only=True)
class _Listing:
    """Files by class, and those that were left out, with the reason."""

    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def read_folder(folder: Path, *, image_size: int | None = None) -> LabelledImages:
    """Read a folder of class folders.

    A class folder's own folders belong to the class. Hidden files are skipped. Links that lead out
    of the folder are not followed, but named.

    Args:
        folder: with a folder for each class, or with `train`, `test` and, if there are any,
            `val`, `valid` or `validation`, each with a folder for each class.
        image_size: height and width; None for the size that fits the images.

    Raises:
        DataError: there is no image, or the folders are not of that kind.
    """
    found = _Listing()
    split_folders = _split_folders(folder)
    for name, split in (split_folders or {"": "train"}).items():
        _list_classes(folder, folder / name, split, found)
    if not found.names:
        first = [f" Left out: {name}: {why}" for name, why in found.left_out.items()][:1]
        raise DataError(
            f"{folder} has no folder with images in it. Expected was a folder for each class, with "
            f"the images of the class inside, or train and test folders of them.{''.join(first)}"
        )
    return read_files(
        folder,
        found.names,
        labels=found.labels,
        splits=found.splits if split_folders else None,
        left_out=found.left_out,
        image_size=image_size,
    )


def _split_folders(folder: Path) -> dict[str, Split]:
    """Find the folders of splits, if any, or raise DataError if they are mixed with others."""
    inside = [entry.name for entry in _folders(folder) if not entry.is_symlink()]
    splits = {name: SPLITS[name.lower()] for name in inside if name.lower() in SPLITS}
    distinct = set(splits.values())
    if "train" not in distinct or (len(distinct) == 1 and len(inside) > 1):
        return {}
    if len(splits) < len(inside):
        others = ", ".join(sorted(set(inside) - set(splits)))
        raise DataError(
            f"{folder} has folders of splits ({', '.join(splits)}) beside others ({others}). "
            "Expected were train and test with the class folders inside, or class folders alone. "
            "Move the others elsewhere."
        )
    if len(distinct) < len(splits):
        raise DataError(
            f"{folder} has two folders for one split: {', '.join(splits)}. Keep one of val, valid "
            "and validation."
        )
    return splits


def _list_classes(root: Path, folder: Path, split: Split, found: _Listing) -> None:
    """List the images below each class folder."""
    for entry in _folders(folder):
        if entry.is_symlink():
            found.left_out[os.path.relpath(entry.path, root)] = LINKED_FOLDER
            continue
        for name in _files_below(root, entry.path, found):
            found.names.append(name)
            found.labels.append(entry.name)
            found.splits.append(split)


def _folders(folder: Path) -> list["os.DirEntry[str]"]:
    """List the folders in a folder, and links to folders, but not hidden ones."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}). Give a folder that you may read."
        ) from error
    return [
        entry
        for entry in entries
        if entry.is_dir() and (entry.is_symlink() or not entry.name.startswith("."))
    ]


def _files_below(root: Path, folder: str, found: _Listing) -> Iterator[str]:
    """Give the paths of files below a folder, relative to the root, in the order of their names."""
    inside = os.path.realpath(root) + os.sep

    def note(error: OSError) -> None:
        found.left_out[os.path.relpath(error.filename, root)] = f"cannot be read ({error.strerror})"

    for path, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        relative = os.path.relpath(path, root)
        for name in folders:
            if os.path.islink(os.path.join(path, name)):  # noqa: PTH114, PTH118  # millions of files
                found.left_out[f"{relative}/{name}"] = LINKED_FOLDER
        for name in sorted(files):
            if name[0] == "." or name.lower() in LITTER:
                continue
            full = os.path.join(path, name)  # noqa: PTH118  # as above
            if os.path.islink(full) and not os.path.realpath(full).startswith(inside):  # noqa: PTH114  # as above
                found.left_out[f"{relative}/{name}"] = "the link leads out of the folder"
                continue
            yield f"{relative}/{name}"
