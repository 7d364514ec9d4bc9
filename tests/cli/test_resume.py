"""Runs that are interrupted, and resumed: in this process, then killed for real."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
from benchmarks.torture.kills import result

from apparel.classifier import ApparelClassifier
from apparel.cli.arguments import parser
from apparel.core.errors import DataError, ModelFileError, UsageError
from apparel.data import loading
from apparel.runs import checkpoints
from apparel.runs.run_directory import RunDirectory
from tests.conftest import run_command

PAGE = (Path(__file__).parents[2] / "docs" / "resume.md").read_text(encoding="utf-8")
# Each with a file that tells that training is well under way: of a run, in its second epoch.
RUN = ("run --limit 600 --epochs 4 --seed 3 --batch-size 32 --checkpoint-every 0.1s",
       "checkpoints/0000000[2-9]*.safetensors")  # fmt: skip
TUNE = ("tune --limit 300 --budget 200s", "trials/000/history.csv")


# -- in this process ------------------------------------------------------------------------


def kill_after_first_checkpoint():
    """End a training within this process, once an epoch's checkpoint is written."""
    save = checkpoints.CheckpointFolder.save

    def last(self, checkpoint):
        save(self, checkpoint)
        if checkpoint.step:
            raise MemoryError

    return mock.patch.object(checkpoints.CheckpointFolder, "save", last)


@pytest.fixture
def begun(digits_file, tmp_path, monkeypatch):
    """A run that ended as its training was to begin."""
    with monkeypatch.context() as patch:
        patch.setattr("apparel.training.fit.fit", mock.Mock(side_effect=MemoryError))
        done = run_command("run", "--data", digits_file, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 1
    return tmp_path / "run"


def digest(folder):
    return json.loads((folder / "settings.json").read_text())["weights_sha256"]


def test_an_interrupted_training_ends_as_if_nothing_had_happened(digits_file, tmp_path):
    images, labels = np.load(digits_file)["x_train"], np.load(digits_file)["y_train"]
    arrays = ((images[:200], labels[:200]), (images[200:], labels[200:]))

    def begin(folder):
        made = ApparelClassifier(run_dir=folder, epochs=2, dtype="float32", batch_size=50)
        return made.import_data(arrays).prepare_data().create_model().setup_model()

    begin(tmp_path / "whole").run_training()
    with kill_after_first_checkpoint(), pytest.raises(MemoryError):
        begin(tmp_path / "run").run_training()
    with pytest.raises(UsageError, match="was trained on arrays, which are not kept"):
        ApparelClassifier.resume(tmp_path / "run")
    with pytest.raises(DataError, match="these are not the images this run was trained on"):
        ApparelClassifier.resume(tmp_path / "run", source=arrays[::-1])
    resumed = ApparelClassifier.resume(tmp_path / "run", source=arrays)
    assert resumed.training_logs.epochs == 2
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_resume_takes_the_steps_that_are_left(begun, tmp_path, untrained, monkeypatch):
    steps = []
    monkeypatch.setattr("apparel.cli.run._after_training", lambda *asked: steps.append(asked[1:]))
    done = run_command("resume", "run", "--data-dir", "d", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    ((directory, data_dir, save_path),) = steps
    assert (directory.path, data_dir, save_path) == (Path("run"), Path("d"), None)
    assert json.loads((begun / "settings.json").read_text())["status"] == "complete"
    again = run_command("resume", "run", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "apparel: the run run is complete. Nothing is left to do.\n"


def test_a_run_that_ended_before_it_trained_begins(digits_file, begun, tmp_path, untrained):
    record = json.loads((begun / "settings.json").read_text())
    first = {name: record[name] for name in ("settings", "source", "data_dir", "save")}
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "settings.json").write_text(json.dumps({"status": "running", **first}))
    classifier = ApparelClassifier.resume(tmp_path / "early")
    assert classifier.training_logs is untrained[0]


def test_images_that_were_put_in_by_hand_are_not_mistaken_for_others(
    digits_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("apparel.training.fit.fit", mock.Mock(side_effect=MemoryError))
    classifier = ApparelClassifier(run_dir=tmp_path / "run")
    classifier.import_data(digits_file).prepare_data().create_model().setup_model()
    classifier.train_images = 1 - classifier.train_images
    with pytest.raises(MemoryError):
        classifier.run_training()
    with pytest.raises(ModelFileError, match="does not say what the run was to do"):
        ApparelClassifier.resume(tmp_path / "run")


def test_a_run_that_an_older_version_began_is_refused_and_left_alone(begun, tmp_path):
    record = json.loads((begun / "settings.json").read_text())
    del record["settings"]["split_seed"]
    (begun / "settings.json").write_text(json.dumps(record))
    before = {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
    done = run_command("resume", "run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "apparel: the run run was begun by an older version of apparel, which drew other splits. "
        "Train again.\n"
    )
    assert {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()} == before


def test_a_run_that_another_process_has_completed_meanwhile_is_left_alone(begun):
    directory = RunDirectory.resume(begun)
    record = json.loads((begun / "settings.json").read_text())
    (begun / "settings.json").write_text(json.dumps({**record, "status": "complete"}))
    before = {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"is complete\. Nothing is left to do"):
        ApparelClassifier.resume(directory)
    assert {path: path.read_bytes() for path in before} == before


def test_a_search_or_a_set_of_seeds_is_resumed_as_such(tmp_path, monkeypatch):
    resumed = []
    for name, file in (("tune", "tune.json"), ("seeds", "seeds.json"), ("run", "settings.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
        monkeypatch.setattr(
            f"apparel.cli.{name}.resume",
            lambda path, *, source, data_dir, address, name=name: resumed.append(
                (name, path, source, data_dir, address)
            ),
        )
        arguments = ("resume", name, "--data", "photos", "--ray", "here:1")
        assert run_command(*arguments, cwd=tmp_path).returncode == 0
    assert resumed == [
        (name, Path(name), "photos", None, "here:1") for name in ("tune", "seeds", "run")
    ]


# -- in processes of their own, killed or told to end -------------------------------------------


def begin(folder: Path, options: str, sign: str) -> subprocess.Popen[str]:
    """Start a command, and wait for a file that it makes."""
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that. Measuring a
    # busy machine would take all of a trial's time.
    code = (
        "import signal, sys; from apparel.cli.main import main\n"
        "from apparel.training import budget; budget.images_per_second = lambda *_: 2000.0\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options.split(), "--run-dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 600
    while not any(folder.glob(sign)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The same run without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_command(*RUN[0].split(), "--run-dir", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "run" / "checkpoints").exists()
    return folder / "run"


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed within an epoch, after another process had tried to resume it."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    process = begin(folder, *RUN)
    second = run_command("resume", "run", cwd=folder.parent)
    process.kill()
    process.communicate()
    assert second.returncode == 1
    assert second.stderr.endswith(
        "apparel: another process is at work in run. Wait until it ends, or end it.\n"
    )
    return folder


@pytest.fixture
def broken_off(killed, tmp_path):
    return Path(shutil.copytree(killed, tmp_path / "run"))


@pytest.mark.slow
def test_a_killed_run_ends_as_if_nothing_had_happened(expected, broken_off, tmp_path):
    (broken_off / ".model-abc.partial").mkdir()
    (broken_off / ".model-abc.partial" / "model.onnx").write_bytes(b"half")
    done = run_command("resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Resuming after " in done.stdout
    assert result(broken_off) == result(expected)
    files = {str(p.relative_to(broken_off)) for p in broken_off.rglob("*") if p.is_file()}
    assert files == {str(p.relative_to(expected)) for p in expected.rglob("*") if p.is_file()}
    assert f"SHA-256 of the weights  {digest(broken_off)}" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", [RUN, TUNE], ids=["run", "tune"])
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_command_that_is_told_to_end_says_so_and_how_to_go_on(
    tmp_path, request, command, number, code, word
):
    folder = tmp_path / "run"
    process = begin(folder, *command)
    process.send_signal(number)
    stderr = process.communicate(timeout=600)[1]
    assert process.returncode == code, stderr
    last = [f"Resume with: apparel resume {folder}", f"apparel: {word}"]
    assert stderr.splitlines()[-2:] == last
    if command is TUNE:
        trial = json.loads((folder / "trials" / "000" / "settings.json").read_text())
        assert trial["status"] in {"interrupted", "complete"}
        return
    assert json.loads((folder / "settings.json").read_text())["status"] == "interrupted"
    assert not (folder / "metrics.json").exists()
    if number == signal.SIGINT:  # what was trained is kept
        model, dataset = keras.models.load_model(folder / "model.keras"), loading.load(limit=600)
        predicted = model.predict(dataset.test_images / np.float32(255), verbose=0).argmax(axis=1)
        assert (predicted == dataset.test_labels).mean() > 0.3  # far above chance, a tenth
    assert run_command("resume", "run", cwd=tmp_path).returncode == 0
    assert result(folder) == result(request.getfixturevalue("expected"))


@pytest.mark.slow
def test_the_examples_of_the_page(expected, killed, tmp_path):
    shell, python = (
        re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("sh", "python")
    )
    run, _, resume = shell.splitlines()
    for line in (run, resume):
        program, *arguments = line.split()
        assert program == "apparel"
        assert "runs/coats" in arguments
        parser().parse_args(arguments)
    shutil.copytree(killed, tmp_path / "runs" / "coats")
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Accuracy" in done.stdout
    copy = tmp_path / "runs" / "coats"
    assert digest(copy) == digest(expected)
    assert (copy / "metrics.json").read_text() == (expected / "metrics.json").read_text()
