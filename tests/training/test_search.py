"""The order of trials and the time they take, with trainings made up."""

import pytest

from apparel.training.tuning import search
from apparel.training.tuning.search import Clock
from apparel.training.tuning.space import DEFAULT
from apparel.training.tuning.trial import Outcome
from tests.training.trials import POOR, Counting, MadeUp, log


def searched(folder, n_trials, seed=3, made_up=MadeUp):
    """Search; give numbers and parameters of the trials that began."""
    folder.mkdir(exist_ok=True)
    search.search(seed=seed, clock=Counting(folder, n_trials), trials=made_up(folder))
    return begun(folder)


def begun(folder):
    return [(number, parameters) for _, number, _, parameters, _ in log(folder, "begin")]


def test_a_search_begins_with_the_default_and_stops_poor_trials(tmp_path, capsys):
    found = searched(tmp_path, 10)
    assert [number for number, _ in found] == list(range(10))
    assert found[0][1] == dict(DEFAULT)
    assert len({parameters["learning_rate"] for _, parameters in found}) == 10
    steps = {number: steps for _, number, steps, *_ in log(tmp_path, "end")}
    assert {number for number, n_steps in steps.items() if n_steps < 4} == {POOR}
    assert steps[POOR] == 2  # after 10 % of its time, it is too early
    said = capsys.readouterr().err
    assert "trial 0: 10.00% on the validation images, trained to its end" in said
    assert "trial 3: 0.50% on the validation images, stopped early" in said
    assert searched(tmp_path / "other", 2, seed=0)[1] != found[1]


class Interrupted(MadeUp):
    """Trials of which the fifth is interrupted."""

    def run(self, number, parameters, report):
        def interrupt(percent, accuracy):
            if number == 4:
                raise KeyboardInterrupt
            return report(percent, accuracy)

        return super().run(number, parameters, interrupt)


def test_an_interrupted_search_resumes_as_if_it_had_not_been(tmp_path):
    whole = searched(tmp_path / "whole", 9)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "interrupted", 9, made_up=Interrupted)
    assert begun(tmp_path / "interrupted") == whole[:5]
    # The interrupted one begins again, and finished ones are not repeated.
    assert searched(tmp_path / "interrupted", 9) == [*whole[:5], *whole[4:]]
    ended = [
        [entry[:4] for entry in log(tmp_path / name, "end")] for name in ("whole", "interrupted")
    ]
    assert ended[0] == ended[1]
    assert len(searched(tmp_path / "interrupted", 9)) == 10  # nothing is left


class Slow(MadeUp):
    """Trials of which the second has no time to train."""

    def run(self, number, parameters, report):
        if number == 1:
            return Outcome(accuracy=None, stopped=True, directory=self.folder, why="slow")
        return super().run(number, parameters, report)


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(tmp_path, capsys):
    assert [number for number, _ in searched(tmp_path, 4, made_up=Slow)] == [0, 2, 3]
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
    assert not Clock(tmp_path, seconds=100.0, trial=10.0, trials=3).has_room(3)
