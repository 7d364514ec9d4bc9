"""Predict on a Ray cluster: images of any number → a folder of shards with the answers."""

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from apparel.core.errors import UsageError
from apparel.core.messages import duration
from apparel.data.inputs.shards import find_shards
from apparel.data.parquet.process import ParquetProcess
from apparel.data.storage import is_url
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from apparel.predict.writers import check_suffix
from apparel.reporting import text
from apparel.scale.cluster import Task, connected, load_ray
from apparel.scale.job import (
    JOB,
    RECORDS,
    SUCCESS,
    Job,
    JobFolder,
    Record,
    plan,
    record_name,
    shard_name,
)
from apparel.scale.worker import Work, answer_shard

# The speed is that of the recent past, so that the line follows what the cluster does.
RECENT_SECONDS = 30.0
# Between lines, where they go to a file.
LINE_SECONDS = 10.0
# Shards that are with the cluster for each processor: one at work, one that follows at once.
_PER_CPU = 2


def predict_at_scale(
    model: Path,
    paths: Sequence[str],
    *,
    address: str,
    output: str | None,
    raw: bool = False,
    exact: bool = False,
) -> int:
    """Classify images on a cluster, and write the answers to a folder of shards.

    Called again, the command does what is missing: the file of a shard is whole or absent.

    Args:
        model: an `.onnx` file, or a run directory.
        paths: sources of images, as `shards.find_shards` takes them.
        address: address of the cluster, as `cluster.connected` takes it.
        output: the folder, a path that all nodes share or a URL; its ending names the format:
            .csv, .jsonl or .parquet.
        raw: take photos as they are, resized as a whole.
        exact: compute in float32, even where bfloat16 is faster.

    Returns:
        Number of images that could not be read.

    Raises:
        UsageError: an option makes no sense, or the folder holds something else.
        ModelFileError: the model file is missing, broken, unsafe or foreign.
        DataError: there is no such file or folder, or a table is damaged.
        DataUnavailableError: a storage refuses.
        ApparelError: Ray is not installed, no cluster answers, a node does not fit, or a shard
            ends each process that works on it.
        OSError: the answers cannot be written.
    """
    load_ray()
    if output is None:
        raise UsageError("--ray needs --output: the folder to write to, such as answers.parquet.")
    check_suffix(Path(output))
    for path in paths:
        if path == "-" or path.startswith("fashion-mnist:"):
            raise UsageError(
                f"{path} cannot be divided among workers. Give files, folders or tables, or leave "
                "--ray out."
            )
    folder = JobFolder(output)
    file = read_model(model)
    runtime = Predictor(file, exact=exact).runtime
    with ParquetProcess() as rows:
        shards = find_shards(paths, rows)
    suffix = Path(output).suffix
    job = plan(shards, suffix=suffix, model=file.content, runtime=runtime, raw=raw)
    job.check(folder)
    finished = folder.read(SUCCESS)
    if finished is not None:
        return _report(json.loads(finished), output, "Already there")
    work = Work(
        model=file,
        runtime=runtime,
        exact=exact,
        raw=raw,
        output=output if is_url(output) else str(Path(output).absolute()),
        suffix=suffix,
        job=job.text,
        session=uuid.uuid4().hex,
    )
    return _report(_complete(job, folder, work, address), output, "Written")


def _complete(job: Job, folder: JobFolder, work: Work, address: str) -> Record:
    """Do what is missing of a job, and mark it as done.

    Returns:
        The counts of the whole job.
    """
    with connected(address) as cluster:
        folder.write(JOB, job.text)
        with folder.lock():
            notes = text.PredictionNotes()
            missing = job.missing(folder)
            for number in set(range(len(job.shards))).difference(missing):
                notes.add_counts(json.loads(folder.read(record_name(number)) or "{}"))
            cluster.show(f"{len(missing):,} of {len(job.shards):,} shards to do")
            line = ProgressLine(job.n_images, notes.n_images, cluster.stream)
            shared = cluster.ray.put(work)
            tasks = (
                Task(shard_name(number, job.suffix), (shared, number, job.shards[number]))
                for number in missing
            )
            try:
                for _, record in cluster.run(answer_shard, tasks, per_cpu=_PER_CPU):
                    notes.add_counts(record)
                    line.advance(record["images"])
            finally:
                line.close()
            counts = {**notes.counts(), "parts": len(job.shards)}
            folder.write(SUCCESS, json.dumps(counts) + "\n")
            folder.drop(RECORDS)
    return counts


def _report(counts: Record, output: str, what: str) -> int:
    """Print the outcome of a job.

    Returns:
        Number of images that could not be read.
    """
    notes = text.PredictionNotes()
    notes.add_counts(counts)
    print(f"{what}: {output}, {notes.n_images:,} images in {counts['parts']:,} shards")
    if notes.lines():
        print(notes.lines())
    return notes.n_failed


class ProgressLine:
    """Tells how far a job has come, on a line that a terminal rewrites and a file gets at times."""

    def __init__(
        self,
        total: int,
        done: int,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            total: number of images of the job.
            done: number of images that earlier commands have done.
            stream: where the line goes.
            clock: tells seconds.
        """
        self._total, self._done, self._stream, self._clock = total, done, stream, clock
        self._recent = deque([(clock(), done)])
        self._shown = clock()
        self._on_terminal = stream.isatty()

    def advance(self, n_images: int) -> None:
        """Count images that are done."""
        now = self._clock()
        self._done += n_images
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and self._recent[1][0] < now - RECENT_SECONDS:  # noqa: PLR2004  # a speed has two ends
            self._recent.popleft()
        if self._on_terminal:
            self._stream.write(f"\r\x1b[K{self}")
            self._stream.flush()
        elif now - self._shown >= LINE_SECONDS:
            self._shown = now
            print(self, file=self._stream, flush=True)

    def close(self) -> None:
        """Clear the line of a terminal."""
        if self._on_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __str__(self) -> str:
        """Format the line."""
        (begin, before), (end, after) = self._recent[0], self._recent[-1]
        rate = (after - before) / max(end - begin, 1e-9)
        share = self._done / max(self._total, 1)
        left = duration((self._total - self._done) / rate) if rate else "an unknown time"
        return (
            f"{self._done:,} of {self._total:,} images ({share:.0%}), {rate:,.0f} images/s, "
            f"about {left} left"
        )
