"""Runs with several seeds on a made-up cluster."""

from functools import partial
from pathlib import Path

import pytest

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.scale.seeds import run_all, run_in_worker


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """The numbers of threads that TensorFlow was given."""
    given = []
    monkeypatch.setattr(backend, "use_threads", given.append)
    return given


def test_all_are_run_and_told_of(fake_ray, threads, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fake_ray.cpus = [4, 2]
    runs = {Path(name): partial(Path.touch, tmp_path / f"{name}.done") for name in "abc"}
    run_all(runs, "local")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.done", "b.done", "c.done"]
    assert fake_ray.calls.count(("submit", "run_in_worker", 2)) == 3
    assert threads == [2, 2, 2]
    assert capsys.readouterr().err.splitlines() == [
        "3 runs on the Ray cluster, 2 CPUs each",
        "Complete: c, 2 to go",
        "Complete: b, 1 to go",
        "Complete: a, 0 to go",
    ]
    fake_ray.cpus = [1, 1]
    run_all(runs, "local")
    assert threads[3:] == [1, 1, 1]  # more runs than processors


def test_a_folder_that_a_node_does_not_see_is_named(tmp_path):
    with pytest.raises(ApparelError, match="does not see the folder"):
        run_in_worker(lambda: None, tmp_path / "not" / "there", 1)
