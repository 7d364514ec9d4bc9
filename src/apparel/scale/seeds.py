"""Runs with several random seeds, many at once on the nodes of a Ray cluster."""

from collections.abc import Callable, Mapping
from pathlib import Path

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.scale.cluster import Task, connected


def run_all(runs: Mapping[Path, Callable[[], None]], address: str) -> None:
    """Run all, as many at once as there is room for.

    A run whose worker or node is lost starts again elsewhere, from its last checkpoint.

    Args:
        runs: for each folder, which all nodes share, the function that starts or resumes the run
            there; it is called in another process.
        address: address of the cluster, as in `cluster.connected`.

    Raises:
        ApparelError: there is no such cluster, or a run failed.
    """
    with connected(address) as cluster:
        # The more runs, the fewer processors for each: none is left idle.
        cpus = cluster.cpus_per_task(len(runs)) or 1
        cluster.show(f"{len(runs)} runs on the Ray cluster, {cpus} CPUs each")
        tasks = [
            Task(f"the run {folder}", (run, folder.resolve(), cpus)) for folder, run in runs.items()
        ]
        # All are submitted at once, so that a cluster that can grow does so.
        done = cluster.run(run_in_worker, tasks, cpus=cpus, per_cpu=len(runs), fresh_process=True)
        for left, (task, _) in zip(reversed(range(len(runs))), done, strict=True):
            cluster.show(f"Complete: {task.name.removeprefix('the run ')}, {left} to go")


def run_in_worker(run: Callable[[], None], folder: Path, cpus: int) -> None:
    """Run in this process, a worker's.

    Args:
        run: starts or resumes the run.
        folder: run directory.
        cpus: number of processors that this process may use.

    Raises:
        ApparelError: this node does not see the folder of the runs, or a step failed.
    """
    if not folder.parent.is_dir():
        raise ApparelError(
            f"a node of the cluster does not see the folder {folder.parent}. Put it on storage "
            "that all nodes share, with --run-dir."
        )
    backend.use_threads(cpus)
    run()
