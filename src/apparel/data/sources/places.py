"""Places that may have the files: a folder on this machine, or Keras's download."""

import http.client
import io
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from apparel.core import backend
from apparel.core.errors import ApparelError

# A network that swallows packets answers nothing: give up instead of waiting for ever.
SOCKET_SECONDS = 30.0


class SourceError(Exception):
    """A source cannot be reached; the message says why."""


@dataclass(frozen=True)
class Source:
    """A place that may have the files.

    Attributes:
        name: for people.
        open: takes the names of the wanted files; gives a folder that may hold them, for the
            duration of the `with` block. Raises SourceError where there is none.
    """

    name: str
    open: Callable[[Sequence[str]], AbstractContextManager[Path]]


def folder_source(name: str, folder: Path) -> Source:
    """A folder on this machine.

    Args:
        name: what the folder is, for people.
        folder: where the files may be.

    Returns:
        The source; its name contains the folder.
    """

    @contextmanager
    def open_folder(_wanted: Sequence[str]) -> Iterator[Path]:
        if not folder.is_dir():
            raise SourceError("there is no such folder")
        yield folder

    return Source(f"{name} ({folder})", open_folder)


def keras_source(origin: str) -> Source:
    """Keras's own download.

    Args:
        origin: the address of the folder that holds the files, with a slash at the end.

    Returns:
        The source.
    """

    @contextmanager
    def open_download(wanted: Sequence[str]) -> Iterator[Path]:
        with scratch_folder() as folder:
            for name in wanted:
                _get_file(origin, name, folder)
            yield folder

    return Source("Keras's download", open_download)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder that is gone after the block.

    Yields:
        The folder.

    Raises:
        SourceError: it cannot be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="apparel-")
    except OSError as error:
        raise SourceError(f"no temporary folder could be made ({error})") from error
    with folder as path:
        yield Path(path)


def _get_file(origin: str, name: str, folder: Path) -> None:
    """Download one file into `folder` with Keras, its bar on stderr.

    Raises:
        SourceError: it cannot be reached.
    """
    try:
        keras = backend.load_keras()
    except ApparelError as error:
        raise SourceError("Keras, which downloads them, is not installed") from error
    try:
        with _socket_timeout(SOCKET_SECONDS), redirect_stdout(_bar_stream(origin + name)):
            keras.utils.get_file(
                name, origin=origin + name, cache_dir=os.fspath(folder), cache_subdir=folder
            )
    except Exception as error:
        # Keras turns what urllib raises into a bare Exception; a time-out stays an OSError.
        if type(error) is not Exception and not isinstance(
            error, (OSError, http.client.HTTPException)
        ):
            raise
        raise SourceError(str(error)) from error


def _bar_stream(address: str) -> TextIO:
    """Where Keras's bar goes: stderr, or nowhere where every step of it would be a line."""
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return sys.stderr
    print(f"Downloading {address}", file=sys.stderr)
    return io.StringIO()


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Give new sockets a time-out for the duration of the block."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
