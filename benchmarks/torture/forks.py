"""Work in a copy of this process, which has already imported everything, and kill it."""

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numpy.random import Generator

from apparel.core import atomic_files
from apparel.runs import checkpoints

# Seconds; all work here takes less.
LONGEST = 300.0


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, negative for the signal that ended it.
        seconds: that it ran.
    """

    code: int
    seconds: float


def run(
    work: Callable[[], int],
    log: Path,
    *,
    kill_after: float | None = None,
    kill_in_save: Generator | None = None,
) -> Ended:
    """Run work in a copy of this process.

    TensorFlow may be imported here, but must not have computed anything.

    Args:
        work: returns the exit code.
        log: gets its output.
        kill_after: seconds until SIGKILL.
        kill_in_save: draws the system call, within the save of a checkpoint, of the kill.
    """
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        _become(work, log, kill_in_save)
    descriptor = os.pidfd_open(child)
    try:
        waiting = LONGEST if kill_after is None else kill_after
        if not select.select([descriptor], [], [], waiting)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), time.perf_counter() - start)


def _become(work: Callable[[], int], log: Path, kill_in_save: Generator | None) -> None:
    """Do the work, and end."""
    code = 70
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if kill_in_save is not None:
            _die_in_save(kill_in_save)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 71
    except BaseException:  # noqa: BLE001  # for the log
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _die_in_save(random: Generator) -> None:
    """Make this process kill itself at one of the system calls of one of its next saves."""
    save = checkpoints.CheckpointFolder.save
    saves = int(random.integers(1, 4))
    # Of a save: makes the folder, opens, writes, syncs, renames, syncs, removes.
    call, before = int(random.integers(0, 8)), bool(random.integers(2))
    count = {"saves": 0, "calls": 0}

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **named: object) -> object:
            mine = count["saves"] == saves
            count["calls"] += mine
            last = mine and count["calls"] > call
            if last and before:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **named)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapper

    def counted_save(self: checkpoints.CheckpointFolder, checkpoint: object) -> object:
        count["saves"] += 1
        try:
            return save(self, checkpoint)  # type: ignore[arg-type]
        finally:
            # A kill that is still due comes right after the save.
            if count["saves"] == saves:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.CheckpointFolder.save = counted_save  # type: ignore[assignment, method-assign]
    for name in ("mkdir", "fsync", "rename", "replace", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    atomic_files.Path.write_bytes = counted(atomic_files.Path.write_bytes)  # type: ignore[method-assign]
