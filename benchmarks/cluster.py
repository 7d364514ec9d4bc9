"""Ray clusters on this machine, for benchmarks."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apparel.scale.cluster import load_ray

STORE_BYTES = 200 << 20


@contextmanager
def cluster(n_nodes: int, *, cpus: int = 1, pinned: bool = False) -> Iterator[str]:
    """Run a cluster, and yield its address.

    Args:
        n_nodes: number of nodes.
        cpus: processors of each.
        pinned: keep each node, its workers and Ray's processes for it to a core of its own.
    """
    load_ray()
    from ray.cluster_utils import Cluster  # noqa: PLC0415  # Ray reads its environment at import

    node = {"num_cpus": cpus, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cores = os.sched_getaffinity(0)
    nodes = Cluster()
    try:
        for core in sorted(cores)[:n_nodes]:
            if pinned:
                os.sched_setaffinity(0, {core})  # what is started now inherits it
            nodes.add_node(**node)
        os.sched_setaffinity(0, cores)
        nodes.wait_for_nodes()
        yield str(nodes.address)
    finally:
        os.sched_setaffinity(0, cores)
        nodes.shutdown()


def seconds_of(arguments: Sequence[object], cores: set[int] | None = None) -> float:
    """Run `python -m apparel` with some arguments; the seconds that it took.

    Args:
        arguments: of the command.
        cores: to run on; None for all.
    """
    command = [sys.executable, "-m", "apparel", *map(str, arguments)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if cores:
        os.sched_setaffinity(process.pid, cores)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - begin
