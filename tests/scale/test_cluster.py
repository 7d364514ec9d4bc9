"""Finding a Ray cluster, its tasks, and every way in which there is no cluster to use."""

import errno
import os
import socket
import sys

import pytest

from apparel.core.errors import ApparelError, DataError, UsageError
from apparel.scale import cluster
from apparel.scale.cluster import Cluster, Task, connected
from tests.scale.fake_ray import RayError


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(ApparelError, match=r"pip install 'apparel\[ray\]'"),
        connected(cluster.HERE),
    ):
        pass


# -- addresses -----------------------------------------------------------------------------


def test_no_cluster_at_the_address_is_said_at_once(fake_ray):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ApparelError, match=f"no Ray cluster at {address}"), connected(address):
        pass
    assert not fake_ray.calls  # Ray itself would wait


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port"])
def test_what_is_no_address_is_wrong_usage(fake_ray, address):
    with pytest.raises(UsageError, match="takes the host and port of a head"), connected(address):
        pass


def test_without_an_address_a_cluster_of_its_own_is_started(fake_ray, monkeypatch):
    with connected(cluster.HERE) as here, connected("10.0.0.1:6379") as same:
        assert here.n_cpus == 2
        assert same.ray is here.ray  # a process that is connected stays so
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with connected(cluster.HERE):
        pass
    asked = [call for call in fake_ray.calls if call[0] in {"init", "shutdown"}]
    assert asked == [("init", "local"), ("shutdown",), ("init", "10.0.0.1:6379"), ("shutdown",)]


# -- clusters that cannot be used -----------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "error", "said"),
    [
        ("init", RuntimeError("Version mismatch:\n  2"), r"has other versions .* mismatch: 2 Ins"),
        ("installed", RayError("120 s"), "a node .* does not answer"),
        (None, RayError("lost"), r"failed at work \(RayError: lost\)"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_said_in_a_line(fake_ray, where, error, said):
    fake_ray.fails[where] = error
    with pytest.raises(ApparelError, match=said), connected(cluster.RUNNING):
        raise error
    assert fake_ray.calls[-1] == (("init", "auto") if where == "init" else ("shutdown",))


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
    [([1, 1], 2, 1), ([1, 1], 3, None), ([8, 4], 3, 4), ([16], 5, 3), ([], 1, None)],
)
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


def test_an_error_of_a_worker_is_raised_here_and_other_failures_name_the_task(here, fake_ray):
    for error in (DataError("b"), OSError(errno.ENOSPC, "No space left", "/x/part-00000.csv")):
        with pytest.raises(type(error)) as raised:
            list(here.run(fail, [Task("it", (error,))]))
        assert str(raised.value) == str(error)
    with pytest.raises(ApparelError, match=r"it failed with KeyError\('x'\)"):
        list(here.run(fail, [Task("it", (KeyError("x"),))]))
    fake_ray.fails["fail"] = RayError("the worker died")
    with pytest.raises(ApparelError, match="it was lost too often: the worker died"):
        list(here.run(fail, [Task("it", ())]))
