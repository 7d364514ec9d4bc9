"""A Debian package as a source of files: fetched and unpacked, never installed, without root."""

import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from apparel.data.sources.places import Source, SourceError, scratch_folder

UPDATE_SECONDS = 180.0
DOWNLOAD_SECONDS = 1800.0
UNPACK_SECONDS = 120.0
# Progress in a form for programs, and an end to waiting for a network that does not answer.
APT_GET = (
    "apt-get",
    *("-o", "APT::Status-Fd=1"),
    *("-o", "Acquire::http::Timeout=30"),
    *("-o", "Acquire::https::Timeout=30"),
    *("-o", "Acquire::Retries=0"),
)


def apt_source(package: str, folder: str) -> Source:
    """A package of Debian and Ubuntu.

    Args:
        package: its name.
        folder: where it keeps the files, relative to the root.

    Returns:
        The source.
    """

    @contextmanager
    def open_package(_wanted: Sequence[str]) -> Iterator[Path]:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise SourceError(f"{tool} is not on this machine")
        with scratch_folder() as scratch:
            # apt gives up root for the user _apt, who has to get in.
            scratch.chmod(0o755)
            archive = _download(package, scratch)
            unpacked = scratch / "unpacked"
            command = ("dpkg-deb", "-x", os.fspath(archive), os.fspath(unpacked))
            _run(command, scratch, "Unpacking the package", UNPACK_SECONDS)
            yield unpacked / folder

    return Source(f"apt-get download {package}", open_package)


def _download(package: str, scratch: Path) -> Path:
    """Download the package with this machine's package lists, else with fresh ones.

    Fresh lists live in `scratch`: that needs no root and leaves the machine's own alone.

    Raises:
        SourceError: the package cannot be had.
    """
    what = f"Downloading the package {package}"
    try:
        _run((*APT_GET, "download", package), scratch, what, DOWNLOAD_SECONDS)
    except SourceError:
        lists, cache = scratch / "lists", scratch / "cache"
        for folder in (lists / "partial", cache):
            folder.mkdir(parents=True)
        apt_get = (*APT_GET, "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}")
        complaint = _run((*apt_get, "update"), scratch, "Fetching package lists", UPDATE_SECONDS)
        try:
            _run((*apt_get, "download", package), scratch, what, DOWNLOAD_SECONDS)
        except SourceError as error:
            # Without a network, `update` succeeds with a warning: the cause of what follows.
            raise SourceError("; ".join(filter(None, (str(error), complaint)))) from error
    archive = next(scratch.glob(f"{package}_*.deb"), None)
    if archive is None:
        raise SourceError("apt-get reported success but left no package")
    return archive


def _run(command: Sequence[str], folder: Path, what: str, seconds: float) -> str:
    """Run a command, its progress on stderr.

    Args:
        command: program and arguments.
        folder: the folder it runs in.
        what: says what it does, for people.
        seconds: after which it is stopped.

    Returns:
        The last complaint in its output, or nothing.

    Raises:
        SourceError: it cannot be started, fails or takes too long.
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
        raise SourceError(f"{command[0]} could not be started ({error})") from error
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
        raise SourceError(f"{command[0]} took longer than {seconds:.0f} seconds")
    if process.returncode:
        raise SourceError(complaint or f"{command[0]} ended with code {process.returncode}")
    return complaint


def _follow(process: "subprocess.Popen[str]", what: str) -> str:
    """Draw a bar from the output of apt-get; return the last complaint in it, or nothing."""
    from rich.console import Console  # noqa: PLC0415  # needed only here
    from rich.progress import Progress  # noqa: PLC0415

    complaints = deque([""], maxlen=1)
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        print(what, file=sys.stderr)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=100)
        for line in process.stdout or ():
            if line.startswith("dlstatus:"):
                progress.update(task, completed=float(line.split(":")[2]))
            elif line.startswith(("E: ", "W: Failed", "dpkg-deb: error")):
                complaints.append(line.strip())
    return complaints[0]
