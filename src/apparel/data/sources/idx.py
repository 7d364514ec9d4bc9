"""MNIST's own file format, IDX: a big-endian header, then bytes.

Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998. Fashion-MNIST,
MNIST, EMNIST and KMNIST come in it.
"""

import gzip
import hashlib
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.data.assembly import LabelledImages, Split, join
from apparel.data.unpacked_size import check_unpacked_size

Kind: TypeAlias = Literal["images", "labels"]

# What the four files are called; EMNIST's names begin with that of the set.
_NAME = re.compile(r".*?(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")
_SPLITS: dict[str, Split] = {"train": "train", "t10k": "test", "test": "test"}
_KINDS: tuple[Kind, ...] = ("images", "labels")
_DIMENSIONS: dict[Kind, int] = {"images": 3, "labels": 1}
# The code of unsigned bytes, in the third byte of the header; the fourth is the dimensions.
_UNSIGNED_BYTES = 0x08
CHUNK = 1 << 20
# One object for each, where a string for each label would take fifty bytes.
_NUMBERS = [str(number) for number in range(256)]


def find_idx(folder: Path) -> dict[tuple[Split, Kind], Path]:
    """Find the files of a set.

    Returns:
        Each by its split and its kind; nothing where there are none.

    Raises:
        DataError: the folder has files of several sets, or lacks one.
    """
    found: dict[tuple[Split, Kind], Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        key = _SPLITS[match[1]], _KINDS[match[2] == "labels"]
        if key in found and found[key].name != path.name.removesuffix(".gz"):
            raise DataError(
                f"{folder} holds IDX files of several sets, for example {found[key].name} and "
                f"{path.name}. Give each set a folder of its own."
            )
        found.setdefault(key, path)
    for (split, kind), path in found.items():
        other = _KINDS[kind == "images"]
        if (split, other) not in found:
            raise DataError(
                f"{folder} holds {path.name}, but not the {other} that belong to it. Add the file."
            )
    return found


def read_idx(folder: Path, files: dict[tuple[Split, Kind], Path]) -> LabelledImages:
    """Read a set.

    Args:
        folder: where the files are.
        files: from `find_idx`.

    Raises:
        DataError: a file is broken, or two do not fit together.
    """
    splits = sorted({split for split, _ in files})
    parts = [_read_split(files[split, "images"], files[split, "labels"]) for split in splits]
    return join(parts, splits=splits, source=str(folder))


def _read_split(images_path: Path, labels_path: Path) -> LabelledImages:
    """Read images and their labels, or raise DataError if they do not fit together."""
    images, labels = read_idx_file(images_path, "images"), read_idx_file(labels_path, "labels")
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images):,} images, but {labels_path.name} {len(labels):,} "
            "labels. Get both once more, from one place."
        )
    n, height, width = images.shape
    return LabelledImages(
        images=images[..., np.newaxis],
        labels=[_NUMBERS[number] for number in labels.tolist()],
        splits=None,
        names=[f"{images_path.name}#{i}" for i in range(n)],
        unreadable={},
        sizes={(height, width): n},
    )


def read_idx_file(path: Path, kind: Kind) -> NDArray[np.uint8]:
    """Read a file, compressed by gzip or not.

    Returns:
        Shape (n, height, width) of images, (n,) of labels.

    Raises:
        DataError: it is no such file, is cut, or goes on after its end.
    """
    n_dimensions = _DIMENSIONS[kind]
    magic = _magic(n_dimensions)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * n_dimensions)
            if len(header) < 4 + 4 * n_dimensions:
                raise DataError(f"{path} is cut short after {len(header)} bytes. Get it once more.")
            begins, *shape = struct.unpack(f">{1 + n_dimensions}I", header)
            if begins != magic:
                raise DataError(
                    f"{path} should begin with {magic}, the magic number of IDX {kind}, but begins "
                    f"with {begins}. Get it once more, or name the right file."
                )
            if 0 in shape:
                raise DataError(f"{path} holds no {kind}: its shape is {tuple(shape)}.")
            size = math.prod(shape)
            check_unpacked_size(path, size, n_images=shape[0] if kind == "images" else 0)
            content = _read_exactly(file, size, path)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}). Get it once more.") from error
    return np.frombuffer(content, np.uint8).reshape(shape)


def idx_sha256(array: NDArray[np.uint8]) -> str:
    """Hash an array as the content of its file, which begins with a header.

    Args:
        array: of any shape.

    Returns:
        SHA-256 in hexadecimal.
    """
    header = struct.pack(f">{1 + array.ndim}I", _magic(array.ndim), *array.shape)
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _magic(n_dimensions: int) -> int:
    """Give the magic number of a file of bytes."""
    return _UNSIGNED_BYTES << 8 | n_dimensions


def _read_exactly(file: BinaryIO | gzip.GzipFile, size: int, path: Path) -> bytearray:
    """Read the bytes that the header claims, or raise DataError if the file has less or more."""
    content = bytearray()
    while len(content) <= size and (chunk := file.read(min(CHUNK, size + 1 - len(content)))):
        content += chunk
    if len(content) != size:
        holds = "more" if len(content) > size else f"{len(content):,}"
        raise DataError(
            f"{path} should hold {size:,} bytes after its header, but holds {holds}. Get it once "
            "more."
        )
    return content
