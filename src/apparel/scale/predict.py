"""Predict on a Ray cluster: images of any number → a folder of parts with the answers."""

import json
import logging
import pickle
import uuid
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from apparel.core.errors import ApparelError, UsageError
from apparel.data.inputs import find_parts, is_url
from apparel.data.parquet.apart import RowsApart
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from apparel.predict.writers import check_suffix
from apparel.reporting import text
from apparel.runs.folder import locked
from apparel.scale.cluster import connected, load_ray
from apparel.scale.job import JOB, SUCCESS, Job, Record, check, missing, plan, records
from apparel.scale.job_folder import RECORDS, JobFolder, open_folder
from apparel.scale.progress_line import RateLine
from apparel.scale.silence import only_ours
from apparel.scale.worker import PartWorker, Work, raise_problem

# Nodes that are lost while workers begin there.
_MOST_LOST_BEGINNINGS = 3
_HERE_ONLY = ("-", "fashion-mnist:")


def predict_at_scale(
    model: Path,
    paths: Sequence[str],
    *,
    address: str,
    output: str | None,
    raw: bool = False,
    exact: bool = False,
) -> int:
    """Classify images on a cluster, and write the answers to a folder of parts.

    A part that is there is whole. Called again, the command does what is missing.

    Args:
        model: an `.onnx` file, or a run directory.
        paths: as `image_parts.find_parts` takes them.
        address: of the cluster, as `cluster.connected` takes it.
        output: the folder, a path that all nodes share or a URL; its ending tells the format of
            the parts: .csv, .jsonl or .parquet.
        raw: take photos as they are, resized as a whole.
        exact: compute in float32, even where bfloat16 is faster.

    Returns:
        How many images could not be read.

    Raises:
        UsageError: an option makes no sense, or the folder holds something else.
        ModelFileError: the model file is missing, broken, unsafe or foreign.
        DataError: there is no such file or folder, or a table is damaged.
        DataUnavailableError: a storage refuses.
        ApparelError: Ray is not installed, no cluster is there, a node does not fit, or a part
            ends each process that works on it.
        OSError: the answers cannot be written.
    """
    load_ray()
    if output is None:
        raise UsageError("--ray needs --output: the folder to write to, such as answers.parquet.")
    check_suffix(Path(output))
    _check_reachable(paths)
    folder = open_folder(output)
    file = read_model(model)
    runtime = Predictor(file, exact=exact).runtime
    with RowsApart() as rows:
        parts = find_parts(paths, rows)
    suffix = Path(output).suffix
    job = plan(parts, suffix=suffix, model=file.content, runtime=runtime, raw=raw)
    check(folder, job)
    finished = folder.read(SUCCESS)
    if finished is not None:
        return _told(json.loads(finished), output, "Already there")
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
    return _told(_completed(job, folder, work, address), output, "Written")


def _check_reachable(paths: Sequence[str]) -> None:
    """Check that workers can have the images.

    Raises:
        UsageError: they cannot.
    """
    for path in paths:
        if path == _HERE_ONLY[0] or path.startswith(_HERE_ONLY[1]):
            raise UsageError(
                f"{path} cannot be divided among workers. Give files, folders or tables, or leave "
                "--ray out."
            )


def _completed(job: Job, folder: JobFolder, work: Work, address: str) -> Record:
    """Do what is missing of a job, and mark it as done.

    Returns:
        What was counted in all of it.
    """
    with only_ours() as stream, connected(address) as ray:
        folder.write(JOB, job.text)
        with nullcontext() if is_url(folder.place) else locked(Path(folder.place)):
            folder.clean()
            notes = text.PredictionNotes()
            left = missing(folder, job)
            done = set(range(len(job.parts))) - set(left)
            for record in records(folder, done):
                notes.add_counts(record)
            print(f"{len(left):,} of {len(job.parts):,} parts to do", file=stream, flush=True)
            line = RateLine(job.n_images, notes.n_images, stream)
            try:
                for record in _answered(ray, job, work, left):
                    if "problem" in record:
                        raise_problem(record["problem"])
                    notes.add_counts(record)
                    line.advance(record["images"])
            finally:
                line.close()
            folder.clean()
            counts = {**notes.counts(), "parts": len(job.parts)}
            folder.write(SUCCESS, json.dumps(counts) + "\n")
            folder.drop(RECORDS)
    return counts


def _answered(ray: Any, job: Job, work: Work, numbers: Sequence[int]) -> Iterator[Record]:
    """Have parts answered by the cluster, each by a worker with one processor.

    Yields:
        What was counted in a part, as soon as it is done.

    Raises:
        ApparelError: the cluster fails.
    """
    if not numbers:
        return
    import pyarrow as pa  # noqa: PLC0415  # comes with Ray Data
    import ray.data  # noqa: PLC0415  # an extra

    context = ray.data.DataContext.get_current()
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = _MOST_LOST_BEGINNINGS
    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":
            handler.setLevel(logging.CRITICAL)
    tables = [
        pa.table({"number": [number], "part": [pickle.dumps(job.parts[number])]})
        for number in numbers
    ]
    n_workers = max(min(int(ray.cluster_resources().get("CPU", 1)), len(numbers)), 1)
    answers = ray.data.from_arrow(tables).map_batches(
        PartWorker,
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1,
            max_size=n_workers,
            initial_size=n_workers,
            max_tasks_in_flight_per_actor=2,
        ),
        fn_constructor_args=[ray.put(work)],
    )
    try:
        for table in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
            for row in table.to_pylist():
                yield json.loads(row["record"])
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[-300:]
        raise ApparelError(
            f"the Ray cluster failed at work ({type(error).__name__}: {reason}). See: ray status. "
            "Call the command again: parts that are done are kept."
        ) from error


def _told(counts: Record, output: str, what: str) -> int:
    """Print what came of a job.

    Returns:
        How many images could not be read.
    """
    notes = text.PredictionNotes()
    notes.add_counts(counts)
    print(f"{what}: {output}, {notes.n_images:,} images in {counts['parts']:,} parts")
    if notes.lines():
        print(notes.lines())
    return notes.n_failed
