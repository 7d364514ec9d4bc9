"""A real Ray cluster on this machine, of two nodes with one core each."""

from contextlib import suppress

import psutil
from ray.cluster_utils import Cluster

STORE_BYTES = 150 << 20


class TwoNodes:
    """Two nodes, the first of which is the head.

    Attributes:
        address: of the head, as `--ray` takes it.
    """

    def __init__(self):
        self._cluster = Cluster(initialize_head=True, head_node_args=_node())
        self._other = self._cluster.add_node(**_node())
        self._cluster.wait_for_nodes()
        self.address = self._cluster.address

    def replace_node(self):
        """End the node that is not the head, at once, with all that runs there; bring another."""
        self._cluster.remove_node(self._other, allow_graceful=False)
        self._other = self._cluster.add_node(**_node())

    def close(self):
        """End all nodes."""
        self._cluster.shutdown()


def processes_named(start):
    """The ids of the cluster's processes whose command begins like this, oldest first."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if (process.cmdline() or [""])[0].startswith(start):
                found.append((process.create_time(), process.pid))
    return [pid for _, pid in sorted(found)]


def _node():
    return {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
