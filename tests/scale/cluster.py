"""A real Ray cluster on this machine, of nodes with one core each, for tests."""

from contextlib import contextmanager, suppress

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from apparel.scale import cluster as apparel_cluster

# For tests that load Ray in their own process: its parts warn of each other.
RAY_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
STORE_BYTES = 150 << 20


class TwoNodes:
    """Two nodes, the first of which is the head.

    Attributes:
        address: of the head, as `--ray` takes it.
    """

    def __init__(self):
        self._cluster = Cluster(initialize_head=True, head_node_args=_node())
        self._others = [self._cluster.add_node(**_node())]
        self._cluster.wait_for_nodes()
        self.address = self._cluster.address

    def kill_node(self):
        """End the node that is not the head, at once, with all that runs there."""
        self._cluster.remove_node(self._others.pop(), allow_graceful=False)

    def add_node(self):
        """Bring a node."""
        self._others.append(self._cluster.add_node(**_node()))

    def close(self):
        """End all nodes."""
        self._cluster.shutdown()


def _node():
    return {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}


@contextmanager
def two_nodes():
    """Start a cluster of two nodes, and end it."""
    apparel_cluster.load_ray()
    nodes = TwoNodes()
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.close()


def processes_named(start):
    """The ids of the cluster's processes whose command begins like this, oldest first."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if (process.cmdline() or [""])[0].startswith(start):
                found.append((process.create_time(), process.pid))
    return [pid for _, pid in sorted(found)]
