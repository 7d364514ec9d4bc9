"""Finding a Ray cluster, its tasks, and every way in which there is no cluster to use."""

import errno
import os
import socket
import sys

import pytest

from apparel.cli import main
from apparel.core.errors import ApparelError, DataError, ModelFileError, UsageError
from apparel.scale import cluster
from apparel.scale.cluster import Cluster, Task, connected
from tests.scale.fake_ray import RayError

SEEDS = ["run", "--limit", "20", "--epochs", "1", "--seeds", "2"]


def test_without_ray_the_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main.main([*SEEDS, "--ray", "--run-dir", str(tmp_path / "r")]) == 1
    assert "pip install 'apparel[ray]'" in capsys.readouterr().err


# -- addresses -----------------------------------------------------------------------------


def test_no_cluster_at_the_address_is_said_at_once(fake_ray, capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    assert main.main([*SEEDS, "--ray", address, "--run-dir", str(tmp_path / "r")]) == 1
    assert f"there is no Ray cluster at {address}" in capsys.readouterr().err
    assert not fake_ray.calls  # Ray itself would wait


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", "http://head:8265"])
def test_what_is_no_address_is_wrong_usage(fake_ray, address):
    with (
        pytest.raises(UsageError, match="takes the host and port of a head node"),
        connected(address),
    ):
        pass


def test_without_an_address_a_cluster_of_its_own_is_started(fake_ray, monkeypatch):
    with connected(cluster.HERE) as here:
        assert here.n_cpus == 2
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with connected(cluster.HERE):
        pass
    asked = [call for call in fake_ray.calls if call[0] in {"init", "shutdown"}]
    assert asked == [("init", "local"), ("shutdown",), ("init", "10.0.0.1:6379"), ("shutdown",)]


def test_a_process_that_is_connected_stays_so(fake_ray):
    fake_ray.init("local")
    with connected("10.0.0.1:6379") as found:
        assert found.ray is fake_ray
    assert fake_ray.calls == [("init", "local")]


# -- clusters that cannot be used -----------------------------------------------------------


def test_other_versions_are_named(fake_ray):
    fake_ray.fails["init"] = RuntimeError(
        "Version mismatch: The cluster was started with:\n  Ray: 2"
    )
    with pytest.raises(ApparelError, match=r"has other versions .* with: Ray: 2 Install"):
        connected(cluster.RUNNING).__enter__()


@pytest.mark.parametrize(("installed", "said"), [(None, "no apparel"), ("9.9", "apparel 9.9")])
def test_a_node_without_this_apparel_is_named(fake_ray, monkeypatch, installed, said):
    def version(name):
        if installed is None:
            raise cluster.PackageNotFoundError
        return installed

    monkeypatch.setattr(cluster, "version", version)
    with pytest.raises(ApparelError, match=rf"the node 10\.0\.0\.7 .* has {said}, and this"):
        connected(cluster.HERE).__enter__()
    assert fake_ray.calls[-1] == ("shutdown",)


def test_a_node_that_does_not_answer_is_said(fake_ray):
    fake_ray.fails["installed"] = RayError("120 s")
    with pytest.raises(ApparelError, match=r"a node .* does not answer"):
        connected(cluster.HERE).__enter__()


def test_a_cluster_that_fails_at_work_is_said_in_a_line(fake_ray):
    failing = pytest.raises(ApparelError, match=r"failed at work \(RayError: lost\)")
    with failing, connected(cluster.HERE):
        raise RayError("lost")
    assert fake_ray.calls[-1] == ("shutdown",)


# -- what is printed ------------------------------------------------------------------------


def test_only_own_lines_are_shown(fake_ray, capfd):
    with connected(cluster.HERE) as here:
        print("Ray says")
        os.write(2, b"its core says")
        here.show("we say")
    print("after", file=sys.stderr)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["we say", "after"]


# -- tasks ----------------------------------------------------------------------------------


@pytest.fixture
def here(fake_ray):
    return Cluster(fake_ray, sys.stderr)


@pytest.mark.parametrize(
    ("nodes", "n_tasks", "cpus"),
    [([1, 1], 1, 1), ([1, 1], 2, 1), ([1, 1], 3, None), ([8, 4], 3, 4), ([8, 4], 4, 2),
     ([16], 5, 3), ([], 1, None)],
)  # fmt: skip
def test_processors_are_shared_out_so_that_all_run_at_once(here, fake_ray, nodes, n_tasks, cpus):
    fake_ray.cpus = nodes
    assert here.cpus_per_task(n_tasks) == cpus


def test_tasks_are_taken_when_there_is_room_and_given_as_they_end(here):
    taken = []

    def tasks():
        for k in range(5):
            taken.append(k)
            yield Task(f"the square of {k}", (k, 2))

    ticks = []
    results = here.run(pow, tasks(), meanwhile=lambda: ticks.append(len(taken)))
    first, square = next(results)
    assert (taken, first.name, square) == ([0, 1], "the square of 1", 1)
    assert sorted(result for _, result in results) == [0, 4, 9, 16]
    assert ticks == [2, 3, 4, 5, 5]
    assert list(here.run(pow, [])) == []


def fail(error):
    raise error


@pytest.mark.parametrize(
    "error",
    [ApparelError("a"), DataError("b"), ModelFileError("c"), UsageError("d"),
     OSError(errno.ENOSPC, "No space left on device", "/x/part-00000.csv")],
)  # fmt: skip
def test_an_error_of_a_worker_is_raised_here(here, error):
    with pytest.raises(type(error)) as raised:
        list(here.run(fail, [Task("it", (error,))]))
    assert str(raised.value) == str(error)


def test_other_failures_name_the_task(here, fake_ray):
    with pytest.raises(ApparelError, match=r"it failed with KeyError\('x'\)"):
        list(here.run(fail, [Task("it", (KeyError("x"),))]))
    fake_ray.fails["fail"] = RayError("the worker died")
    with pytest.raises(ApparelError, match="it was lost too often: the worker died"):
        list(here.run(fail, [Task("it", ())]))
