"""A Ray cluster: found or started, looked over, left."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from apparel._version import __version__
from apparel.core.errors import ApparelError, UsageError

# What `--ray` without an address means: the cluster that RAY_ADDRESS names, as it does in a job
# that was submitted to one, or else one on this machine, for this command alone.
HERE = "local"
RUNNING = "auto"
CONNECT_SECONDS = 5.0
# Of a worker that is alive, to answer at all.
ANSWER_SECONDS = 120.0
# Ray reports its use to its makers unless this is set before it starts; it warns of what a later
# version will do to machines with GPUs; and its own lines would be between those of this program.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}


def load_ray() -> Any:
    """Import Ray, and let it report nothing.

    Returns:
        The `ray` module.

    Raises:
        ApparelError: it is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ApparelError(
            "--ray needs the package ray, which is not installed. Install it with "
            "pip install 'apparel[ray]', or leave --ray out."
        ) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Use a cluster, and leave it as it was.

    Where this process uses one already, it is that one.

    Args:
        address: "local" for one on this machine, "auto" for one that runs on it, or the host and
            port of a head node. In a job that was submitted to a cluster, "local" is that cluster.

    Yields:
        The `ray` module.

    Raises:
        UsageError: it is no such address.
        ApparelError: Ray is not installed, no cluster is there, its versions are others, or it
            fails at work.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    _connect(ray, address)
    try:
        _check_nodes(ray)
        yield ray
    except ray.exceptions.RayError as error:
        shown = " ".join(str(error).split())[:300]
        raise ApparelError(
            f"the Ray cluster failed at work ({type(error).__name__}: {shown}). See: ray status."
        ) from error
    finally:
        ray.shutdown()


def cpus_of_each(ray: Any, n_tasks: int) -> int | None:
    """How many processors each of some tasks may have, so that all run at once.

    Args:
        ray: the module, connected.
        n_tasks: how many tasks, each on one node.

    Returns:
        A number of at least 1; None where the cluster has fewer processors than tasks.
    """
    nodes = [int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]]
    sizes = range(1, max(nodes, default=0) + 1)
    return max((k for k in sizes if sum(c // k for c in nodes) >= n_tasks), default=None)


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster, or start one.

    Raises:
        UsageError: it is no address.
        ApparelError: no cluster is there, or it has other versions.
    """
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        if address == HERE:
            # Without an address, Ray would take any cluster that runs on this machine.
            named = os.environ.get("RAY_ADDRESS")
            started = {} if named else {"include_dashboard": False}
            ray.init(named or HERE, **started, **quiet)
        else:
            if address != RUNNING:
                _check_reachable(address)
            ray.init(address, **quiet)
    except UsageError:
        raise
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        shown = " ".join(str(error).split())
        if "Version mismatch" in shown:
            raise ApparelError(
                f"the Ray cluster at {address} has other versions than this machine: {shown} "
                "Install the same Ray and Python on both."
            ) from error
        raise ApparelError(
            f"there is no Ray cluster at {address} ({shown}). Start one with ray start --head, or "
            "give --ray without an address for one on this machine."
        ) from error


def _check_reachable(address: str) -> None:
    """Look whether anything answers there: Ray itself waits for a minute.

    Raises:
        UsageError: it is no address.
        OSError: nothing answers.
    """
    host, found, port = address.rpartition(":")
    if not found or not port.isdecimal() or "/" in host:
        raise UsageError(
            f"--ray takes the host and port of a head node, such as 10.0.0.1:6379, and not "
            f"{address!r}. To use a cluster from outside, submit the command to it as a job."
        )
    socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _check_nodes(ray: Any) -> None:
    """Check that each node has this version of apparel.

    Raises:
        ApparelError: one has another, or none.
    """
    from ray.exceptions import GetTimeoutError, RayError  # noqa: PLC0415  # an extra
    from ray.util.scheduling_strategies import (  # noqa: PLC0415  # as above
        NodeAffinitySchedulingStrategy,
    )

    nodes = [node for node in ray.nodes() if node["Alive"]]
    ask = ray.remote(num_cpus=0, max_retries=1)(_installed())
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=True))
        for node in nodes
    ]
    try:
        found = ray.get([each.remote() for each in asked], timeout=ANSWER_SECONDS)
    except (GetTimeoutError, RayError) as error:
        raise ApparelError(
            f"a node of the Ray cluster does not answer ({type(error).__name__}). See: ray status."
        ) from error
    for node, installed in zip(nodes, found, strict=True):
        if installed != __version__:
            raise ApparelError(
                f"the node {node['NodeManagerAddress']} of the Ray cluster has "
                f"{f'apparel {installed}' if installed else 'no apparel'}, and this machine "
                f"{__version__}. Install the same version on every node."
            )


def _installed() -> Any:
    """A function that tells the version of apparel where it runs, even where that has none."""

    def installed() -> str | None:  # nested, so that it travels itself and not by its name
        try:
            return version("apparel")
        except PackageNotFoundError:
            return None

    return installed


def raised(get: Callable[[], Any], what: str) -> Any:
    """Get a result; an error of the worker's is raised as it was there.

    Args:
        get: asks Ray for it.
        what: the task was, for messages.

    Raises:
        ApparelError: the task raised it, failed in another way, or was lost too often.
    """
    from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415  # an extra

    try:
        return get()
    except RayTaskError as error:
        if isinstance(error.cause, ApparelError | OSError):
            raise error.cause from error
        raise ApparelError(f"{what} failed with {error.cause!r}.") from error
    except RayError as error:
        shown = " ".join(str(error).split())[:300]
        raise ApparelError(f"{what} was lost too often: {shown}") from error
