"""Damage checkpoints in every way, and check that the one before is used."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator

from apparel.runs.checkpoints import Checkpoint, CheckpointFolder
from benchmarks.torture.corruption import CORRUPTIONS, corrupted

TRAINING = "torture"


def torture(n_corruptions: int, n_clean: int, *, seed: int = 0) -> dict[str, object]:
    """Damage and load checkpoints.

    Args:
        n_corruptions: number of damages to the last of two, or exchanges of both.
        n_clean: number of loads of intact checkpoints.
        seed: random seed of the damage.

    Returns:
        The number of damages found, of loads that went back to the checkpoint before, and of
        false alarms among the clean loads.
    """
    random = np.random.default_rng(seed)
    found = rolled_back = false_alarms = 0
    with tempfile.TemporaryDirectory() as name:
        original = CheckpointFolder(Path(name, "original"), TRAINING)
        for step in (1, 2):
            original.save(Checkpoint(step, _parts(random, step)))
        for _ in range(n_corruptions):
            with _copied(original) as (folder, said):
                exchanged = _damage(folder, random)
                loaded = folder.load()
                found += "is not used" in said.getvalue()
                rolled_back += (loaded is None) if exchanged else _is_whole(loaded, 1)
        for _ in range(n_clean):
            with _copied(original) as (folder, said):
                false_alarms += not _is_whole(folder.load(), 2) or bool(said.getvalue())
    return {
        "corruptions": n_corruptions,
        "found": found,
        "rolled_back": rolled_back,
        "clean": n_clean,
        "false_alarms": false_alarms,
        "holds": found == rolled_back == n_corruptions and not false_alarms,
    }


@contextlib.contextmanager
def _copied(original: CheckpointFolder) -> Iterator[tuple[CheckpointFolder, io.StringIO]]:
    """A copy of a folder of checkpoints, and the messages about it."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()) as said:
        shutil.copytree(original.path, Path(name, "copy"))
        yield CheckpointFolder(Path(name, "copy"), TRAINING), said


def _damage(folder: CheckpointFolder, random: Generator) -> bool:
    """Damage the last checkpoint, or exchange the two; whether they were exchanged."""
    old, new = sorted(folder.path.iterdir())
    kind = str(random.choice([*CORRUPTIONS, "exchange"]))
    if kind != "exchange":
        corrupted(new, kind, random)
        return False
    content = old.read_bytes()
    old.write_bytes(new.read_bytes())
    new.write_bytes(content)
    return True


def _parts(random: Generator, step: int) -> dict[str, dict[str, object]]:
    """A state of training in small, with the kinds of values that one has."""
    arrays: dict[str, object] = {
        f"layer_{k:03d}": random.random(shape, dtype=np.float32)
        for k, shape in enumerate([(3, 3, 1, 8), (8,), (72, 10), ()])
    }
    return {
        "model": arrays,
        "log": {"steps": step, "metrics": {"loss": [0.5, 1 / 3]}},
        "batches": {"order": random.permutation(100), "random": {"state": 2**127 - 1}},
    }


def _is_whole(loaded: Checkpoint | None, step: int) -> bool:
    """Tell whether it is the complete checkpoint of a step."""
    return loaded is not None and loaded.step == step == loaded.parts["log"]["steps"]
