"""A search on a real Ray cluster of two nodes: nothing is lost, and nothing done twice."""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray import cloudpickle, tune

from apparel.cli import main
from apparel.core.errors import ApparelError
from apparel.scale import cluster as ray_cluster
from apparel.scale import tuning as on_ray
from apparel.scale.silence import only_ours
from apparel.training import tuning
from tests.scale.cluster import RAY_WARNS, two_nodes

pytestmark = RAY_WARNS
# Workers need not find this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as nodes:
        yield nodes


POOR = 3


@dataclass
class MadeUp:
    """Trainings that take two seconds, and go on where a process left them.

    Each is better than those before, but one is poor.
    """

    folder: Path
    networks: tuple = ("planned", "cnn")

    def run(self, number, parameters, report):
        state = self.folder / f"state-{number}"
        done = int(state.read_text()) if state.exists() else 0
        final = 0.01 if number == POOR else 0.1 + 0.1 * number
        ended = tuning.Outcome(accuracy=final, stopped=False, directory=self.folder)
        if done == 4:  # as a run directory says that it is complete
            return ended
        self._note("begin", number, done, parameters)
        for step in range(done, 4):
            time.sleep(0.5)
            state.write_text(str(step + 1))
            if step < 3:
                report(25 * (step + 1), final * (step + 1) / 4)
        self._note("end", number, 4, parameters)
        return ended

    def end_stopped(self):
        (self.folder / "ended").touch()

    def _note(self, what, number, done, parameters):
        with (self.folder / "log").open("a") as file:
            file.write(json.dumps([what, number, done, parameters, os.getpid()]) + "\n")


@dataclass
class Counting:
    """Has room for so many trials, and interrupts the search once where a file says so."""

    folder: Path
    trials: int

    def has_room(self, begun):
        if begun >= 3 and (self.folder / "interrupt").exists():
            (self.folder / "interrupt").unlink()
            raise KeyboardInterrupt
        return begun < self.trials

    def tick(self):
        return 0.0


def search(cluster, folder, trials, made_up=MadeUp):
    clock = Counting(folder, trials)
    with only_ours() as stream, ray_cluster.connected(cluster.address):
        on_ray.search(seed=3, clock=clock, trials=made_up(folder), stream=stream)


def log(folder):
    lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
    return [json.loads(line) for line in lines]


def numbers(folder, what):
    return [entry[1] for entry in log(folder) if entry[0] == what]


def until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def test_a_lost_worker_and_a_lost_node_lose_nothing(cluster, tmp_path, capsys):
    problems, killed = [], []

    def trouble():
        try:
            until(lambda: numbers(tmp_path, "begin"))
            time.sleep(0.8)  # within the first trial
            killed.append(log(tmp_path)[0])
            os.kill(killed[0][4], signal.SIGKILL)
            until(lambda: len(numbers(tmp_path, "end")) >= 2)
            cluster.kill_node()
        except BaseException as error:  # noqa: BLE001  # the test's to raise
            problems.append(error)

    thread = threading.Thread(target=trouble)
    thread.start()
    search(cluster, tmp_path, 7)
    thread.join()
    cluster.add_node()
    assert not problems
    begun, ended = numbers(tmp_path, "begin"), numbers(tmp_path, "end")
    assert set(begun) == set(range(7))
    assert len(ended) == len(set(ended))  # no finished trial is repeated
    # The one that lost time may have been stopped as well.
    assert {2, 4, 5, 6} - {killed[0][1]} <= set(ended) <= {0, 1, 2, 4, 5, 6}
    again = [entry for entry in log(tmp_path) if entry[:2] == ["begin", killed[0][1]]]
    assert len(again) == 2
    assert (again[0][2], again[1][2] > 0) == (0, True)  # it goes on where it was
    assert again[0][3] == again[1][3]
    first = next(entry[3] for entry in log(tmp_path) if entry[1] == 0)
    assert first == dict(tuning.DEFAULT)
    assert (tmp_path / "ended").exists()
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert all(line.startswith("trial ") for line in lines)
    assert sorted(int(line.split()[1][:-1]) for line in lines) == list(range(7))
    assert "trial 3: 0.25% on the validation images, stopped early" in lines


def test_a_search_whose_driver_was_interrupted_goes_on(cluster, tmp_path):
    (tmp_path / "interrupt").touch()
    with pytest.raises(KeyboardInterrupt):
        search(cluster, tmp_path, 5)
    before = numbers(tmp_path, "end")
    assert not (tmp_path / "ended").exists()
    search(cluster, tmp_path, 5)
    begun, ended = numbers(tmp_path, "begin"), numbers(tmp_path, "end")
    assert set(begun) == set(range(5))
    assert all(begun.count(number) == 1 for number in before)
    assert len(ended) == len(set(ended))
    assert {1, 2, 4} <= set(ended) <= {0, 1, 2, 4}
    search(cluster, tmp_path, 5)  # nothing is left
    assert numbers(tmp_path, "begin") == begun


def test_a_trial_that_fails_again_and_again_is_named(cluster, tmp_path, monkeypatch):
    class Failing(MadeUp):
        def run(self, number, parameters, report):
            raise ApparelError("the disk is full")

    monkeypatch.setattr(on_ray, "MOST_FAILURES", 1)
    with pytest.raises(ApparelError, match="1 of 1 trials failed, at last with: ") as caught:
        search(cluster, tmp_path, 1, Failing)
    assert "the disk is full" in str(caught.value)


def test_the_whole_command(cluster, tmp_path, capsys):
    run = tmp_path / "s"
    options = ["--limit", "100", "--budget", "100s", "--trials", "2", "--run-dir", str(run)]
    assert main.main(["tune", *options, "--ray", cluster.address]) == 0
    printed = capsys.readouterr()
    assert "trial 0: " in printed.err
    assert "To train with the best setting again" in printed.out
    settings = [json.loads(p.read_text()) for p in sorted(run.glob("trials/*/settings.json"))]
    assert [kept["trial"]["number"] for kept in settings] == [0, 1], printed.err
    assert {kept["status"] for kept in settings} <= {"complete", "stopped"}
    assert settings[0]["settings"]["budget"] == 30.0
    assert (run / "default" / "report.html").exists()


def test_what_a_worker_reports(tmp_path, monkeypatch):
    """What Ray's workers do, here."""
    told = []
    monkeypatch.setattr(tune, "report", told.append)
    trials = MadeUp(tmp_path)
    on_ray.train_trial({"number": 4, "learning_rate": 1.0}, trials=trials)
    assert numbers(tmp_path, "begin") == [4]
    assert log(tmp_path)[0][3] == {"learning_rate": 1.0}
    assert [entry["percent"] for entry in told] == [25, 50, 75, 100.0]
    assert told[-1]["val_accuracy"] == pytest.approx(0.5)
    with pytest.raises(ApparelError, match="does not see"):
        on_ray.train_trial({"number": 0}, trials=MadeUp(tmp_path / "nowhere"))
