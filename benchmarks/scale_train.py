"""How fast `apparel run --workers` trains on one worker and on two, each with a core of its own.

    python -m benchmarks.scale_train

Every node of the cluster, its workers and Ray's processes for it are kept to one core. One worker
and two train the same model on the same images in turns, so that a slow moment of the machine meets
both; and the plain command does on one of the cores. Speed is that of the epochs after the first,
which builds the graph: training and validation, from `history.csv`. The time to start Ray and the
workers is given apart.
"""

import argparse
import csv
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.cluster import cluster, seconds_of
from benchmarks.record import Measured, keep


def train(settings: list[str], cores: set[int] | None = None) -> Measured:
    """Run the command, and say how fast it trained."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        seconds = seconds_of(["run", *settings, "--run-dir", run], cores)
        with (run / "history.csv").open(encoding="utf-8", newline="") as file:
            first, *later = [float(row["seconds"]) for row in csv.DictReader(file)]
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {
        "epoch_s": round(statistics.mean(later), 3),
        "first_epoch_s": round(first, 3),
        "command_s": round(seconds, 1),
        "accuracy": metrics["accuracy"]["value"],
    }


def on_workers(settings: list[str], n_workers: int) -> Measured:
    """Train on so many workers."""
    with cluster(n_workers, pinned=True) as address:
        return train([*settings, "--workers", str(n_workers), "--ray", address])


def main() -> None:
    """Measure all, and keep it."""
    parser = argparse.ArgumentParser(description="Training on one worker and on two.")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--limit", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=4, help="at least 2")
    parser.add_argument("--pairs", type=int, default=3)
    asked = parser.parse_args()
    settings = ["--model", asked.model, "--limit", str(asked.limit), "--epochs", str(asked.epochs),
                "--dtype", "float32"]  # fmt: skip
    pairs = []
    for _ in range(asked.pairs):
        pairs.append((on_workers(settings, 1), on_workers(settings, 2)))
        print(pairs[-1], file=sys.stderr, flush=True)
    plain = train(settings, {min(os.sched_getaffinity(0))})
    speedups = [round(one["epoch_s"] / two["epoch_s"], 3) for one, two in pairs]
    start = statistics.median(one["command_s"] for one, _ in pairs) - plain["command_s"]
    found = {
        "settings": settings,
        "one_worker": [one for one, _ in pairs],
        "two_workers": [two for _, two in pairs],
        "speedup": {"median": statistics.median(speedups), "each": speedups},
        "plain_on_one_core": plain,
        "start_of_ray_and_workers_s": round(start, 1),
    }
    keep(f"scale-train-{asked.model}", found)


if __name__ == "__main__":
    main()
