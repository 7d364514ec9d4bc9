"""`apparel tune`: what it refuses, what it leaves behind, and how it goes on."""

import csv
import json
import shlex
import sys
from unittest import mock

import pytest

import apparel
from apparel.cli import main, run, tune
from apparel.cli.arguments import parser, settings_of
from apparel.core.errors import ModelFileError
from apparel.core.records import Trial
from apparel.core.signals import Terminated
from apparel.runs import search_folder
from apparel.runs.files import read_history
from apparel.runs.run_directory import RunDirectory
from apparel.runs.search_folder import Asked, SearchFolder
from apparel.training import budget
from apparel.training.tuning.space import DEFAULT
from apparel.training.tuning.trial import Trials
from tests.conftest import run_command

OPTIONS = ["--limit", "300", "--budget", "50s", "--trials", "2", "--seed", "1"]


def asked(**changes):
    given = {"source": "fashion-mnist", "data_dir": None, "budget": 1800.0, "trials": None,
             "seed": 0, "limit": None, "ray": None}  # fmt: skip
    return Asked(**given | changes)


# -- what is refused ----------------------------------------------------------------------


def test_wrong_use_is_one_line(tmp_path):
    SearchFolder.create(tmp_path / "begun", asked()).update(networks={}, status="interrupted")
    for options, said in (
        ("--budget 1m", "a budget of 60 s leaves"),
        ("--trials 0", "--trials must be"),
        ("--run-dir begun", "not yet complete. Resume with: apparel resume begun"),
    ):
        done = run_command("tune", *options.split(), cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


@pytest.mark.parametrize(
    ("package", "options", "said"),
    [
        ("optuna", (), "apparel tune needs the package optuna, which is not installed"),
        ("ray", ("--ray",), "--ray needs the package ray"),
    ],
)
def test_a_missing_package_is_named_in_one_line(package, options, said, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    done = run_command("tune", *options, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


# -- the whole ----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_interrupted_search_is_finished_and_compares(tmp_path, monkeypatch):
    # Trials are so short that measuring the machine must take no time.
    monkeypatch.setattr(search_folder, "LEAST_TRIAL_SECONDS", 0.1)
    monkeypatch.setattr(budget, "images_per_second", lambda *_: 2000.0)
    monkeypatch.setattr(budget, "VALIDATION_START_SECONDS", 0.3)
    run_trial = Trials.run

    def interrupted(trials, number, parameters, report):
        if number == 1:
            raise KeyboardInterrupt
        return run_trial(trials, number, parameters, report)

    kept, history = set(), tmp_path / "s" / "trials" / "000" / "history.csv"
    # In its second trial; then in a full training.
    for command, place, ends, code, said in (
        (["tune", *OPTIONS, "--run-dir", "s"], (Trials, "run"), interrupted, 130, "interrupted"),
        (["resume", "s"], (run, "_after_training"), mock.Mock(side_effect=Terminated), 143,
         "terminated"),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(*place, ends)
            done = run_command(*command, cwd=tmp_path)
        assert done.returncode == code
        lines = done.stderr.splitlines()
        assert lines[-2:] == ["Resume with: apparel resume s", f"apparel: {said}"]
        assert sum("Resume with" in line for line in lines) == 1
        kept.add(history.read_bytes())
    done = run_command("resume", "s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {history.read_bytes()} == kept
    check_result(tmp_path / "s", done.stdout)
    assert run_command("resume", "s", cwd=tmp_path).returncode == 2


def check_result(folder, printed):
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "1"]
    assert (folder / "plots" / "trials.png").read_bytes().startswith(b"\x89PNG")
    ended = [row for row in rows if row["state"] == "complete"]
    best = max(ended, key=lambda row: float(row["val_accuracy"]))
    for row in rows:
        kept = json.loads((folder / row["directory"] / "settings.json").read_text())
        assert kept["settings"]["budget"] == 15.0
        assert kept["test_looks"] == 0  # the test images had no part in it
    assert json.loads((folder / "default" / "settings.json").read_text())["test_looks"] == 1
    assert f"  {float(best['val_accuracy']):.2%}  " in printed
    command = shlex.split(
        printed.split("To train with the best setting again:\n")[1].split("\n")[0]
    )
    wanted = settings_of(parser().parse_args(command[1:]))
    assert (wanted.budget, wanted.seed, wanted.limit) == (10.0, 1, 300)
    assert wanted.learning_rate == float(best["learning_rate"])
    if best["number"] == "0":
        assert "No trial was better than the default setting" in printed
        assert not (folder / "best").exists()
    else:
        assert "Both trained in full, A the default and B the best setting" in printed
        settings = RunDirectory.open(folder / "best").settings()["settings"]
        assert settings["learning_rate"] == wanted.learning_rate


def trial(number, accuracies, state="complete", **parameters):
    recipe = {"model_name": "cnn", "width": None, "learning_rate": 1e-3, "batch_size": 128,
              "label_smoothing": 0.0, "flip": False, "shift": 0, "erase": 0.0}  # fmt: skip
    return Trial(
        number=number, state=state, parameters=dict(DEFAULT) | parameters, recipe=recipe,
        accuracies=accuracies, seconds=(1.0,) * len(accuracies), directory=f"trials/{number:03d}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("trials", "trained"),
    [
        ((trial(0, (0.9,)), trial(1, (0.8,), learning_rate=2.0)), ["default"]),
        ((trial(0, (0.8,)), trial(1, (0.9,), learning_rate=2.0)), ["default", "best"]),
        ((trial(0, (0.8,)), trial(1, (0.9,), "stopped", learning_rate=2.0)), ["default"]),
    ],
)
def test_the_best_setting_and_the_default_are_trained_in_full(
    trials, trained, finished_run, tmp_path, monkeypatch, capfd
):
    done = []

    def complete(settings, path, **_):
        done.append((path.name, settings))
        path.symlink_to(finished_run[0])

    networks = {"planned": [["fast", 16], ["fast", 32]]}
    monkeypatch.setattr(tune, "_search", lambda folder, _: folder.update(networks=networks))
    monkeypatch.setattr(tune, "read_trials", lambda _: trials)
    monkeypatch.setattr(run, "complete", complete)
    found = apparel.tune(run_dir=tmp_path / "python")
    assert capfd.readouterr() == ("", "")
    assert main.main(["tune", "--run-dir", str(tmp_path / "command")]) == 0
    assert [name for name, _ in done] == trained * 2
    assert done[0][1] == asked().settings()
    printed = capfd.readouterr().out
    assert (found.folder, found.trials) == (tmp_path / "python", trials)
    assert ("No trial was better than the default" in printed) == (len(trained) == 1)
    assert (found.comparison is None) == (len(trained) == 1)
    if len(trained) == 2:
        assert found.settings == done[1][1]
        assert (done[1][1].width, done[1][1].learning_rate, done[1][1].budget) == (32, 0.2, 360)
        assert found.comparison.accuracy.share.value == 0
        assert "the best setting is level with the default" in printed
        history = read_history(
            finished_run[0], json.loads((finished_run[0] / "settings.json").read_text())
        )
        assert f"{history.history['val_accuracy'][-1]:.2%}" in printed


def test_where_no_trial_came_to_its_end_it_is_said(tmp_path):
    folder = SearchFolder.create(tmp_path / "s", asked())
    folder.update(networks={})
    with pytest.raises(ModelFileError, match="was trained to its end"):
        tune._train_in_full(folder, asked(), (trial(0, (0.9,), "stopped"),))


def test_a_search_folder_is_no_run(tmp_path):
    SearchFolder.create(tmp_path / "s", asked()).update(networks={})
    done = run_command("report", "s", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    done = run_command("run", "--run-dir", "s", "--overwrite", cwd=tmp_path)
    assert (done.returncode, "is no run directory" in done.stderr) == (2, True)
