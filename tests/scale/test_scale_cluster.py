"""Finding a Ray cluster, and every way in which there is none that can be used."""

import sys
from types import SimpleNamespace

import pytest
from ray.exceptions import RayError, RayTaskError, WorkerCrashedError

from apparel.cli import main
from apparel.core.errors import ApparelError, DataError, UsageError
from apparel.scale import cluster
from tests.scale.cluster import RAY_WARNS
from tests.training.test_data_parallel import free_ports

pytestmark = RAY_WARNS

SEEDS = ["run", "--limit", "20", "--epochs", "1", "--seeds", "2"]


def test_without_ray_the_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main.main([*SEEDS, "--ray", "--run-dir", str(tmp_path / "r")]) == 1
    assert "pip install 'apparel[ray]'" in capsys.readouterr().err


def test_no_cluster_at_the_address_is_said_at_once(capsys, tmp_path):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    assert main.main([*SEEDS, "--ray", address, "--run-dir", str(tmp_path / "r")]) == 1
    assert f"there is no Ray cluster at {address}" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", "http://head:8265"])
def test_what_is_no_address_is_wrong_usage(address):
    with (
        pytest.raises(UsageError, match="takes the host and port of a head node"),
        cluster.connected(address),
    ):
        pass


def other_ray(error=None, nodes=(), answer=None):
    """What stands in for the module `ray`."""
    asked = []

    def init(address, **options):
        asked.append((address, options.get("include_dashboard")))
        if error:
            raise error

    return SimpleNamespace(init=init, asked=asked, nodes=lambda: list(nodes), get=answer)


def test_without_an_address_a_cluster_of_its_own_is_started(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray = other_ray()
    cluster._connect(ray, cluster.HERE)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    cluster._connect(ray, cluster.HERE)
    assert ray.asked == [("local", False), ("10.0.0.1:6379", None)]


def test_a_cluster_that_fails_at_work_is_said_in_a_line(monkeypatch):
    ray = other_ray()
    ray.exceptions, ray.is_initialized = SimpleNamespace(RayError=RayError), lambda: False
    ray.shutdown = lambda: ray.asked.append("shut down")
    monkeypatch.setattr(cluster, "load_ray", lambda: ray)
    monkeypatch.setattr(cluster, "_check_nodes", lambda ray: None)
    failing = pytest.raises(ApparelError, match=r"failed at work \(RayError: lost\)")
    with failing, cluster.connected(cluster.HERE):
        raise RayError("lost")
    assert ray.asked[-1] == "shut down"


def test_other_versions_are_named():
    message = "Version mismatch: The cluster was started with:\n    Ray: 2.40.0\n    Python: 3.9.1"
    with pytest.raises(ApparelError, match=r"has other versions .* Ray: 2\.40\.0 Python: 3\.9\.1"):
        cluster._connect(other_ray(RuntimeError(message)), cluster.RUNNING)


@pytest.mark.parametrize(("installed", "said"), [(None, "no apparel"), ("9.9", "apparel 9.9")])
def test_a_node_without_this_apparel_is_named(monkeypatch, installed, said):
    task = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: None))
    ray = SimpleNamespace(
        nodes=lambda: [{"Alive": True, "NodeID": "0" * 56, "NodeManagerAddress": "10.0.0.7"}],
        remote=lambda **_: lambda function: task,
        get=lambda asked, timeout: [installed],
    )
    with pytest.raises(ApparelError, match=rf"the node 10\.0\.0\.7 .* has {said}, and this"):
        cluster._check_nodes(ray)


def test_a_node_tells_its_version_or_none(monkeypatch):
    assert cluster._installed()() == cluster.__version__

    def version(name):
        raise cluster.PackageNotFoundError

    monkeypatch.setattr(cluster, "version", version)
    assert cluster._installed()() is None


@pytest.mark.parametrize(
    ("nodes", "n_tasks", "cpus"),
    [([1, 1], 1, 1), ([1, 1], 2, 1), ([1, 1], 3, None), ([8, 4], 3, 4), ([8, 4], 4, 2),
     ([16], 5, 3), ([], 1, None)],
)  # fmt: skip
def test_processors_are_shared_out_so_that_all_run_at_once(nodes, n_tasks, cpus):
    alive = [{"Alive": True, "Resources": {"CPU": float(n)}} for n in nodes]
    dead = [{"Alive": False, "Resources": {"CPU": 64.0}}]
    assert cluster.cpus_of_each(other_ray(nodes=alive + dead), n_tasks) == cpus


def test_errors_of_workers_are_raised_as_they_were():
    def failing(error):
        def get():
            raise error

        return get

    with pytest.raises(DataError, match="no images"):
        cluster.raised(failing(RayTaskError("f", "trace", DataError("no images"))), "it")
    with pytest.raises(ApparelError, match=r"it failed with KeyError\('x'\)"):
        cluster.raised(failing(RayTaskError("f", "trace", KeyError("x"))), "it")
    with pytest.raises(ApparelError, match="it was lost too often"):
        cluster.raised(failing(WorkerCrashedError()), "it")
    assert cluster.raised(lambda: 7, "it") == 7
