"""A Ray cluster: found or started, checked, given tasks, and left as it was."""

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any, NamedTuple, TextIO

from apparel._version import __version__
from apparel.core.errors import ApparelError, UsageError
from apparel.core.messages import say

# `--ray` without an address means the cluster that RAY_ADDRESS names, as it does in a job that was
# submitted to one, or else one on this machine, for this command alone.
HERE = "local"
RUNNING = "auto"
CONNECT_SECONDS = 5.0
# A worker that is alive answers the first question within this time.
ANSWER_SECONDS = 120.0
# A task whose process or node is lost starts again elsewhere, at most so often.
MOST_RETRIES = 5
# How long the driver waits for a result before it does something else.
WAIT_SECONDS = 1.0
# Ray reports its use to its makers unless this is set before it starts, and warns of what a later
# version will do to machines with GPUs.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}
_STDERR = 2


class Task(NamedTuple):
    """A call of a function on a cluster.

    Attributes:
        name: what messages call it.
        arguments: positional arguments of the call, which Ray pickles.
    """

    name: str
    arguments: tuple[Any, ...]


class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        ray: the module `ray`.
        stream: takes the program's own lines; what Ray prints is discarded.
    """

    def __init__(self, ray: Any, stream: TextIO) -> None:
        self.ray = ray
        self.stream = stream

    @property
    def n_cpus(self) -> int:
        """Number of processors of all nodes."""
        return int(self.ray.cluster_resources().get("CPU", 0))

    def cpus_per_task(self, n_tasks: int) -> int | None:
        """Number of processors that each task may have so that all run at once.

        Args:
            n_tasks: number of tasks, each of which runs on one node.

        Returns:
            At least 1; None where the cluster has fewer processors than tasks.
        """
        nodes = [int(n["Resources"].get("CPU", 0)) for n in self.ray.nodes() if n["Alive"]]
        sizes = range(1, max(nodes, default=0) + 1)
        return max((k for k in sizes if sum(c // k for c in nodes) >= n_tasks), default=None)

    def show(self, line: str) -> None:
        """Print a line."""
        say(line, file=self.stream, flush=True)

    def run(
        self,
        function: Callable[..., Any],
        tasks: Iterable[Task],
        *,
        cpus: int = 1,
        per_cpu: int = 1,
        fresh_process: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> Iterator[tuple[Task, Any]]:
        """Call a function for each task, wherever there is room.

        Args:
            function: runs in a worker's process.
            tasks: calls; each is taken only when it may be submitted soon, after the results
                before it were used.
            cpus: number of processors that a task takes.
            per_cpu: number of tasks that are submitted at a time, for each processor of the
                cluster.
            fresh_process: start a process for each task, as TensorFlow's threads and random state
                belong to a process.
            meanwhile: called about once a second.

        Yields:
            Each task with its result, as soon as it is done.

        Raises:
            ApparelError: a task raised it, failed in another way, or was lost too often.
            OSError: a task raised it.
        """
        remote = self.ray.remote(
            num_cpus=cpus,
            max_retries=MOST_RETRIES,
            scheduling_strategy="SPREAD",
            **({"max_calls": 1} if fresh_process else {}),
        )(function)
        tasks, running = iter(tasks), dict[Any, Task]()
        while True:
            room = per_cpu * max(self.n_cpus, 1) - len(running)
            for task in islice(tasks, max(room, 0)):
                running[remote.remote(*task.arguments)] = task
            if not running:
                return
            done, _ = self.ray.wait(list(running), num_returns=1, timeout=WAIT_SECONDS)
            if meanwhile:
                meanwhile()
            for reference in done:
                task = running.pop(reference)
                yield task, self._result(reference, task.name)

    def _result(self, reference: Any, name: str) -> Any:
        """Get a result; raise an error of the worker's as it was there.

        Raises:
            ApparelError: the task raised it, failed in another way, or was lost too often.
            OSError: the task raised it.
        """
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ApparelError | OSError):
                raise error.cause from error
            raise ApparelError(f"{name} failed with {error.cause!r}.") from error
        except errors.RayError as error:
            raise ApparelError(f"{name} was lost too often: {_shortened(error)}") from error


def load_ray() -> Any:
    """Import Ray, with its reports turned off.

    Returns:
        The module `ray`.

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
def connected(address: str) -> Iterator[Cluster]:
    """Use a cluster, and leave it as it was.

    A process that is connected to a cluster already uses that one.

    Args:
        address: "local" for one on this machine, "auto" for one that runs on it, or the host and
            port of a head node. In a job that was submitted to a cluster, "local" is that cluster.

    Raises:
        UsageError: the address is malformed.
        ApparelError: Ray is not installed, no cluster answers, its versions differ, or it fails.
    """
    ray = load_ray()
    with _only_own_lines() as stream:
        if ray.is_initialized():
            yield Cluster(ray, stream)
            return
        _connect(ray, address)
        try:
            _check_nodes(ray)
            yield Cluster(ray, stream)
        except ray.exceptions.RayError as error:
            raise ApparelError(
                f"the Ray cluster failed at work ({type(error).__name__}: {_shortened(error)}). "
                "See: ray status."
            ) from error
        finally:
            ray.shutdown()


@contextmanager
def _only_own_lines() -> Iterator[TextIO]:
    """Discard what Ray prints from Python and C++; its logs have it as well.

    Ray tells of each process that it lost and starts anew, at length and on standard output, where
    only results belong.

    Yields:
        A stream for the program's own lines: what was standard error.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123  # a device
        sys.stderr.flush()
        kept = os.dup(_STDERR)
        is_plain = sys.stderr is sys.__stderr__
        with os.fdopen(kept, "w", encoding="utf-8", errors="replace") as own:
            os.dup2(nowhere.fileno(), _STDERR)
            try:
                with redirect_stdout(nowhere):
                    yield own if is_plain else sys.stderr
            finally:
                own.flush()
                os.dup2(kept, _STDERR)


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster, or start one.

    Raises:
        UsageError: the address is malformed.
        ApparelError: no cluster answers, or its versions differ.
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
        shown = _shortened(error)
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
    """Check that something answers at an address; Ray itself would wait for a minute.

    Raises:
        UsageError: the address is malformed.
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
        ApparelError: one has another version, none, or does not answer.
    """

    def installed() -> str | None:  # nested, so that it travels by value: a node may lack apparel
        try:
            return version("apparel")
        except PackageNotFoundError:
            return None

    on_node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = [node for node in ray.nodes() if node["Alive"]]
    ask = ray.remote(num_cpus=0, max_retries=1)(installed)
    asked = [
        ask.options(scheduling_strategy=on_node(node["NodeID"], soft=True)).remote()
        for node in nodes
    ]
    try:
        found = ray.get(asked, timeout=ANSWER_SECONDS)
    except ray.exceptions.RayError as error:
        raise ApparelError(
            f"a node of the Ray cluster does not answer ({type(error).__name__}). See: ray status."
        ) from error
    for node, its_version in zip(nodes, found, strict=True):
        if its_version != __version__:
            raise ApparelError(
                f"the node {node['NodeManagerAddress']} of the Ray cluster has "
                f"{f'apparel {its_version}' if its_version else 'no apparel'}, and this machine "
                f"{__version__}. Install the same version on every node."
            )


def _shortened(error: BaseException) -> str:
    """Bring a message of Ray's to one line of reasonable length."""
    return " ".join(str(error).split())[:300]
