"""How fast `apparel run --workers` trains on one worker and on two, each with a core of its own.

    python -m benchmarks.scale_train

Every node of the cluster, its workers and Ray's processes for it are kept to one core. One worker
and two train the same model on the same images in turns, so that a slow moment of the machine meets
both; and the plain command does on one of the cores. Speed is that of the epochs after the first,
which builds the graph: training and validation, from `history.csv`. What it takes to start Ray and
the workers is told apart. Prints a line of JSON, and keeps it in benchmarks/results/.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apparel.scale.cluster import load_ray
from benchmarks.record import FOLDER, measure, save

STORE_BYTES = 200 << 20
Measured = dict[str, Any]


@contextmanager
def cluster(n_nodes: int) -> Iterator[str]:
    """Run a cluster of nodes with one core each, and yield its address."""
    load_ray()
    from ray.cluster_utils import Cluster  # noqa: PLC0415  # Ray reads its environment at import

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    mine = os.sched_getaffinity(0)
    nodes = None
    try:
        for core in sorted(mine)[:n_nodes]:
            os.sched_setaffinity(0, {core})  # what is started now inherits it
            if nodes is None:
                nodes = Cluster(initialize_head=True, head_node_args=node)
            else:
                nodes.add_node(**node)
        os.sched_setaffinity(0, mine)
        if nodes is not None:
            nodes.wait_for_nodes()
            yield str(nodes.address)
    finally:
        os.sched_setaffinity(0, mine)
        if nodes is not None:
            nodes.shutdown()


def train(settings: Sequence[str], cores: set[int] | None, *options: str) -> Measured:
    """Run the command, and say how fast it trained."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "apparel", "run", *settings, *options]
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--run-dir", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if cores:
            os.sched_setaffinity(process.pid, cores)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
        seconds = time.perf_counter() - begin
        with (run / "history.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    epochs = [float(row["seconds"]) for row in rows]
    return {
        "epoch_s": round(statistics.mean(epochs[1:]), 3),
        "first_epoch_s": round(epochs[0], 3),
        "command_s": round(seconds, 1),
        "accuracy": metrics["accuracy"]["value"],
    }


def on_workers(settings: Sequence[str], n_workers: int) -> Measured:
    """Train on so many workers."""
    with cluster(n_workers) as address:
        return train(settings, None, "--workers", str(n_workers), "--ray", address)


def main() -> None:
    """Measure all, and keep it."""
    parser = argparse.ArgumentParser(description="Training on one worker and on two.")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--limit", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=4)
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
    found = {
        "machine": measure("machine"),
        "command": f"python -m benchmarks.scale_train --model {asked.model} --limit {asked.limit} "
        f"--epochs {asked.epochs} --pairs {asked.pairs}",
        "one_worker": [one for one, _ in pairs],
        "two_workers": [two for _, two in pairs],
        "speedup": {"median": statistics.median(speedups), "each": speedups},
        "plain_on_one_core": plain,
        "start_of_ray_and_workers_s": round(
            statistics.median(one["command_s"] for one, _ in pairs) - plain["command_s"], 1
        ),
    }
    name = f"scale-train-{asked.model}-{datetime.now(UTC):%Y-%m-%d}.json"
    save(FOLDER / "results" / name, found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
