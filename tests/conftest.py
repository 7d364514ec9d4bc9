"""Fixtures that several test files share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("agg")  # a developer's screen must not fill with windows

Command = Callable[..., subprocess.CompletedProcess[str]]


def run_command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m apparel` in a process of its own, without a screen."""
    environment = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    return subprocess.run(
        [sys.executable, "-m", "apparel", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in an empty folder."""
    return lambda *arguments: run_command(*arguments, cwd=tmp_path)


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The run directory and output of one small run on real data."""
    folder = tmp_path_factory.mktemp("finished")
    result = run_command(
        "run", "--limit", 1000, "--epochs", 1, "--run-dir", "run", "--save", "copy.keras",
        cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder / "run", result
