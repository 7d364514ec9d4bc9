"""A stand-in for Ray: tasks run in this process, the last one that was submitted first.

What travels between processes with Ray is pickled here, too.
"""

import pickle
import queue
import sys
from types import ModuleType, SimpleNamespace


class RayError(Exception):
    """Base of Ray's errors."""


class RayTaskError(RayError):
    """A task raised an error."""

    def __init__(self, cause):
        super().__init__(f"a long trace, and {cause!r}")
        self.cause = cause


class TrainingFailedError(Exception):
    """Ray Train gave up."""


class FakeRay(ModuleType):
    """The module `ray`.

    Attributes:
        calls: what the program asked of a cluster, in order.
        fails: an error for the name of a function: what getting its result raises.
        cpus: processors of each node.
    """

    def __init__(self):
        super().__init__("ray")
        self.calls, self.fails, self.cpus = [], {}, [1, 1]
        self.is_connected = False
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.put = travelled
        self.get_runtime_context = lambda: SimpleNamespace(get_node_id=lambda: "0")
        affinity = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        self.util = SimpleNamespace(scheduling_strategies=affinity)
        self.train = SimpleNamespace(
            TrainingFailedError=TrainingFailedError,
            ScalingConfig=SimpleNamespace,
            RunConfig=SimpleNamespace,
            FailureConfig=SimpleNamespace,
            get_context=lambda: SimpleNamespace(get_world_rank=lambda: 0, get_world_size=lambda: 1),
        )

    def install(self, monkeypatch):
        """Let the program import this one."""
        modules = {
            "ray": self,
            "ray.train": self.train,
            "ray.train.tensorflow": SimpleNamespace(TensorflowTrainer=self._trainer),
            "ray.util": self.util,
            "ray.util.queue": SimpleNamespace(Queue=Queue),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        return self

    def init(self, address, **options):
        self.calls.append(("init", address))
        self._fail("init")
        self.is_connected = True

    def is_initialized(self):
        return self.is_connected

    def shutdown(self):
        self.calls.append(("shutdown",))
        self.is_connected = False

    def nodes(self):
        node = {"Alive": True, "NodeManagerAddress": "10.0.0.7", "NodeID": "0"}
        return [{**node, "Resources": {"CPU": float(n)}} for n in self.cpus]

    def cluster_resources(self):
        return {"CPU": float(sum(self.cpus))}

    def remote(self, **options):
        def decorated(function):
            def submit(*arguments):
                self.calls.append(("submit", function.__name__, options["num_cpus"]))
                arguments = travelled(arguments)
                return lambda: self._result(function, arguments)

            task = SimpleNamespace(remote=submit)
            task.options = lambda **_: task
            return task

        return decorated

    def wait(self, references, *, num_returns, timeout):
        return references[-1:], references[:-1]

    def get(self, wanted, *, timeout=None):
        return [each() for each in wanted] if isinstance(wanted, list) else wanted()

    def _result(self, function, arguments):
        self._fail(function.__name__)
        try:
            return travelled(function(*arguments))
        except Exception as error:  # noqa: BLE001  # as Ray does
            raise RayTaskError(travelled(error)) from None

    def _trainer(self, train_loop, *, train_loop_config, scaling_config, run_config):
        asked = scaling_config
        self.calls.append(("train", asked.num_workers, asked.resources_per_worker))

        def fit():
            self._fail("train")
            train_loop(train_loop_config)

        return SimpleNamespace(fit=fit)

    def _fail(self, what):
        if error := self.fails.get(what):
            raise error


class Queue(queue.Queue):
    """Ray's queue."""

    def __init__(self, actor_options):
        super().__init__()

    def shutdown(self):
        pass


def travelled(value):
    """A value as another process gets it."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301  # of this process
