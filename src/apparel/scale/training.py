"""Training on several workers of a Ray cluster, from a run's checkpoints to its last one.

The workers leave nothing but checkpoints in the run directory, and the run then resumes from the
last one. So the loss of a worker is like any other end of a process: all resume from the last
checkpoint.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOBase
from pathlib import Path
from typing import Any

from apparel.core import backend
from apparel.core.errors import ApparelError, UsageError
from apparel.core.records import History
from apparel.core.settings import Settings
from apparel.core.validation import whole_number
from apparel.runs import inputs
from apparel.runs.folder import CHECKPOINTS
from apparel.runs.provenance import Provenance
from apparel.runs.run_directory import RunDirectory
from apparel.scale.cluster import Cluster, connected
from apparel.training import distributed, fit

# Workers may be lost this often before training gives up. A node that its cloud takes away does
# not count.
MOST_FAILURES = 5


@dataclass(frozen=True)
class RayWorkers:
    """Trains a run on several workers.

    Attributes:
        n_workers: number of workers.
        address: address of the cluster, as in `cluster.connected`.
        source: name or path of the images; every worker reads them.
        data_dir: folder with the data set's files.
    """

    n_workers: int
    address: str
    source: str
    data_dir: Path | None

    def check(self, settings: Settings) -> None:
        """Check that a training can be divided.

        Raises:
            UsageError: it cannot.
        """
        whole_number("--workers", self.n_workers, minimum=1)
        if settings.budget is not None:
            raise UsageError(
                "--workers cannot keep a --budget: each worker has a clock of its own. Give "
                "--epochs instead."
            )

    def train(self, directory: RunDirectory) -> None:
        """Train until the last checkpoint says that nothing is left to do.

        Args:
            directory: run directory of a run that has begun.

        Raises:
            ApparelError: there is no such cluster, it is too small, a worker cannot do its share,
                or workers were lost too often.
        """
        with connected(self.address) as cluster:
            cpus = cluster.cpus_per_task(self.n_workers)
            if cpus is None:
                raise ApparelError(
                    f"--workers {self.n_workers} needs as many processors, and the Ray cluster has "
                    f"{cluster.n_cpus}. Add nodes, or ask for fewer."
                )
            cluster.show(
                f"Training on {self.n_workers} workers of the Ray cluster, {cpus} CPUs each"
            )
            run, source = directory.path.resolve(), Path(self.source)
            with _messages_shown(cluster) as (messages, problems):
                job = {
                    "run": run,
                    "source": str(source.resolve()) if source.exists() else self.source,
                    "data_dir": self.data_dir.resolve() if self.data_dir else None,
                    "cpus": cpus,
                    "messages": messages,
                }
                _fit(self.n_workers, job, run / CHECKPOINTS)
        if problems:
            raise problems[0]


def _fit(n_workers: int, job: dict[str, Any], storage: Path) -> None:
    """Let Ray Train start the workers, and start them again when one is lost.

    Raises:
        ApparelError: they were lost too often.
    """
    from ray import train  # noqa: PLC0415  # an extra
    from ray.train.tensorflow import TensorflowTrainer  # noqa: PLC0415  # as above

    trainer = TensorflowTrainer(
        train_share,
        train_loop_config=job,
        scaling_config=train.ScalingConfig(
            num_workers=n_workers,
            resources_per_worker={"CPU": job["cpus"]},
            placement_strategy="SPREAD",
        ),
        run_config=train.RunConfig(
            name="ray",
            storage_path=str(storage),
            failure_config=train.FailureConfig(max_failures=MOST_FAILURES),
        ),
    )
    try:
        trainer.fit()
    except train.TrainingFailedError as error:
        *_, last = str(error).strip().splitlines() or [type(error).__name__]
        raise ApparelError(
            f"workers failed more than {MOST_FAILURES} times, at last with: {last}"
        ) from error


def train_share(job: Mapping[str, Any]) -> None:
    """Train a worker's share in this process; Ray Train calls it.

    Args:
        job: `run`, the run directory; `source` and `data_dir` of the images; `cpus`; and
            `messages`, a queue that takes lines to show, or why a worker cannot do its share.
    """
    from ray import train  # noqa: PLC0415  # an extra

    context = train.get_context()
    backend.use_threads(job["cpus"])
    worker = distributed.join(context.get_world_rank(), context.get_world_size())
    try:
        train_with = _prepared(job["run"], job["source"], job["data_dir"])
    except ApparelError as error:
        train_with = None
        job["messages"].put(error)
    # A worker that gave up while others wait for it would look like one that was lost.
    if distributed.all_agree(worker, train_with is not None) and train_with is not None:
        shown = _Lines(job["messages"] if worker.rank == 0 else None)
        with redirect_stdout(shown), redirect_stderr(shown):
            train_with(worker=worker)


def _prepared(run: Path, source: str, data_dir: Path | None) -> Callable[..., History]:
    """Read how a run began, and prepare its training.

    Returns:
        `fit.fit`, which lacks its worker.

    Raises:
        ApparelError: the run or its images are missing, or the images differ.
    """
    if not run.is_dir():
        raise ApparelError(
            f"a worker does not see the run directory {run}. Put it on storage that all nodes of "
            "the cluster share, with --run-dir."
        )
    directory = RunDirectory.open(run)
    record = directory.settings()
    settings = Settings(**record["settings"])
    with redirect_stdout(_Lines(None)):
        splits = inputs.load_splits(directory, source=source, data_dir=data_dir)
    return partial(
        fit.fit,
        fit.compiled_model(
            settings, n_classes=len(record["class_names"]), img_shape=tuple(record["img_shape"])
        ),
        splits,
        settings,
        Provenance.of(record).number_format,
        checkpoints=directory.checkpoints(),
    )


class _Lines(TextIOBase):
    """A text file whose lines go to a queue, or nowhere."""

    def __init__(self, queue: Any) -> None:
        self._queue, self._begun = queue, ""

    def write(self, text: str) -> int:
        """Take some text; pass on the lines that are complete."""
        *lines, self._begun = (self._begun + text).split("\n")
        if self._queue is not None:
            for line in lines:
                self._queue.put(line)
        return len(text)


@contextmanager
def _messages_shown(cluster: Cluster) -> Iterator[tuple[Any, list[ApparelError]]]:
    """Show the lines that workers put into a queue, as they come.

    Yields:
        The queue, and the problems that came through it.
    """
    from ray.util.queue import Queue  # noqa: PLC0415  # an extra

    ray = cluster.ray
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    problems: list[ApparelError] = []

    def show() -> None:
        # Where the cluster is lost, the call that trains raises it.
        with suppress(ray.exceptions.RayError):
            while (message := queue.get()) is not None:
                if isinstance(message, ApparelError):
                    problems.append(message)
                else:
                    cluster.show(message)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield queue, problems
    finally:
        with suppress(ray.exceptions.RayError):
            queue.put(None)
            thread.join(timeout=10)
            queue.shutdown()
