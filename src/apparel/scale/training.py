"""Training on several workers of a Ray cluster, from a run's checkpoints to its last one.

The workers leave nothing but checkpoints in the run directory, and the run then goes on from the
last one, as it would if it had been broken off there. So the loss of a worker is what any end of a
process is: all go on from the last checkpoint.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOBase
from pathlib import Path
from typing import Any, TextIO

from apparel.core.errors import ApparelError, UsageError
from apparel.core.records import History
from apparel.core.settings import Recipe, Settings
from apparel.core.validation import whole_number
from apparel.runs.folder import CHECKPOINTS
from apparel.runs.run_directory import RunDirectory
from apparel.scale.cluster import connected, cpus_of_each
from apparel.scale.silence import only_ours

# How often workers may be lost before training gives up. A node that is taken away by its cloud
# does not count.
MOST_FAILURES = 5


@dataclass(frozen=True)
class RayWorkers:
    """Trains a run on several workers.

    Attributes:
        n_workers: how many.
        address: of the cluster, as in `cluster.connected`.
        source: of the images; every worker reads them.
        data_dir: a folder with the data set's files.
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
            directory: of a run that has begun.

        Raises:
            ApparelError: there is no such cluster, it is too small, a worker cannot do its share,
                or workers were lost too often.
        """
        with only_ours() as stream, connected(self.address) as ray:
            cpus = cpus_of_each(ray, self.n_workers)
            if cpus is None:
                raise ApparelError(
                    f"--workers {self.n_workers} needs as many processors, and the Ray cluster has "
                    f"{ray.cluster_resources().get('CPU', 0):.0f}. Add nodes, or ask for fewer."
                )
            shown = f"Training on {self.n_workers} workers of the Ray cluster, {cpus} CPUs each"
            print(shown, file=stream, flush=True)
            path = Path(self.source)
            with _shown_lines(stream) as (lines, problems):
                job = {
                    "run": str(directory.path.resolve()),
                    "source": str(path.resolve()) if path.exists() else self.source,
                    "data_dir": str(self.data_dir.resolve()) if self.data_dir else None,
                    "cpus": cpus,
                    "lines": lines,
                }
                _fit(self.n_workers, cpus, job, directory.path.resolve() / CHECKPOINTS)
        if problems:
            raise problems[0]


def _fit(n_workers: int, cpus: int, job: Mapping[str, Any], storage: Path) -> None:
    """Let Ray Train start the workers, and start them again where one is lost.

    Raises:
        ApparelError: they were lost too often.
    """
    from ray import train  # noqa: PLC0415  # an extra
    from ray.train.tensorflow import TensorflowTrainer  # noqa: PLC0415  # as above

    trainer = TensorflowTrainer(
        train_share,
        train_loop_config=dict(job),
        scaling_config=train.ScalingConfig(
            num_workers=n_workers,
            resources_per_worker={"CPU": cpus},
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
        raise ApparelError(
            f"workers failed more than {MOST_FAILURES} times, at last with: {_last_line(error)}"
        ) from error


def train_share(job: Mapping[str, Any]) -> None:
    """What each worker does: its share of the training. Ray Train calls it.

    Args:
        job: `run`, the run directory; `source` and `data_dir`, of the images; `cpus`; `lines`, a
            queue that takes what is to be shown, and why a worker cannot do its share.
    """
    from ray import train  # noqa: PLC0415  # an extra

    from apparel.core import backend  # noqa: PLC0415  # in the worker's process only
    from apparel.training import distributed  # noqa: PLC0415  # in the worker's process only

    context = train.get_context()
    backend.use_threads(job["cpus"])
    worker = distributed.join(context.get_world_rank(), context.get_world_size())
    try:
        prepared = _prepared(job)
    except ApparelError as error:
        prepared = None
        job["lines"].put(error)
    # A worker that gave up while others wait for it would look like one that was lost.
    if distributed.all_agree(worker, prepared is not None) and prepared is not None:
        shown = _Lines(job["lines"] if worker.rank == 0 else None)
        with redirect_stdout(shown), redirect_stderr(shown):
            prepared(worker=worker)


def _prepared(job: Mapping[str, Any]) -> Callable[..., History]:
    """Read how a run began, and make all that training needs.

    Returns:
        `train.fit`, which lacks its worker.

    Raises:
        ApparelError: the run or its images are not there, or are others.
    """
    from apparel.models import architectures  # noqa: PLC0415  # in the worker's process only
    from apparel.runs import inputs  # noqa: PLC0415  # in the worker's process only
    from apparel.runs.provenance import Begun  # noqa: PLC0415  # as above
    from apparel.training import fit  # noqa: PLC0415  # in the worker's process only

    path = Path(job["run"])
    if not path.is_dir():
        raise ApparelError(
            f"a worker does not see the run directory {path}. Put it on storage that all nodes of "
            "the cluster share, with --run-dir."
        )
    directory = RunDirectory.open(path)
    record = directory.settings()
    settings, recipe = Settings(**record["settings"]), Recipe(**record["recipe"])
    with redirect_stdout(_Lines(None)):
        splits = inputs.load_splits(
            directory,
            source=job["source"],
            data_dir=Path(job["data_dir"]) if job["data_dir"] else None,
        )
    model = architectures.create(
        recipe.model_name,
        n_classes=len(record["class_names"]),
        img_shape=tuple(record["img_shape"]),
        seed=settings.seed,
        width=recipe.width,
    )
    fit.compile_model(model, settings)
    return partial(
        fit.fit,
        model,
        splits,
        settings,
        Begun.of(record).number_format,
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
def _shown_lines(stream: TextIO) -> Iterator[tuple[Any, list[ApparelError]]]:
    """Show what workers put into a queue, as it comes.

    Args:
        stream: where to.

    Yields:
        The queue, and the problems that came through it.
    """
    import ray  # noqa: PLC0415  # an extra
    from ray.util.queue import Queue  # noqa: PLC0415  # as above
    from ray.util.scheduling_strategies import (  # noqa: PLC0415  # as above
        NodeAffinitySchedulingStrategy,
    )

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    problems: list[ApparelError] = []

    def show() -> None:
        # Where the cluster is lost, whoever waits for the training says so.
        with suppress(ray.exceptions.RayError):
            while (line := queue.get()) is not None:
                if isinstance(line, ApparelError):
                    problems.append(line)
                else:
                    print(line, file=stream, flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield queue, problems
    finally:
        with suppress(ray.exceptions.RayError):
            queue.put(None)
            thread.join(timeout=10)
            queue.shutdown()


def _last_line(error: BaseException) -> str:
    """What went wrong in a worker, in a line."""
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
