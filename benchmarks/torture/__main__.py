"""`python -m benchmarks.torture`: kill, corrupt and attack, and write down what came of it.

Resumes an interrupted call; finished parts are in the results file. Mutated files are a
program of their own, `python -m benchmarks.torture.fuzz`.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from apparel.core import backend
from apparel.core.atomic_files import write_text
from apparel.runs.provenance import versions
from benchmarks.torture import checkpoint_cost, checkpoint_damage, data_damage, kills

RESULTS = Path(__file__).parent.parent / "results"
# Of each part: how many, in full.
N_KILLS, N_CORRUPTIONS, N_CLEAN, N_FLIPS, N_CUTS = 50, 2000, 500, 1000, 100


def main() -> int:
    """Do what is not done yet; the exit code says whether all of it held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=__doc__)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    parser.add_argument("--output", type=Path, default=RESULTS / f"torture-{today}.json")
    parser.add_argument("--kills", type=int, default=N_KILLS, help="of each scenario")
    parser.add_argument("parts", nargs="*", help="; ".join(sorted(_parts(N_KILLS))))
    arguments = parser.parse_args()
    parts = _parts(arguments.kills)
    record = _begun(arguments.output)
    for name in arguments.parts or parts:
        if name in record["parts"]:
            continue
        start = time.perf_counter()
        found = parts[name]()
        record["parts"][name] = {**found, "seconds": round(time.perf_counter() - start)}
        write_text(arguments.output, json.dumps(record, indent=2) + "\n")
        print(name, record["parts"][name], flush=True)
    broken = [name for name, found in record["parts"].items() if not found["holds"]]
    for name in broken:
        print(f"does not hold: {name}", file=sys.stderr)
    return 1 if broken else 0


def _parts(n_kills: int) -> dict[str, Callable[[], dict[str, object]]]:
    """Every part by name."""

    def killing(scenario: str) -> Callable[[], dict[str, object]]:
        def run() -> dict[str, object]:
            with tempfile.TemporaryDirectory() as folder:
                return kills.torture(scenario, n_kills, Path(folder), seed=0)

        return run

    return {
        **{f"kills: {scenario}": killing(scenario) for scenario in kills.SCENARIOS},
        "checkpoints": lambda: checkpoint_damage.torture(N_CORRUPTIONS, N_CLEAN),
        "checkpoint cost": checkpoint_cost.measure,
        "data files": lambda: data_damage.torture(N_FLIPS, N_CUTS),
    }


def _begun(output: Path) -> dict[str, dict[str, dict[str, object]]]:
    """What an earlier call left, or nothing yet."""
    if output.exists():
        return dict(json.loads(output.read_text(encoding="utf-8")))
    machine: dict[str, object] = {
        "processor": backend.processor_name(),
        "platform": platform.platform(),
        **versions(),
    }
    return {"machine": machine, "parts": {}}


if __name__ == "__main__":
    sys.exit(main())
