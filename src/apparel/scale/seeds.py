"""Runs with several seeds, many at once on the nodes of a Ray cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.scale.cluster import connected, cpus_of_each, raised
from apparel.scale.silence import only_ours

# How often a run whose worker or node is lost is gone on with, elsewhere.
MOST_RETRIES = 5


@dataclass(frozen=True)
class RaySeeds:
    """Runs on a cluster.

    Attributes:
        address: of the cluster, as in `cluster.connected`.
    """

    address: str

    def run(self, runs: Mapping[Path, Callable[[], None]]) -> None:
        """Run all, as many at once as there is room for.

        Args:
            runs: for each folder, which all nodes share, what runs or goes on there. It is called
                in another process.

        Raises:
            ApparelError: there is no such cluster, or a run failed.
        """
        with only_ours() as stream, connected(self.address) as ray:
            # Fewer processors a run where there are more runs: none is left idle.
            cpus = cpus_of_each(ray, len(runs)) or 1
            # A process a run: TensorFlow's threads and seeds are those of a process.
            task = ray.remote(
                num_cpus=cpus, max_retries=MOST_RETRIES, max_calls=1, scheduling_strategy="SPREAD"
            )(run_in_worker)
            waiting = {
                task.remote(run, folder.resolve(), cpus): folder for folder, run in runs.items()
            }
            shown = f"{len(runs)} runs on the Ray cluster, {cpus} CPUs each"
            print(shown, file=stream, flush=True)
            while waiting:
                (done, *_), _ = ray.wait(list(waiting), num_returns=1)
                folder = waiting.pop(done)
                raised(partial(ray.get, done), f"the run {folder}")
                print(f"Complete: {folder}, {len(waiting)} to go", file=stream, flush=True)


def run_in_worker(run: Callable[[], None], folder: Path, cpus: int) -> None:
    """Run in this process, a worker's.

    Args:
        run: what to do.
        folder: where it works.
        cpus: that this process may use.

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
