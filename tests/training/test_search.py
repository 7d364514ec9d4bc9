"""The order of trials and the time they take, with trainings made up."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from apparel.training.tuning import search
from apparel.training.tuning.search import Clock
from apparel.training.tuning.space import CNN, DEFAULT, NARROWER, PLANNED
from apparel.training.tuning.trial import Outcome

NETWORKS = dict.fromkeys((PLANNED, NARROWER, CNN))


@dataclass
class MadeUp:
    """Trainings that take no time, and are best at 1.5 times the learning rate of the recipe."""

    folder: Path
    networks: dict = field(default_factory=lambda: NETWORKS)
    begun: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    interrupt: int | None = None
    fails: tuple = ()

    def run(self, number, parameters, report):
        self.begun.append((number, parameters))
        final = 0.9 - 0.1 * abs(np.log(parameters["learning_rate"] / 1.5))
        if number in self.fails:
            return Outcome(accuracy=None, stopped=True, directory=self.folder, why="slow")
        for percent in (10, 30, 60):
            if not report(percent, final * percent / 100):
                self.ended.append((number, parameters, percent))
                return Outcome(accuracy=final * percent / 100, stopped=True, directory=self.folder)
            if number == self.interrupt:
                raise KeyboardInterrupt
        self.ended.append((number, parameters, 100))
        return Outcome(accuracy=final, stopped=False, directory=self.folder)


def clock(folder, trials):
    return Clock(folder, seconds=1000.0, trial=1.0, trials=trials)


def searched(folder, trials=20, seed=3, **options):
    made_up = MadeUp(folder, **options)
    search.search(seed=seed, clock=clock(folder, trials), trials=made_up)
    return made_up


def test_a_search_begins_with_the_default_and_stops_poor_trials(tmp_path, capsys):
    made_up = searched(tmp_path)
    assert [number for number, _ in made_up.begun] == list(range(20))
    (tmp_path / "other").mkdir()
    assert searched(tmp_path / "other", trials=2, seed=0).begun[1] != made_up.begun[1]
    assert made_up.begun[0][1] == dict(DEFAULT)
    assert len({parameters["learning_rate"] for _, parameters in made_up.begun}) == 20
    stopped = [(n, p["learning_rate"]) for n, p, percent in made_up.ended if percent < 100]
    complete = [p["learning_rate"] for _, p, percent in made_up.ended if percent == 100]
    assert 5 <= len(stopped) < 20
    assert all(percent in (30, 60, 100) for _, _, percent in made_up.ended)  # 10 is too early

    def mean_distance(rates):
        return np.mean([abs(np.log(rate / 1.5)) for rate in rates])

    assert mean_distance(complete) < mean_distance([rate for _, rate in stopped])
    # Half of those that reach a rung go on, so that what is stopped there is below the median.
    assert "trial 0: 85.95% on the validation images, trained to its end" in capsys.readouterr().err


def test_an_interrupted_search_resumes_as_if_it_had_not_been(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "interrupted").mkdir()
    whole = searched(tmp_path / "whole", trials=9)
    interrupted = MadeUp(tmp_path / "interrupted", interrupt=4)
    with pytest.raises(KeyboardInterrupt):
        search.search(seed=3, clock=clock(interrupted.folder, 9), trials=interrupted)
    rest = searched(tmp_path / "interrupted", trials=9)
    assert interrupted.begun[-1] == rest.begun[0]  # the one that was interrupted
    assert [number for number, _ in rest.begun] == [4, 5, 6, 7, 8]  # finished ones are not repeated
    assert interrupted.begun[:-1] + rest.begun == whole.begun
    assert interrupted.ended + rest.ended == whole.ended
    assert searched(tmp_path / "interrupted", trials=9).begun == []


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(tmp_path, capsys):
    assert len(searched(tmp_path, trials=4, fails=(1,)).begun) == 4
    assert "trial 1: not trained, since slow" in capsys.readouterr().err


def test_the_time_of_earlier_processes_counts(tmp_path, monkeypatch):
    now = [50.0]
    monkeypatch.setattr(search.time, "monotonic", lambda: now[0])

    def new():
        return Clock(tmp_path, seconds=100.0, trial=10.0, trials=None)

    first = new()
    assert first.has_room(0)
    assert first.tick() == 0
    now[0] += 60
    assert first.tick() == 60
    now[0] = 7.0  # another process
    second = new()
    assert second.tick() == 60
    now[0] += 35
    assert second.has_room(3)  # half a trial's time is left
    now[0] += 0.1
    assert not second.has_room(3)
    assert second.has_room(0)  # one trial there is always
