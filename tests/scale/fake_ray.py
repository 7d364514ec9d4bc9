"""A stand-in for Ray: tasks run in this process, the last one that was submitted first.

What travels between processes with Ray is pickled here, too.
"""

import itertools
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


class GetTimeoutError(RayError):
    """No answer came in time."""


class TrainingFailedError(Exception):
    """Ray Train gave up."""


class FakeRay(ModuleType):
    """The module `ray`.

    Attributes:
        calls: what the program asked of a cluster, in order.
        fails: an error for the name of a function: what getting its result raises.
        cpus: processors of each node.
        train_loop: what was given to Ray Train.
    """

    def __init__(self):
        super().__init__("ray")
        self.calls, self.fails, self.cpus = [], {}, [1, 1]
        self._waiting, self._numbers = {}, itertools.count()
        self._is_initialized = False
        self.exceptions = SimpleNamespace(
            RayError=RayError, RayTaskError=RayTaskError, GetTimeoutError=GetTimeoutError
        )
        self.util = ModuleType("ray.util")
        self.util.scheduling_strategies = SimpleNamespace(
            NodeAffinitySchedulingStrategy=lambda node, soft: node
        )
        self.util.queue = ModuleType("ray.util.queue")
        self.util.queue.Queue = _Queue
        self.train = ModuleType("ray.train")
        self.train.TrainingFailedError = TrainingFailedError
        self.train.ScalingConfig = self.train.RunConfig = self.train.FailureConfig = SimpleNamespace
        self.train.get_context = lambda: SimpleNamespace(
            get_world_rank=lambda: 0, get_world_size=lambda: 1
        )
        self.train.tensorflow = ModuleType("ray.train.tensorflow")
        self.train.tensorflow.TensorflowTrainer = self._trainer

    def install(self, monkeypatch):
        """Let the program import this one."""
        for module in (
            self, self.util, self.util.queue, self.train, self.train.tensorflow
        ):  # fmt: skip
            monkeypatch.setitem(sys.modules, module.__name__, module)
        return self

    def init(self, address, **options):
        self.calls.append(("init", address))
        if error := self.fails.get("init"):
            raise error
        self._is_initialized = True

    def is_initialized(self):
        return self._is_initialized

    def shutdown(self):
        self.calls.append(("shutdown",))
        self._is_initialized = False

    def nodes(self):
        return [
            {
                "Alive": True,
                "NodeID": f"{k}",
                "NodeManagerAddress": f"10.0.0.{k}",
                "Resources": {"CPU": float(n)},
            }
            for k, n in enumerate(self.cpus)
        ]

    def cluster_resources(self):
        return {"CPU": float(sum(self.cpus))}

    def get_runtime_context(self):
        return SimpleNamespace(get_node_id=lambda: "0")

    def put(self, value):
        reference = f"put {next(self._numbers)}"
        self._waiting[reference] = lambda: _travelled(value)
        return reference

    def remote(self, **options):
        def of(function):
            remote = SimpleNamespace(options=lambda **_: remote)
            remote.remote = lambda *arguments: self._submit(function, arguments, options)
            return remote

        return of

    def _submit(self, function, arguments, options):
        reference = f"task {next(self._numbers)}"
        arguments = [
            self._waiting[a]() if isinstance(a, str) and a in self._waiting else a
            for a in _travelled(arguments)
        ]
        self.calls.append(("submit", function.__name__, options["num_cpus"]))

        def result():
            if error := self.fails.get(function.__name__):
                raise error
            try:
                return _travelled(function(*arguments))
            except Exception as error:  # noqa: BLE001  # as Ray does
                raise RayTaskError(_travelled(error)) from None

        self._waiting[reference] = result
        return reference

    def wait(self, references, *, num_returns, timeout):
        return references[-1:], references[:-1]

    def get(self, wanted, *, timeout=None):
        if isinstance(wanted, list):
            return [self.get(each) for each in wanted]
        return self._waiting.pop(wanted)()

    def _trainer(self, train_loop, *, train_loop_config, scaling_config, run_config):
        self.calls.append(
            ("train", scaling_config.num_workers, scaling_config.resources_per_worker)
        )

        def fit():
            if error := self.fails.get("train"):
                raise error
            train_loop(train_loop_config)

        return SimpleNamespace(fit=fit)


class _Queue(queue.Queue):
    def __init__(self, actor_options):
        super().__init__()

    def shutdown(self):
        pass


def _travelled(value):
    """A value as another process gets it."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301  # of this process
