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


def fuzz(folder, code):
    """Run the fuzzer in a process, as it ends with it."""
    return subprocess.run(
        [sys.executable, "-c", f"from benchmarks.torture import fuzz, harnesses\n{code}"],
        cwd=folder, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip


@pytest.mark.security
@pytest.mark.parametrize("kind", HARNESSES)
def test_mutants_do_no_harm(kind, tmp_path):
    pytest.importorskip("atheris")
    done = fuzz(tmp_path, f"fuzz.fuzz({kind!r}, '-runs=300')")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.security
def test_a_reader_that_does_harm_is_seen_and_its_file_kept(tmp_path):
    pytest.importorskip("atheris")
    done = fuzz(
        tmp_path,
        "import tempfile\n"
        "def harm(content, folder):\n"
        "    if content != b'honest': tempfile.mkstemp()\n"
        "harnesses.HARNESSES['idx'] = harnesses.Harness(harm, lambda: [b'honest'])\n"
        "fuzz.fuzz('idx', '-runs=1000')",
    )
    assert done.returncode != 0
    assert "temporary files are left" in done.stdout + done.stderr
    assert len(list(tmp_path.iterdir())) == 1
