"""The folder of a run: who may have it, who works in it, and what an earlier run left there."""

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from apparel.core.atomic_files import is_partial
from apparel.core.errors import ApparelError, UsageError
from apparel.core.model_formats import SAVED_FILE, default_files, default_name
from apparel.runs.files import (
    CHECK_FILE,
    EXPORT_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    NOVELTY_FILE,
    PREDICTIONS_FILE,
    STRESS_FILE,
    SUSPECTS_FILE,
    WEIGHTS_FILE,
)

IMAGES_FILE = "images.csv"
SETTINGS_FILE = "settings.json"
CHECKPOINTS = "checkpoints"


def new_folder(name: str) -> Path:
    """Make a folder of its own under `runs`: `<date>-<time>-<name>`."""
    stem = f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}-{name}"
    for number in itertools.count(1):
        folder = Path("runs", stem if number == 1 else f"{stem}-{number}")
        # Two runs may start in the same second: whoever makes the folder has it.
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


def check_room(folder: Path, *, overwrite: bool, can_resume: bool) -> None:
    """Check that a folder is free for a run, or holds one that may be replaced.

    Args:
        folder: that is wanted.
        overwrite: whether a run that is there may be replaced.
        can_resume: whether there is one that was broken off.

    Raises:
        UsageError: it is not.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file. Name a folder with --run-dir.")
    if all(is_partial(path) for path in folder.iterdir()):
        return
    if not overwrite and can_resume:
        raise UsageError(
            f"the run directory {folder} is not empty: it holds a run that is not complete. Go on "
            f"with it: apparel resume {folder}. Or replace it with --overwrite, or name another "
            "folder with --run-dir."
        )
    if not overwrite:
        raise UsageError(
            f"the run directory {folder} is not empty. Name another with --run-dir, or replace "
            "that run with --overwrite."
        )
    if not (folder / SETTINGS_FILE).is_file():
        raise UsageError(
            f"{folder} holds files but is no run directory, so it is not overwritten. "
            "Name another with --run-dir."
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system lets go of it however this one ends.

    Where the file system knows no locks, nobody is kept out.

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


def drop_results(folder: Path) -> None:
    """Delete what an earlier training left in a run directory, and nothing else."""
    drop_outcome(folder)
    for name in (CHECK_FILE, IMAGES_FILE):
        (folder / name).unlink(missing_ok=True)
    drop_checkpoints(folder)


def drop_outcome(folder: Path) -> None:
    """Delete what a run makes from the end of its training on."""
    suspects = (SUSPECTS_FILE.format(split=split) for split in ("train", "test"))
    names = (EXPORT_FILE, HISTORY_FILE, METRICS_FILE, NOVELTY_FILE, PREDICTIONS_FILE, STRESS_FILE,
             *suspects, WEIGHTS_FILE, "report.html", "README.md", SAVED_FILE,
             *default_files())  # fmt: skip
    for path in (*(folder / name for name in names), *(folder / "plots").glob("*.png")):
        path.unlink(missing_ok=True)
    saved_model = folder / default_name("saved_model")
    if saved_model.is_dir() and not saved_model.is_symlink():
        shutil.rmtree(saved_model)


def drop_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a training."""
    checkpoints = folder / CHECKPOINTS
    if checkpoints.is_dir() and not checkpoints.is_symlink():
        shutil.rmtree(checkpoints)
