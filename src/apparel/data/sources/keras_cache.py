"""Fill Keras's cache with files whose content is known, from the first source that has them."""

import errno
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import ApparelError, DataUnavailableError
from apparel.data.sources.known_files import FileFaultError, FileMissingError, KnownFile, read_known
from apparel.data.sources.places import Source, SourceError

LOGGER = logging.getLogger("apparel")


def ensure_cached(
    cache: Path, files: Sequence[KnownFile], sources: Sequence[Source], *, title: str, remedy: str
) -> None:
    """Make sure that the cache holds the right files.

    Several processes may do this at once: files enter by renaming, and only right ones.

    Args:
        cache: the folder to fill.
        files: what it has to hold.
        sources: where to get what it lacks, in this order.
        title: the name of the data set, for people.
        remedy: what the user can do if no source has the files, one action a line.

    Raises:
        DataUnavailableError: no source has the files; the message says why, for each.
        ApparelError: the cache cannot be written, for example because the disk is full.
    """
    wanted, faults = _clean(cache, files)
    tried = [f"Keras's cache ({cache}): {'; '.join(faults)}"]
    for source in sources:
        if not wanted:
            break
        wanted, faults = _take(source, cache, wanted)
        if faults:
            tried.append(f"{source.name}: {'; '.join(faults)}")
    # Another process may have had more luck meanwhile.
    if wanted and _clean(cache, wanted)[0]:
        raise DataUnavailableError(
            "\n".join(
                (f"{title} could not be had. Tried:", *_indented(tried), "What helps:", remedy)
            )
        )


def _clean(cache: Path, files: Sequence[KnownFile]) -> tuple[list[KnownFile], list[str]]:
    """Remove wrong files from the cache; return what it lacks, and why."""
    wanted, faults = [], []
    for file in files:
        path = cache / file.name
        before = _identity(path)
        try:
            read_known(cache, file)
        except FileFaultError as fault:
            wanted.append(file)
            faults.append(f"{file.name} {fault}")
            if not isinstance(fault, FileMissingError):
                LOGGER.warning("%s %s. It is removed, to be replaced.", path, fault)
                # By now another process may have put the right file in its place.
                if _identity(path) == before:
                    _remove(path)
    return wanted, faults


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from the one that replaces it, or None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _remove(path: Path) -> None:
    """Remove a wrong file.

    Raises:
        ApparelError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ApparelError(
            f"{path} is wrong and cannot be removed ({error.strerror}). Remove it by hand, or "
            "set KERAS_HOME to another folder."
        ) from error


def _take(
    source: Source, cache: Path, wanted: Sequence[KnownFile]
) -> tuple[list[KnownFile], list[str]]:
    """Copy the right files of a source into the cache; return what is still lacking, and why."""
    left, faults = [], []
    try:
        with source.open([file.name for file in wanted]) as folder:
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
    except (SourceError, OSError) as error:
        left, faults = list(wanted), [" ".join(str(error).split())]
    if len(left) < len(wanted):
        print(f"Taken from {source.name}: {len(wanted) - len(left)} files.", file=sys.stderr)
    return left, faults


def _store(target: Path, content: bytes) -> None:
    """Write a file of the cache, whole or not at all.

    Raises:
        ApparelError: the disk is full, or the folder cannot be written to.
    """
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


def _indented(lines: Sequence[str]) -> list[str]:
    """Set lines apart as a list."""
    return [f"  - {line}" for line in lines]
