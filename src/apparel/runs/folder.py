"""Folders of runs: taken for a new run, search or set of seeds; cleared of earlier results."""

import itertools
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from apparel.core.atomic_files import claim, is_partial
from apparel.core.errors import UsageError
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
    read_json,
)

# Files that identify a folder and hold its status: a run, runs of several seeds, or a search.
SETTINGS_FILE, SEEDS_FILE, SEARCH_FILE = "settings.json", "seeds.json", "tune.json"
_KINDS = {SETTINGS_FILE: "a run", SEEDS_FILE: "runs of several seeds", SEARCH_FILE: "a search"}
IMAGES_FILE = "images.csv"
CHECKPOINTS = "checkpoints"
# The status of what cannot be resumed: it is complete, or a search stopped it as a poor trial.
ENDED = ("complete", "stopped")


def new_folder(name: str) -> Path:
    """Make a new folder, `runs/<date>-<time>-<name>`."""
    stem = f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}-{name}"
    for number in itertools.count(1):
        folder = Path("runs", stem if number == 1 else f"{stem}-{number}")
        # Two runs may start in the same second: the one that makes the folder has it.
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


def claim_folder(
    path: Path | None,
    *,
    name: str,
    file: str,
    record: Mapping[str, object],
    overwrite: bool = False,
) -> tuple[Path, bool]:
    """Take a folder for a run, runs of several seeds or a search, and record what it is for.

    Args:
        path: the folder; None for a new one, `runs/<date>-<time>-<name>`.
        name: end of the name of a new folder.
        file: name of the record's file.
        record: its content.
        overwrite: take the folder of an earlier run as well, and leave its record for now.

    Returns:
        The folder, and whether it was made.

    Raises:
        UsageError: the folder holds something, or cannot be written to.
    """
    try:
        if path is None:
            folder, is_new = new_folder(name), True
        else:
            folder, is_new = path, not path.exists()
            _check_free(folder, overwrite=overwrite)
            folder.mkdir(parents=True, exist_ok=True)
        if overwrite and (folder / file).exists():
            tempfile.TemporaryFile(dir=folder).close()
        else:
            # Of two processes that want this folder, one gets it.
            claim(folder / file, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"the folder {path or 'runs'} cannot be written: {error.strerror}. Name another with "
            "--run-dir."
        ) from error
    return folder, is_new


def is_resumable(record: Mapping[str, object]) -> bool:
    """Tell whether a record says what is to be done, and that it is not done yet."""
    known = "asked" in record or {"settings", "source"} <= record.keys()
    return known and record.get("status") not in ENDED


def is_outdated(record: Mapping[str, Any]) -> bool:
    """Tell whether a training was begun by a version that drew splits by `seed`."""
    settings = record.get("settings")
    return "dataset" in record and isinstance(settings, dict) and "split_seed" not in settings


def _check_free(folder: Path, *, overwrite: bool) -> None:
    """Check that a folder is free, or holds a run that may be replaced.

    Raises:
        UsageError: it is not.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file. Name a folder with --run-dir.")
    if all(is_partial(path) for path in folder.iterdir()):
        return
    is_run = (folder / SETTINGS_FILE).is_file()
    if overwrite and not is_run:
        raise UsageError(
            f"{folder} holds files but is no run directory, so it is not overwritten. "
            "Name another with --run-dir."
        )
    if overwrite:
        return
    problem, advice = "is not empty", "Name another"
    for file, what in _KINDS.items():
        with suppress(AttributeError, OSError, TypeError, ValueError):
            record = read_json(folder / file)
            if is_resumable(record) and not is_outdated(record):
                problem = f"holds {what} not yet complete"
                advice = f"Resume with: apparel resume {folder}. Or name another"
    replace = ", or replace that run with --overwrite" if is_run else ""
    raise UsageError(f"the folder {folder} {problem}. {advice} with --run-dir{replace}.")


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
    _remove_folder(folder / default_name("saved_model"))


def drop_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a training."""
    _remove_folder(folder / CHECKPOINTS)


def _remove_folder(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
