"""The search space, the order of trials, and what is kept of them, with trainings made up."""

import csv
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from apparel.cli.arguments import parser, settings_of
from apparel.core.errors import ModelFileError
from apparel.core.recipes import recipe_of
from apparel.core.records import Trial, best_trial
from apparel.core.settings import Plan, Settings, run_command
from apparel.reporting.plots import trials_figure
from apparel.reporting.text import trial_table, validation_verdict
from apparel.runs.search_folder import read_trials, write_trials
from apparel.training import tuning
from apparel.training.tuning import searching
from apparel.training.tuning.space import CNN, LADDER, NARROWER, PLANNED, WIDER, trial_settings


def plan(name, width, passes):
    return Plan(
        model_name=name, width=width, images_per_second=1, passes=passes, seconds=1,
        validation_seconds=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("short", "long", "passes", "expected"),
    [
        (("fast", 32), ("fast", 64), 9, {NARROWER: (16, 32), PLANNED: (32, 64), WIDER: (64, 96)}),
        (("fast", 16), ("fast", 32), 2.9, {PLANNED: (16, 32)}),
        (("fast", 16), ("fast", 32), 9, {PLANNED: (16, 32), WIDER: (32, 64)}),
        (("best", 96), ("best", 96), 99,
         {NARROWER: (64, 64), PLANNED: (96, 96), WIDER: (128, 128)}),
    ],
)  # fmt: skip
def test_networks_are_steps_from_what_a_budget_plans(short, long, passes, expected):
    found = dict(tuning.networks(plan(*short, passes), plan(*long, 4 * passes)))
    assert found.pop(CNN) == (("cnn", None), ("cnn", None))
    assert {name: (a[1], b[1]) for name, (a, b) in found.items()} == expected
    assert all(network in LADDER for pair in found.values() for network in pair)


def test_a_wider_network_needs_two_passes_in_the_time_of_a_trial():
    # Above `fast`'s own width, the time of an image grows with the width to the power of 1.7.
    enough = 2 * 2**1.7
    for passes, is_there in ((0.99 * enough, False), (1.01 * enough, True)):
        found = tuning.networks(plan("fast", 32, passes), plan("fast", 64, 50))
        assert (WIDER in found) == is_there


class First:
    """Chooses the first of each choice, and the lowest number."""

    def suggest_categorical(self, name, choices):
        return choices[0]

    def suggest_float(self, name, low, high, *, step=None, log=False):
        return low


def test_what_cnn_is_trained_without_is_not_chosen_for_it():
    assert set(tuning.suggest(First(), [CNN, PLANNED])) == {
        "network",
        "learning_rate",
        "batch_size",
    }
    assert set(tuning.suggest(First(), [PLANNED])) == set(tuning.DEFAULT)


NETWORKS = {
    PLANNED: (("fast", 32), ("fast", 64)),
    NARROWER: (("fast", 16), ("fast", 32)),
    CNN: (("cnn", None), ("cnn", None)),
}
BASE = Settings(budget=9.0, seed=5, limit=100)


def test_the_first_trial_is_the_default_setting():
    settings = trial_settings(tuning.DEFAULT, NETWORKS, BASE)
    default = Settings(model_name="fast", width=32, budget=9.0, seed=5, limit=100)
    for passes in (1, 9, 20):
        bought = plan("fast", 32, passes)
        assert recipe_of(settings, bought) == recipe_of(default, bought)


def test_a_full_training_takes_the_same_steps_from_its_own_plan():
    chosen = {"network": NARROWER, "learning_rate": 1.23456, "batch_size": 0.5,
              "label_smoothing": 0.06, "flip": False, "shift": 2, "erase": None}  # fmt: skip
    short = trial_settings(chosen, NETWORKS, BASE)
    full = tuning.full_settings(chosen, NETWORKS, Settings(budget=99.0, seed=5))
    assert (short.width, full.width) == (16, 32)
    assert (short.budget, full.budget, full.limit) == (9.0, 99.0, None)
    for settings in (short, full):
        assert (settings.learning_rate, settings.batch_size) == (0.123, 256)
        assert (settings.label_smoothing, settings.flip) == (0.06, False)
        assert (settings.shift, settings.erase) == (2, None)


# -- the search ---------------------------------------------------------------------------


@dataclass
class MadeUp:
    """Trainings that take no time: the better, the closer the step size is to 1.5 times its own."""

    folder: Path
    networks: dict = field(default_factory=lambda: NETWORKS)
    begun: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    break_off: int | None = None
    fails: tuple = ()

    def run(self, number, parameters, report):
        self.begun.append((number, parameters))
        final = 0.9 - 0.1 * abs(np.log(parameters["learning_rate"] / 1.5))
        if number in self.fails:
            return tuning.Outcome(accuracy=None, stopped=True, directory=self.folder, why="slow")
        for percent in (10, 30, 60):
            if not report(percent, final * percent / 100):
                self.ended.append((number, parameters, percent))
                return tuning.Outcome(
                    accuracy=final * percent / 100, stopped=True, directory=self.folder
                )
            if number == self.break_off:
                raise KeyboardInterrupt
        self.ended.append((number, parameters, 100))
        return tuning.Outcome(accuracy=final, stopped=False, directory=self.folder)


def clock(folder, trials):
    return tuning.Clock(folder, seconds=1000.0, trial=1.0, trials=trials)


def searched(folder, trials=20, **options):
    made_up = MadeUp(folder, **options)
    tuning.search(seed=3, clock=clock(folder, trials), trials=made_up)
    return made_up


def test_a_search_begins_with_the_default_and_stops_poor_trials(tmp_path, capsys):
    made_up = searched(tmp_path)
    assert [number for number, _ in made_up.begun] == list(range(20))
    assert made_up.begun[0][1] == dict(tuning.DEFAULT)
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


def test_a_search_that_was_broken_off_goes_on_as_if_it_had_not_been(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = searched(tmp_path / "whole", trials=9)
    broken = MadeUp(tmp_path / "broken", break_off=4)
    with pytest.raises(KeyboardInterrupt):
        tuning.search(seed=3, clock=clock(broken.folder, 9), trials=broken)
    rest = searched(tmp_path / "broken", trials=9)
    assert broken.begun[-1] == rest.begun[0]  # the one that was broken off
    assert [number for number, _ in rest.begun] == [4, 5, 6, 7, 8]  # finished ones are not repeated
    assert broken.begun[:-1] + rest.begun == whole.begun
    assert broken.ended + rest.ended == whole.ended
    assert searched(tmp_path / "broken", trials=9).begun == []


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(tmp_path, capsys):
    assert len(searched(tmp_path, trials=4, fails=(1,)).begun) == 4
    assert "trial 1: not trained, since slow" in capsys.readouterr().err


def test_another_seed_chooses_otherwise(tmp_path):
    found = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        made_up = MadeUp(tmp_path / str(seed))
        tuning.search(seed=seed, clock=clock(made_up.folder, 3), trials=made_up)
        found.append(made_up.begun[1:])
    assert found[0] != found[1]


def test_the_record_of_a_search_is_lines_of_json(tmp_path):
    searched(tmp_path, trials=3)
    lines = (tmp_path / searching.JOURNAL).read_text(encoding="utf-8").splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_the_time_of_earlier_processes_counts(tmp_path, monkeypatch):
    now = [50.0]
    monkeypatch.setattr(searching.time, "monotonic", lambda: now[0])

    def new():
        return tuning.Clock(tmp_path, seconds=100.0, trial=10.0, trials=None)

    first = new()
    assert first.has_room(0)
    assert first.tick() == 0
    now[0] += 60
    assert first.tick() == 60
    now[0] += 1000  # nobody is at work
    second = new()
    assert second.tick() == 60
    now[0] += 35
    assert second.has_room(3)  # half a trial's time is left
    now[0] += 0.1
    assert not second.has_room(3)
    assert second.has_room(0)  # one trial there is always


def test_a_clock_of_another_process_begins_with_what_is_written_down(tmp_path, monkeypatch):
    now = [50.0]
    monkeypatch.setattr(searching.time, "monotonic", lambda: now[0])
    first = tuning.Clock(tmp_path, seconds=100.0, trial=10.0, trials=None)
    first.tick()
    now[0] += 30
    first.tick()
    now[0] = 7.0  # another process
    second = tuning.Clock(tmp_path, seconds=100.0, trial=10.0, trials=None)
    assert second.tick() == 30


# -- what is kept of trials ---------------------------------------------------------------


def trial(number, state, accuracies, **recipe):
    shown = {"model_name": "fast", "width": 32, "learning_rate": 0.1, "batch_size": 512,
             "label_smoothing": 0.1, "flip": True, "shift": 0, "erase": 0.0}  # fmt: skip
    return Trial(
        number=number, state=state, parameters={"network": PLANNED}, recipe=shown | recipe,
        accuracies=tuple(accuracies), seconds=(2.5,) * len(accuracies),
        directory=f"trials/{number:03d}",
    )  # fmt: skip


TRIALS = (
    trial(0, "complete", (0.5, 0.8)),
    trial(1, "stopped", (0.9,), width=64),
    trial(2, "complete", (0.6, 0.85), model_name="cnn", width=None, flip=False),
    trial(3, "complete", (0.7, 0.85), erase=0.5),
    trial(4, "interrupted", ()),
)


def test_the_best_trial_came_to_its_end():
    assert best_trial(TRIALS).number == 2
    assert best_trial(TRIALS[:1]).number == 0
    assert best_trial(TRIALS[1:2]) is None


def test_the_table_shows_the_best_first():
    header, *rows = trial_table(TRIALS).splitlines()
    assert [row.split()[0] for row in rows] == ["2", "3", "0", "1", "4"]
    assert rows[0].split() == [
        "2",
        "85.00%",
        "cnn",
        "-",
        "0.1",
        "512",
        "0.1",
        "no",
        "0",
        "0",
        "2",
        "5",
    ]
    assert rows[2].split()[-1] == "default"
    assert rows[3].split()[-1] == "stopped"
    assert rows[4].split()[1] == "-"
    end = header.index("seconds") + len("seconds")
    assert all(row[:end].rstrip() == row[:end] for row in rows)  # right-justified


def test_rows_hold_what_was_trained(tmp_path):
    write_trials(tmp_path, TRIALS)
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {
        "number": "2", "state": "complete", "model_name": "cnn", "width": "",
        "learning_rate": "0.1", "batch_size": "512", "label_smoothing": "0.1", "flip": "False",
        "shift": "0", "erase": "0.0", "val_accuracy": "0.85", "seconds": "5.0", "epochs": "2",
        "directory": "trials/002",
    }  # fmt: skip


def test_the_picture_has_a_line_for_each_trial():
    (ax,) = trials_figure(TRIALS).axes
    lines = {tuple(line.get_ydata()): line for line in ax.get_lines()}
    assert set(lines) == {t.accuracies for t in TRIALS if t.accuracies}
    assert list(ax.get_lines()[0].get_xdata()) == [2.5, 5.0]
    legend = [entry.get_text() for entry in ax.get_legend().get_texts()]
    assert sorted(legend) == ["best", "complete", "default setting", "stopped early"]
    assert ax.get_title() == "4 trials, 3 of them complete; best: 85.0 %"
    (empty,) = trials_figure(()).axes
    assert [text.get_text() for text in empty.texts] == ["no data"]


@pytest.mark.parametrize(
    ("best", "default", "said"),
    [(0.92, 0.91, "is ahead: best setting 92.00%, default 91.00% on the 6,000"),
     (0.91, 0.91, "is level with the default"),
     (0.90, 0.91, "did not find a better setting than the default: best setting 90.00%")],
)  # fmt: skip
def test_it_is_said_whether_the_default_was_beaten(best, default, said):
    assert said in validation_verdict(best, default, 6000)


def test_the_command_that_is_shown_trains_with_these_settings():
    chosen = {"network": PLANNED, "learning_rate": 0.777, "batch_size": 2.0,
              "label_smoothing": 0.02, "flip": False, "shift": 0, "erase": 0.25}  # fmt: skip
    settings = tuning.full_settings(chosen, NETWORKS, Settings(budget=12.5, seed=4, limit=9))
    line = run_command(settings, source="my images", data_dir="/d")
    parsed = parser().parse_args(shlex.split(line)[1:])
    assert (parsed.command, parsed.data, str(parsed.data_dir)) == ("run", "my images", "/d")
    assert settings_of(parsed) == settings


def test_a_file_that_describes_no_trial_is_said_to_be_so(tmp_path):
    folder = tmp_path / "trials" / "000"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"status": "complete", "recipe": {}}')
    with pytest.raises(ModelFileError, match="holds no trial of a search"):
        read_trials(tmp_path)
    (folder / "settings.json").write_text('{"status": "running"}')
    assert read_trials(tmp_path) == ()  # claimed, not yet begun
