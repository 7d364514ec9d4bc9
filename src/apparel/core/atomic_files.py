"""Write files so that a reader never sees half of one, even if the power fails."""

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from apparel.core.errors import ApparelError, UsageError

# End of the names of folders for files that are being written.
PARTIAL = ".partial"


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it into place on success, delete it on failure.

    The temporary name keeps the target's suffix, because writers such as Keras and
    matplotlib choose the format by it. What was written is on the disk before it gets its name.

    Args:
        target: the file to write. Its folder is made if it is missing.

    Yields:
        A path, not yet existing, on the same file system.

    Raises:
        UsageError: the target exists and is no regular file.
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    target = _regular(target)
    with folder_beside(target) as folder:
        temporary = folder / target.name
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Make a temporary folder on the disk of `target`: two processes never meet in it.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.stem[:32]}-", suffix=PARTIAL, dir=target.parent
        ) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno is not None:  # without a number, a name would replace the message
            # Users know the file by this name, and writers often give none.
            error.filename = os.fspath(target)
        raise


def claim(target: Path, text: str) -> None:
    """Write a text file that must not exist, whole or not at all: of two processes, one succeeds.

    Raises:
        FileExistsError: it exists.
        OSError: the folder cannot be written to, or the disk is full.
    """
    with tempfile.TemporaryDirectory(
        prefix=f".{target.stem}-", suffix=PARTIAL, dir=target.parent
    ) as folder:
        temporary = Path(folder, target.name)
        temporary.write_text(text, encoding="utf-8", newline="\n")
        _sync(temporary)
        # Unlike a rename, a link replaces nothing.
        target.hardlink_to(temporary)
    _sync(target.parent)


def is_partial(path: Path) -> bool:
    """Tell whether a folder was left by a process that was killed while writing a file."""
    return path.name.startswith(".") and path.name.endswith(PARTIAL)


def drop_partial(folder: Path) -> None:
    """Delete what killed processes left half written in a folder, or in folders inside it."""
    for path in [path for path in folder.rglob("*") if is_partial(path)]:
        shutil.rmtree(path, ignore_errors=True)


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `target` as UTF-8, whole or not at all.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(
    target: str | os.PathLike[str],
    value: object,
    *,
    ascii: bool = False,  # noqa: A002  # json's word
) -> None:
    """Write `value` to `target` as indented JSON, whole or not at all.

    Args:
        target: the file.
        value: what JSON can hold.
        ascii: escape all other characters, for text that may not be valid Unicode.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    write_text(target, json.dumps(value, indent=2, ensure_ascii=ascii) + "\n")


def write_csv(
    target: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Iterable[object]]
) -> None:
    """Write a table to `target` as UTF-8, whole or not at all.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(target, text.getvalue())


def check_writable(target: str | os.PathLike[str]) -> None:
    """Check, before hours of work, that a file can be written later.

    Raises:
        UsageError: its folder exists and cannot be written to, or it is no regular file.
    """
    path = _regular(target)
    try:
        if path.parent.exists():
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}. Name a file in another folder."
        ) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system releases it however this process ends.

    Where the file system has no locks, no process is kept out.

    Raises:
        ApparelError: another process works there.
    """
    try:
        import fcntl  # noqa: PLC0415  # Windows has none
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ApparelError(
                    f"another process is at work in {folder}. Wait until it ends, or end it."
                ) from error
        yield
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders; it has no need to
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _regular(target: str | os.PathLike[str]) -> Path:
    """Follow links, which stay links, to a regular file or one that does not exist yet.

    Raises:
        UsageError: there is something else, which a rename would destroy.
    """
    path = Path(os.path.realpath(target))
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is a folder or a device. Name a file to write.")
    return path
