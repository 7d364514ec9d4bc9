"""A short form of `python -m benchmarks.torture.fuzz`: the same harnesses."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from benchmarks.torture.harnesses import HARNESSES

ROOT = str(Path(__file__).parents[2])


@pytest.mark.parametrize("kind", HARNESSES)
def test_honest_files_are_read_and_damaged_ones_read_or_refused(kind, tmp_path):
    harness, random = HARNESSES[kind], Random(0)  # noqa: S311  # no secret
    for content in harness.seeds():
        assert harness.run(content, tmp_path)
        for _ in range(4):
            damaged = bytearray(content)
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
            harness.run(bytes(damaged[: random.randrange(2 * len(damaged))]), tmp_path)


@pytest.mark.security
@pytest.mark.parametrize("kind", HARNESSES)
def test_mutants_do_no_harm(kind, tmp_path):
    pytest.importorskip("atheris")
    # In a process, as the fuzzer ends it.
    code = f"from benchmarks.torture import fuzz; fuzz.fuzz({kind!r}, '-runs=300')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr
    assert list(tmp_path.iterdir()) == []
