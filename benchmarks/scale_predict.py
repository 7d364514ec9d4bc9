"""How fast `apparel predict --ray` answers with one worker and with two, and what memory it takes.

    python -m benchmarks.scale_predict MODEL

Makes Parquet files of 28 x 28 PNG images of random pixels, and classifies them with `--exact --raw`
on clusters of one and of two workers with a core each, in turns, so that a slow moment of the
machine meets both; then as the plain command does, on one core and on all. The driver and Ray's own
processes run beside the workers. A rate is given for the whole command, from its start to its end,
and for the time between the first answers of all workers and the last shard: what a larger job
tends to. Starting a cluster is timed apart. Last, a million images are classified, and the memory
of each process of the cluster and the command is read twice a second.
"""

import argparse
import importlib.util
import io
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.cluster import cluster, seconds_of
from benchmarks.record import Measured, keep

N_IMAGES, N_FOR_MEMORY, PAIRS = 200_000, 1_000_000, 5
GROUP_ROWS = 2048
# Random pixels take as long to decode, however often they come again.
DIFFERENT = 10_000
SAMPLE_SECONDS = 0.5
PREDICT = ("predict", "--exact", "--raw")


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


def on_cluster(model: Path, table: Path, n_images: int, n_workers: int) -> Measured:
    """Classify with so many workers."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, cluster(1, cpus=n_workers) as address:
        start = time.perf_counter() - begin
        output = Path(folder, "answers.parquet")
        seconds = seconds_of([*PREDICT, model, table, "--output", output, "--ray", address])
        shards = sorted(output.glob("part-*"), key=lambda path: path.stat().st_mtime_ns)
        ends = [path.stat().st_mtime for path in shards]
        later = sum(pq.ParquetFile(path).metadata.num_rows for path in shards[n_workers:])
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
        output = Path(folder, "answers.parquet")
        seconds = seconds_of([*PREDICT, model, table, "--output", output], cores)
    return {
        "cores": len(cores),
        "seconds": round(seconds, 2),
        "images_per_s": round(n_images / seconds, 1),
    }


def ratios(pairs: Sequence[tuple[Measured, Measured]], key: str) -> Measured:
    """How many times as fast two workers are, with the spread over the pairs."""
    found = [round(two[key] / one[key], 3) for one, two in pairs]
    return {"median": statistics.median(found), "each": found}


@contextmanager
def watched_memory() -> Iterator[dict[str, Measured]]:
    """Read the memory of each process below this one now and then.

    Yields:
        By what a process is called, the most that any called so had, in MB: `rss`, resident, with
        the pages of the object store that it has mapped; `pss`, with its share of those.
    """
    peaks: dict[str, Measured] = {}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            for process in psutil.Process().children(recursive=True):
                try:
                    found, name = process.memory_full_info(), called(process.cmdline())
                except psutil.Error:  # it has just ended
                    continue
                peak = peaks.setdefault(name, {"rss": 0.0, "pss": 0.0})
                for kind in peak:
                    peak[kind] = max(peak[kind], round(getattr(found, kind) / 1e6, 1))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


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
    with watched_memory() as peaks:
        measured = on_cluster(model, table, n_images, 2)
    return {
        "images": n_images,
        "table_mb": round(table.stat().st_size / 1e6),
        **measured,
        "peak_mb": peaks,
        "largest_rss_mb": max(peak["rss"] for peak in peaks.values()),
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
            "openvino": importlib.util.find_spec("openvino") is not None,
            "images": asked.images,
            "pairs": pairs,
            "times_one_worker": ratios(pairs, "images_per_s"),
            "times_one_worker_at_work": ratios(pairs, "images_per_s_at_work"),
            "plain_one_core": plain(asked.model, table, asked.images, {cores[0]}),
            "plain_all_cores": plain(asked.model, table, asked.images, set(cores)),
            "memory": memory(asked.model, folder, asked.for_memory),
        }
    keep("scale-predict", found)


if __name__ == "__main__":
    main()
