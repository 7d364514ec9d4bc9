"""Mirrors of a data set: a folder, Keras's download, or a Debian package.

The package is fetched and unpacked, but never installed, without root.
"""

import http.client
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.core.messages import is_verbose, say

# A network that swallows packets never answers: give up.
SOCKET_SECONDS = 30.0
UPDATE_SECONDS, DOWNLOAD_SECONDS, UNPACK_SECONDS = 180.0, 1800.0, 120.0
# Progress in a form for programs, and time-outs of the network.
APT_GET = (
    "apt-get",
    *("-o", "APT::Status-Fd=1"),
    *("-o", "Acquire::http::Timeout=30"),
    *("-o", "Acquire::https::Timeout=30"),
    *("-o", "Acquire::Retries=0"),
)


class MirrorError(Exception):
    """A mirror cannot be reached; the message says why."""


@dataclass(frozen=True)
class Mirror:
    """A place that may have the files of a data set.

    Attributes:
        name: for people.
        open: takes the names of the wanted files; gives a folder that may hold them, for the
            duration of the `with` block. Raises MirrorError where there is none.
    """

    name: str
    open: Callable[[Sequence[str]], AbstractContextManager[Path]]


def folder_mirror(name: str, folder: Path) -> Mirror:
    """Make a mirror of a folder on this machine.

    Args:
        name: of the folder, for people.
        folder: where the files may be.
    """

    @contextmanager
    def open_folder(_wanted: Sequence[str]) -> Iterator[Path]:
        if not folder.is_dir():
            raise MirrorError("there is no such folder")
        yield folder

    return Mirror(f"{name} ({folder})", open_folder)


def keras_mirror(origin: str) -> Mirror:
    """Make a mirror of Keras's own download.

    Args:
        origin: address of the folder that holds the files, with a slash at the end.
    """

    @contextmanager
    def open_download(wanted: Sequence[str]) -> Iterator[Path]:
        with _scratch_folder() as folder:
            for name in wanted:
                _get_file(origin, name, folder)
            yield folder

    return Mirror("Keras's download", open_download)


def apt_mirror(package: str, folder: str) -> Mirror:
    """Make a mirror of a package of Debian and Ubuntu.

    Args:
        package: its name.
        folder: of the files, relative to the root.
    """

    @contextmanager
    def open_package(_wanted: Sequence[str]) -> Iterator[Path]:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise MirrorError(f"{tool} is not on this machine")
        with _scratch_folder() as scratch:
            # apt-get drops root for the user _apt, who must be able to enter.
            scratch.chmod(0o755)
            archive = _download(package, scratch)
            unpacked = scratch / "unpacked"
            command = ("dpkg-deb", "-x", os.fspath(archive), os.fspath(unpacked))
            _run(command, scratch, "Unpacking the package", UNPACK_SECONDS)
            yield unpacked / folder

    return Mirror(f"apt-get download {package}", open_package)


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Give an empty folder that is deleted after the block, or raise MirrorError."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="apparel-")
    except OSError as error:
        raise MirrorError(f"no temporary folder could be made ({error})") from error
    with folder as path:
        yield Path(path)


def _get_file(origin: str, name: str, folder: Path) -> None:
    """Download one file into `folder` with Keras, its bar on stderr, or raise MirrorError."""
    try:
        keras = backend.load_keras()
    except ApparelError as error:
        raise MirrorError("Keras, which downloads the files, is not installed") from error
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
        raise MirrorError(str(error)) from error


def _bar_stream(address: str) -> TextIO:
    """Send Keras's bar to stderr, or nowhere if each of its steps would be a line."""
    if is_verbose() and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return sys.stderr
    say(f"Downloading {address}", file=sys.stderr)
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


def _download(package: str, scratch: Path) -> Path:
    """Download the package with this machine's package lists, else with fresh ones.

    Fresh lists live in `scratch`: that needs no root and leaves the machine's own alone.

    Raises:
        MirrorError: the package cannot be had.
    """
    what = f"Downloading the package {package}"
    try:
        _run((*APT_GET, "download", package), scratch, what, DOWNLOAD_SECONDS)
    except MirrorError:
        lists, cache = scratch / "lists", scratch / "cache"
        for folder in (lists / "partial", cache):
            folder.mkdir(parents=True)
        apt_get = (*APT_GET, "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}")
        complaint = _run((*apt_get, "update"), scratch, "Fetching package lists", UPDATE_SECONDS)
        try:
            _run((*apt_get, "download", package), scratch, what, DOWNLOAD_SECONDS)
        except MirrorError as error:
            # Without a network, `update` succeeds with a warning: the cause of what follows.
            raise MirrorError("; ".join(filter(None, (str(error), complaint)))) from error
    archive = next(scratch.glob(f"{package}_*.deb"), None)
    if archive is None:
        raise MirrorError("apt-get reported success but left no package")
    return archive


def _run(command: Sequence[str], folder: Path, what: str, seconds: float) -> str:
    """Run a command, its progress on stderr.

    Args:
        command: program and arguments.
        folder: the folder it runs in.
        what: description for people.
        seconds: after which it is stopped.

    Returns:
        The last complaint in its output, or nothing.

    Raises:
        MirrorError: it cannot be started, fails or takes too long.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # fixed programs, no shell
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise MirrorError(f"{command[0]} could not be started ({error})") from error
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    with process:
        try:
            complaint = _follow(process, what)
            process.wait()
        finally:
            in_time = watchdog.is_alive()
            watchdog.cancel()
            process.kill()
    if not in_time:
        raise MirrorError(f"{command[0]} took longer than {seconds:.0f} seconds")
    if process.returncode:
        raise MirrorError(complaint or f"{command[0]} ended with code {process.returncode}")
    return complaint


def _follow(process: "subprocess.Popen[str]", what: str) -> str:
    """Draw a bar from the output of apt-get; return the last complaint in it, or nothing."""
    from rich.console import Console  # noqa: PLC0415  # needed only here
    from rich.progress import Progress  # noqa: PLC0415

    complaints = deque([""], maxlen=1)
    console = Console(file=sys.stderr)
    has_bar = console.is_terminal and is_verbose()
    if not has_bar:
        say(what, file=sys.stderr)
    with Progress(console=console, transient=True, disable=not has_bar) as progress:
        task = progress.add_task(what, total=100)
        for line in process.stdout or ():
            if line.startswith("dlstatus:"):
                progress.update(task, completed=float(line.split(":")[2]))
            elif line.startswith(("E: ", "W: Failed", "dpkg-deb: error")):
                complaints.append(line.strip())
    return complaints[0]
