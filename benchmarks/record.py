"""Records of what was measured: on which machine, with which versions, by which command."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apparel.core.atomic_files import write_text

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
Measured = dict[str, Any]


def keep(name: str, found: Measured) -> None:
    """Print what was measured as JSON, and keep it in `results/<name>-<date>.json`.

    The machine with its versions and the command are added.
    """
    found = {"machine": measure("machine"), "command": command(), **found}
    print(json.dumps(found))
    save(RESULTS / f"{name}-{today()}.json", found)


def measure(way: str, *arguments: object) -> Measured:
    """Run `measure.py` in a process of its own.

    Args:
        way: one of its ways.
        arguments: values that JSON can hold.
    """
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.measure", way, *map(json.dumps, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=FOLDER.parent,
    )
    return dict(json.loads(result.stdout.splitlines()[-1]))


def command() -> str:
    """The command that this process was started by."""
    return " ".join(["python", *sys.orig_argv[1:]])


def today() -> str:
    """The day, for names of files."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def load(path: Path, otherwise: Measured) -> Measured:
    """Read the results so far, if there are any."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else otherwise


def save(path: Path, results: Measured) -> None:
    """Write results, whole or not at all."""
    write_text(path, json.dumps(results, indent=1) + "\n")
