"""The folder that a job writes to: on a disk that all nodes share, or in object storage."""

import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from apparel.core.atomic_files import drop_partial, is_partial, write_text
from apparel.core.errors import UsageError
from apparel.data.inputs import filesystem, is_url, stored_errors

# A folder inside, of what is kept until the job is done.
RECORDS = "_parts"


class JobFolder(ABC):
    """Holds files that are whole or not there.

    Attributes:
        place: its path or URL.
    """

    place: str

    @abstractmethod
    def names(self, inside: str = "") -> set[str]:
        """The names of what is in it, or in a folder inside; none where that is not there."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether a file is there."""

    @abstractmethod
    def read(self, name: str) -> str | None:
        """The text of a file; None where there is none."""

    @abstractmethod
    def write(self, name: str, text: str) -> None:
        """Write a text file, and make the folder that it is in."""

    @abstractmethod
    def target(self, name: str) -> AbstractContextManager[Path]:
        """Give the path of a file that somebody writes whole or not at all, during the block."""

    @abstractmethod
    def drop(self, inside: str) -> None:
        """Delete the files of a folder inside, and the folder."""

    @abstractmethod
    def clean(self) -> None:
        """Delete what processes left that were killed while they wrote."""


def open_folder(place: str) -> JobFolder:
    """Open a folder, which need not be there.

    Args:
        place: its path or URL.

    Raises:
        UsageError: there is a file of this name.
        DataError: it is no such URL.
        ApparelError: a package for it is not installed.
    """
    if is_url(place):
        return _StoredFolder(place)
    if Path(place).exists() and not Path(place).is_dir():
        raise UsageError(
            f"{place} is a file. With --ray, answers are written to a folder of parts: name one "
            "that is new."
        )
    return _LocalFolder(place)


class _LocalFolder(JobFolder):
    """A folder on a disk."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._path = Path(place)

    def names(self, inside: str = "") -> set[str]:
        """See `JobFolder`."""
        folder = self._path / inside
        if not folder.is_dir():
            return set()
        return {path.name for path in folder.iterdir() if not is_partial(path)}

    def has(self, name: str) -> bool:
        """See `JobFolder`."""
        return (self._path / name).exists()

    def read(self, name: str) -> str | None:
        """See `JobFolder`."""
        try:
            return (self._path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """See `JobFolder`."""
        write_text(self._path / name, text)

    def target(self, name: str) -> AbstractContextManager[Path]:
        """See `JobFolder`."""
        return nullcontext(self._path / name)

    def drop(self, inside: str) -> None:
        """See `JobFolder`."""
        folder = self._path / inside
        for path in list(folder.glob("*")):
            path.unlink()
        if folder.is_dir():
            folder.rmdir()

    def clean(self) -> None:
        """See `JobFolder`."""
        drop_partial(self._path)


class _StoredFolder(JobFolder):
    """A folder in object storage, or wherever else fsspec reaches."""

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/")
        self._system, self._path = filesystem(self.place)

    def names(self, inside: str = "") -> set[str]:
        """See `JobFolder`."""
        path = f"{self._path}/{inside}".rstrip("/")
        with stored_errors(self.place):
            self._system.invalidate_cache()
            if not self._system.isdir(path):
                return set()
            return {Path(name).name for name in self._system.ls(path, detail=False)} - {""}

    def has(self, name: str) -> bool:
        """See `JobFolder`."""
        with stored_errors(self.place):
            self._system.invalidate_cache()
            return bool(self._system.exists(f"{self._path}/{name}"))

    def read(self, name: str) -> str | None:
        """See `JobFolder`."""
        with stored_errors(self.place):
            try:
                return bytes(self._system.cat_file(f"{self._path}/{name}")).decode()
            except FileNotFoundError:
                return None

    def write(self, name: str, text: str) -> None:
        """See `JobFolder`."""
        with self.target(name) as path:
            path.write_text(text, encoding="utf-8")

    @contextmanager
    def target(self, name: str) -> Iterator[Path]:
        """See `JobFolder`."""
        with tempfile.TemporaryDirectory(prefix="apparel-") as folder:
            path = Path(folder, Path(name).name)
            yield path
            to = f"{self._path}/{name}"
            # Object storage shows no file before all of it is there, but others do.
            aside = f"{self._path}/{RECORDS}/{uuid.uuid4().hex}"
            with stored_errors(self.place):
                self._system.makedirs(f"{self._path}/{RECORDS}", exist_ok=True)
                self._system.put_file(str(path), aside)
                self._system.mv(aside, to)

    def drop(self, inside: str) -> None:
        """See `JobFolder`."""
        with stored_errors(self.place):
            if self._system.exists(f"{self._path}/{inside}"):
                self._system.rm(f"{self._path}/{inside}", recursive=True)

    def clean(self) -> None:
        """See `JobFolder`: it is among what is kept until the job is done."""
