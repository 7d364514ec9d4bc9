"""`apparel tune`: what it refuses, what it leaves behind, and how it goes on."""

import csv
import json
import shlex
import signal
import subprocess
import sys
import time

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


@pytest.fixture
def quick(monkeypatch):
    """Trials may be so short that measuring the machine must take no time."""
    monkeypatch.setattr(search_folder, "LEAST_TRIAL_SECONDS", 0.1)
    monkeypatch.setattr(budget, "MEASURING_SECONDS", 0.0)
    monkeypatch.setattr(budget, "VALIDATION_START_SECONDS", 0.3)


# -- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--budget", "1m"], 2, "a budget of 60 s leaves"),
        (["--trials", "0"], 2, "--trials must be"),
        (["--data", "nowhere"], 2, "nowhere"),
        (["--run-dir", "/proc/x"], 2, "/proc/x cannot be written"),
        (["--run-dir", "full"], 2, "the folder full is not empty"),
        (["--run-dir", "full/file"], 2, "full/file is a file"),
        (["--run-dir", "done"], 2, "the folder done is not empty. Name another"),
        (["--run-dir", "begun"], 2, "not yet complete. Resume with: apparel resume begun"),
    ],
)
def test_wrong_use_is_one_line(options, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    for name, status in (("done", "complete"), ("begun", "interrupted")):
        SearchFolder.create(tmp_path / name, asked()).update(networks={}, status=status)
    assert main.main(["tune", *options]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_without_optuna_one_line_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.chdir(tmp_path)
    assert main.main(["tune"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "apparel tune needs the package optuna, which is not installed" in line
    assert not (tmp_path / "runs").exists()


def test_without_ray_one_line_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.chdir(tmp_path)
    assert main.main(["tune", "--ray"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--ray needs the package ray" in line
    assert not (tmp_path / "runs").exists()


# -- the whole ----------------------------------------------------------------------------


@pytest.fixture
def broken_off(tmp_path, monkeypatch, quick, capsys):
    """A search that was interrupted in its second trial, and terminated in a full training."""
    monkeypatch.chdir(tmp_path)
    run = Trials.run

    def interrupted(trials, number, parameters, report):
        if number == 1:
            raise KeyboardInterrupt
        return run(trials, number, parameters, report)

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "run", interrupted)
        assert main.main(["tune", *OPTIONS, "--run-dir", "s"]) == 130
    error = capsys.readouterr().err
    assert error.splitlines()[-2:] == ["Resume with: apparel resume s", "apparel: interrupted"]
    return tmp_path / "s"


@pytest.mark.slow
def test_an_interrupted_search_is_finished_and_compares(broken_off, monkeypatch, capsys):
    assert json.loads((broken_off / "tune.json").read_text())["status"] == "interrupted"
    first = (broken_off / "trials" / "000" / "history.csv").read_bytes()
    train_steps = run._after_training

    def terminated(*arguments):
        raise Terminated

    with monkeypatch.context() as patch:
        patch.setattr(run, "_after_training", terminated)
        assert main.main(["resume", "s"]) == 143
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["Resume with: apparel resume s", "apparel: terminated"]
    assert sum("Resume with" in line for line in lines) == 1
    assert run._after_training is train_steps
    assert main.main(["resume", "s"]) == 0
    printed = capsys.readouterr()
    assert "epoch 1 " not in printed.err.split("trial 1")[0]
    assert (broken_off / "trials" / "000" / "history.csv").read_bytes() == first
    check_result(broken_off, printed.out)
    assert main.main(["resume", "s"]) == 2
    assert "s is complete. Nothing is left to do" in capsys.readouterr().err


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
    trials, trained, finished_run, tmp_path, monkeypatch, capsys
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
    assert capsys.readouterr().out == ""
    assert main.main(["tune", "--run-dir", str(tmp_path / "command")]) == 0
    assert [name for name, _ in done] == trained * 2
    assert done[0][1] == asked().settings()
    printed = capsys.readouterr().out
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


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_as_it_does_others(number, code, tmp_path):
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
    script = (
        "import signal, sys; from apparel.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "tune", "--limit", "300", "--budget", "200s",
         "--run-dir", "s"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 600
            while not (tmp_path / "s" / "trials" / "000" / "history.csv").exists():
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(number)
            _, error = process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode == code, error
    assert "Resume with: apparel resume s" in error
    state = json.loads((tmp_path / "s" / "trials" / "000" / "settings.json").read_text())["status"]
    assert state in {"interrupted", "complete"}


def test_a_search_folder_is_no_run(tmp_path):
    SearchFolder.create(tmp_path / "s", asked()).update(networks={})
    done = run_command("report", "s", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    done = run_command("run", "--run-dir", "s", "--overwrite", cwd=tmp_path)
    assert (done.returncode, "is no run directory" in done.stderr) == (2, True)
