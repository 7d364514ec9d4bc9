"""How fast `apparel predict --ray` answers with one worker and with two, and what memory it takes.

    python -m benchmarks.scale_predict MODEL

Makes Parquet files of 28 x 28 PNG images of random pixels, and classifies them with `--exact --raw`
on clusters of one and of two workers with a core each, in turns, so that a slow moment of the
machine meets both; then as the plain command does, on one core and on all. The driver and Ray's own
processes run beside the workers. A rate is given for the whole command, from its start to its end,
and for the time between the first answers of all workers and the last part: what a larger job tends
to. Starting a cluster is timed apart. Last, a million images are classified, and the memory of each
process of the cluster and the command is looked at twice a second. Prints a line of JSON, and
keeps it in benchmarks/results/.
"""

import argparse
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from apparel.scale.cluster import load_ray
from benchmarks.record import FOLDER, measure, save

N_IMAGES, N_FOR_MEMORY, PAIRS = 200_000, 1_000_000, 5
GROUP_ROWS = 2048
# Random pixels take as long to decode, however often they come again.
DIFFERENT = 10_000
STORE_BYTES = 200 << 20
SAMPLE_SECONDS = 0.5
Measured = dict[str, Any]


def make_table(path: Path, n_images: int) -> None:
    """Write a Parquet file of encoded images."""
    draw = np.random.default_rng(0)
    images = []
    for _ in range(min(DIFFERENT, n_images)):
        content = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (28, 28), dtype=np.uint8)).save(content, "png")
        images.append(content.getvalue())
    schema = pa.schema([("image", pa.binary())])
    with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
        for start in range(0, n_images, GROUP_ROWS):
            rows = range(start, min(start + GROUP_ROWS, n_images))
            writer.write_table(pa.table({"image": [images[k % len(images)] for k in rows]}))


@contextmanager
def cluster(n_workers: int) -> Iterator[tuple[str, float]]:
    """Run a cluster of one node.

    Yields:
        Its address, and the seconds that it took to start.
    """
    load_ray()
    from ray.cluster_utils import Cluster  # noqa: PLC0415  # Ray reads its environment at import

    begin = time.perf_counter()
    node = {"num_cpus": n_workers, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield nodes.address, time.perf_counter() - begin
    finally:
        nodes.shutdown()


def run(
    model: Path, table: Path, output: Path, *options: str, cores: set[int] | None = None
) -> float:
    """Run the command; the seconds that it took."""
    command = [sys.executable, "-m", "apparel", "predict", "--exact", "--raw",
               str(model), str(table), "--output", str(output), *options]  # fmt: skip
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    if cores:
        os.sched_setaffinity(process.pid, cores)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - begin


def on_cluster(model: Path, table: Path, n_images: int, n_workers: int) -> Measured:
    """Classify with so many workers."""
    with tempfile.TemporaryDirectory() as folder, cluster(n_workers) as (address, start):
        output = Path(folder, "answers.parquet")
        seconds = run(model, table, output, "--ray", address)
        parts = sorted(output.glob("part-*"), key=lambda path: path.stat().st_mtime_ns)
        ends = [path.stat().st_mtime for path in parts]
        later = sum(pq.ParquetFile(path).metadata.num_rows for path in parts[n_workers:])
    between = ends[-1] - ends[n_workers - 1]
    return {
        "workers": n_workers,
        "cluster_start_s": round(start, 2),
        "seconds": round(seconds, 2),
        "images_per_s": round(n_images / seconds, 1),
        "images_per_s_at_work": round(later / between, 1),
    }


def plain(model: Path, table: Path, n_images: int, cores: set[int]) -> Measured:
    """Classify with the plain command on some cores."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = run(model, table, Path(folder, "answers.parquet"), cores=cores)
    return {
        "cores": len(cores),
        "seconds": round(seconds, 2),
        "images_per_s": round(n_images / seconds, 1),
    }


def ratios(pairs: Sequence[tuple[Measured, Measured]], key: str) -> Measured:
    """How many times as fast two workers are, with the spread over the pairs."""
    found = [round(two[key] / one[key], 3) for one, two in pairs]
    return {"median": statistics.median(found), "each": found}


class Memory:
    """The most memory that each process below this one had, looked at now and then.

    Attributes:
        peaks: by what a process is called, the most of all that are called so, in MB: `rss`,
            resident, with the pages of the object store that it has mapped; `pss`, with its share
            of what several have mapped.
    """

    def __init__(self) -> None:
        self.peaks: dict[str, dict[str, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            for process in psutil.Process().children(recursive=True):
                try:
                    found, name = process.memory_full_info(), called(process.cmdline())
                except psutil.Error:  # it has just ended
                    continue
                peak = self.peaks.setdefault(name, {"rss": 0.0, "pss": 0.0})
                peak["rss"] = max(peak["rss"], round(found.rss / 1e6, 1))
                peak["pss"] = max(peak["pss"], round(found.pss / 1e6, 1))


def called(command: Sequence[str]) -> str:
    """What a process is called in the results."""
    if not command:
        return "?"
    if "predict" in command:
        return "apparel predict"
    if command[0].startswith("ray::"):
        return command[0].partition(".")[0]
    scripts = [Path(word).name for word in command if word.endswith(".py")]
    return scripts[0] if scripts else Path(command[0]).name


def memory(model: Path, folder: Path, n_images: int) -> Measured:
    """Classify very many images with two workers, and look at the memory."""
    table = folder / "many.parquet"
    make_table(table, n_images)
    with Memory() as watched:
        measured = on_cluster(model, table, n_images, 2)
    return {
        "images": n_images,
        "table_mb": round(table.stat().st_size / 1e6),
        **measured,
        "peak_mb": watched.peaks,
        "largest_rss_mb": max(peak["rss"] for peak in watched.peaks.values()),
    }


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description="Time predicting on a cluster.")
    parser.add_argument("model", type=Path, help="an .onnx file, or a run directory")
    parser.add_argument("--images", type=int, default=N_IMAGES, help="to time")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of one and two workers")
    parser.add_argument("--for-memory", type=int, default=N_FOR_MEMORY, help="images, for memory")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = folder / "images.parquet"
        make_table(table, asked.images)
        pairs = []
        for _ in range(asked.pairs):
            one, two = (on_cluster(asked.model, table, asked.images, n) for n in (1, 2))
            pairs.append((one, two))
            print(json.dumps(pairs[-1]), file=sys.stderr, flush=True)
        found = {
            "machine": measure("machine"),
            "command": " ".join(["python -m benchmarks.scale_predict", *sys.argv[1:]]),
            "openvino": importlib.util.find_spec("openvino") is not None,
            "images": asked.images,
            "pairs": pairs,
            "times_one_worker": ratios(pairs, "images_per_s"),
            "times_one_worker_at_work": ratios(pairs, "images_per_s_at_work"),
            "plain_one_core": plain(asked.model, table, asked.images, {cores[0]}),
            "plain_all_cores": plain(asked.model, table, asked.images, set(cores)),
            "memory": memory(asked.model, folder, asked.for_memory),
        }
    print(json.dumps(found))
    save(FOLDER / "results" / f"scale-predict-{datetime.now(UTC):%Y-%m-%d}.json", found)


if __name__ == "__main__":
    main()
