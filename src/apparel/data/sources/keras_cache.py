"""Fill Keras's cache with files of known content, from the first mirror that has them."""

import errno
import gzip
import hashlib
import io
import logging
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import ApparelError, DataUnavailableError
from apparel.core.messages import say
from apparel.data.sources.mirrors import Mirror, MirrorError

LOGGER = logging.getLogger("apparel")
CHUNK = 1 << 20
# Compression can enlarge data slightly: headers, and 5 bytes a 16 KB block at worst.
COMPRESSED_MARGIN = 1 << 16


@dataclass(frozen=True)
class KnownFile:
    """A gzip file with known content.

    Attributes:
        name: the file name.
        size: bytes of the decompressed content.
        sha256: of the decompressed content. Compressed bytes differ from source to source.
    """

    name: str
    size: int
    sha256: str


class FileFaultError(Exception):
    """A file has the wrong content; the message continues a sentence that names it."""


class FileMissingError(FileFaultError):
    """There is no such file."""


def read_known(folder: Path, expected: KnownFile) -> bytes:
    """Read a gzip file and check its content.

    Args:
        folder: where the file should be.
        expected: its name and content.

    Returns:
        The bytes of the file, still compressed.

    Raises:
        FileMissingError: there is no such file.
        FileFaultError: it cannot be read, is cut, or holds something else.
    """
    path = folder / expected.name
    limit = expected.size + COMPRESSED_MARGIN
    try:
        if not path.exists():
            raise FileMissingError("is missing")
        # Opening a pipe or device could wait for ever.
        if not path.is_file():
            raise FileFaultError("is not a file")
        with path.open("rb") as stream:
            compressed = stream.read(limit + 1)
    except OSError as error:
        raise FileFaultError(f"cannot be read ({error.strerror})") from error
    if len(compressed) > limit:
        raise FileFaultError(f"is larger than its content of {expected.size} bytes can be")
    _check_content(compressed, expected)
    return compressed


def _check_content(compressed: bytes, expected: KnownFile) -> None:
    """Decompress in chunks, never much beyond the expected size, and compare the hash.

    Raises:
        FileFaultError: the bytes are no gzip file, are cut, or hold something else.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(compressed)) as content:
            while chunk := content.read(CHUNK):
                size += len(chunk)
                if size > expected.size:
                    raise FileFaultError(f"holds more than the expected {expected.size} bytes")
                digest.update(chunk)
    except EOFError as error:
        raise FileFaultError(f"is cut short after {len(compressed)} bytes") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFaultError(f"is no intact gzip file ({error})") from error
    if size < expected.size:
        raise FileFaultError(f"holds {size} bytes, expected {expected.size}")
    if digest.hexdigest() != expected.sha256:
        raise FileFaultError(
            f"holds the wrong content (SHA-256 {digest.hexdigest()}, expected {expected.sha256})"
        )


def ensure_cached(
    cache: Path, files: Sequence[KnownFile], mirrors: Sequence[Mirror], *, title: str, remedy: str
) -> None:
    """Make sure that the cache holds the right files.

    Several processes may do this at once: files enter by renaming, and only right ones.

    Args:
        cache: the folder to fill.
        files: required content.
        mirrors: of the missing files, in the order to try them.
        title: the name of the data set, for people.
        remedy: what the user can do if no mirror has the files, one action a line.

    Raises:
        DataUnavailableError: no mirror has the files; the message says why, for each.
        ApparelError: the cache cannot be written, for example because the disk is full.
    """
    wanted, faults = _clean(cache, files)
    tried = [f"Keras's cache ({cache}): {'; '.join(faults)}"]
    for mirror in mirrors:
        if not wanted:
            break
        wanted, faults = _take(mirror, cache, wanted)
        if faults:
            tried.append(f"{mirror.name}: {'; '.join(faults)}")
    if wanted:
        lines = "".join(f"\n  - {line}" for line in tried)
        raise DataUnavailableError(
            f"{title} could not be had. Tried:{lines}\nWhat helps:\n{remedy}"
        )


def _clean(cache: Path, files: Sequence[KnownFile]) -> tuple[list[KnownFile], list[str]]:
    """Remove wrong files from the cache; return the missing ones, and why."""
    wanted, faults = [], []
    for file in files:
        path = cache / file.name
        try:
            read_known(cache, file)
        except FileFaultError as fault:
            wanted.append(file)
            faults.append(f"{file.name} {fault}")
            if not isinstance(fault, FileMissingError):
                LOGGER.warning("%s %s. It is removed, to be replaced.", path, fault)
                _remove(path)
    return wanted, faults


def _remove(path: Path) -> None:
    """Remove a wrong file, or raise ApparelError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ApparelError(
            f"{path} is wrong and cannot be removed ({error.strerror}). Remove it by hand, or "
            "set KERAS_HOME to another folder."
        ) from error


def _take(
    mirror: Mirror, cache: Path, wanted: Sequence[KnownFile]
) -> tuple[list[KnownFile], list[str]]:
    """Copy the right files of a mirror into the cache; return the files still missing, and why."""
    left, faults = [], []
    try:
        with mirror.open([file.name for file in wanted]) as folder:
            for file in wanted:
                try:
                    content = read_known(folder, file)
                except FileFaultError as fault:
                    left.append(file)
                    faults.append(f"{file.name} {fault}")
                    if not isinstance(fault, FileMissingError):
                        LOGGER.warning("%s %s. It is not used.", folder / file.name, fault)
                else:
                    _store(cache / file.name, content)
    except (MirrorError, OSError) as error:
        left, faults = list(wanted), [" ".join(str(error).split())]
    if len(left) < len(wanted):
        say(f"Taken from {mirror.name}: {len(wanted) - len(left)} files.", file=sys.stderr)
    return left, faults


def _store(target: Path, content: bytes) -> None:
    """Write a file of the cache, whole or not at all, or raise ApparelError."""
    try:
        with atomic_path(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ApparelError(
                f"The disk is full: {target.name} needs {len(content) / 1e6:.1f} MB in "
                f"{target.parent}. Free some space, or set KERAS_HOME to a folder on another disk."
            ) from error
        raise ApparelError(
            f"{target} cannot be written ({error.strerror or error}). "
            "Set KERAS_HOME to a folder that you may write to."
        ) from error
