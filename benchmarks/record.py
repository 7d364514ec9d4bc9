"""What the rows of the benchmark share: seeds one after the other, results kept as they come."""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apparel.core.atomic_files import write_text

FOLDER = Path(__file__).parent
SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        name: of its script in `rows/`.
        title: for people.
        way: a way of `measure.py`.
        options: of the classifier.
        target: accuracy that the mean over the seeds is to reach; None where there is none.
        limit: time to reach it in, in T, which the options were chosen to fit in; None where
            they name the time themselves.
        seeds: one run each.
    """

    name: str
    title: str
    way: str = "apparel"
    options: dict[str, Any] = field(default_factory=dict)
    target: float | None = None
    limit: float | None = None
    seeds: tuple[int, ...] = SEEDS


def main(row: Row) -> None:
    """Measure what is missing of a row, and keep every result at once."""
    parser = argparse.ArgumentParser(description=row.title)
    parser.add_argument("--seeds", type=int, nargs="+", default=row.seeds)
    parser.add_argument("--results", type=Path, default=default_results())
    asked = parser.parse_args()
    results = load(asked.results)
    entry = results["rows"].setdefault(row.name, {"runs": []})
    described = {key: value for key, value in asdict(row).items() if key != "seeds"}
    entry |= {**described, "command": f"python -m benchmarks.rows.{row.name}"}
    done = {run["seed"] for run in entry["runs"]}
    missing = [seed for seed in asked.seeds if seed not in done]
    machine = measure("machine") if missing else {}
    for seed in missing:
        options = [row.options] if row.way == "apparel" else []
        run = {"seed": seed, **measure(row.way, seed, *options), "machine": machine}
        entry["runs"].append(run)
        save(asked.results, results)
        print(row.name, json.dumps(run), flush=True)


def default_results() -> Path:
    """Today's results."""
    return FOLDER / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json"


def measure(way: str, *arguments: object) -> dict[str, Any]:
    """Run `measure.py` in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.measure", way, *map(json.dumps, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=FOLDER.parent,
    )
    return dict(json.loads(result.stdout.splitlines()[-1]))


def load(path: Path) -> dict[str, Any]:
    """Read the results so far, if there are any."""
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "rows": {}}


def save(path: Path, results: dict[str, Any]) -> None:
    """Write the results, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(results, indent=1) + "\n")
