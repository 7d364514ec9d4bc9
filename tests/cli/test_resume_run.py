"""`apparel run`, killed and resumed, by real commands on real data."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from benchmarks.torture.kills import result

from apparel.classifier import ApparelClassifier
from apparel.cli.arguments import parser
from apparel.core.errors import ApparelError, DataError, ModelFileError, UsageError
from apparel.models import architectures
from apparel.runs import checkpoints
from apparel.runs.run_directory import RunDirectory
from tests.conftest import run_command

PAGE = (Path(__file__).parents[2] / "docs" / "resume.md").read_text(encoding="utf-8")
OPTIONS = ["--limit", "600", "--epochs", "4", "--seed", "3", "--batch-size", "32",
           "--checkpoint-every", "0.1s"]  # fmt: skip


def begin(folder: Path) -> subprocess.Popen[str]:
    """Start a run, and wait until it has trained for some steps of its second epoch."""
    process = subprocess.Popen(
        [sys.executable, "-m", "apparel", "run", *OPTIONS, "--run-dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while max((step(path) for path in (folder / "checkpoints").glob("*.safe*")), default=0) < 20:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def step(path: Path) -> int:
    return int(path.name[:9])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the run says if nobody kills it."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_command("run", *OPTIONS, "--run-dir", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "run" / "checkpoints").exists()
    return folder / "run", done


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed within an epoch."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    process = begin(folder)
    process.kill()
    process.wait()
    process.stderr.close()
    return folder


@pytest.fixture
def broken_off(killed, tmp_path):
    return Path(shutil.copytree(killed, tmp_path / "run"))


def test_a_killed_run_ends_as_if_nothing_had_happened(expected, broken_off, tmp_path):
    (broken_off / ".model-abc.partial").mkdir()
    (broken_off / ".model-abc.partial" / "model.onnx").write_bytes(b"half")
    done = run_command("resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Resuming after " in done.stdout
    assert result(broken_off) == result(expected[0])
    files = {str(p.relative_to(broken_off)) for p in broken_off.rglob("*") if p.is_file()}
    assert files == {str(p.relative_to(expected[0])) for p in expected[0].rglob("*") if p.is_file()}
    digest = json.loads((broken_off / "settings.json").read_text())["weights_sha256"]
    assert f"SHA-256 of the weights  {digest}" in done.stdout
    again = run_command("resume", "run", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "apparel: the run run is complete. Nothing is left to do.\n"


def test_running_again_says_how_to_go_on(broken_off, tmp_path):
    refused = run_command("run", *OPTIONS, "--run-dir", "run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "run holds a run not yet complete. Resume with: apparel resume run." in refused.stderr
    looked = run_command("report", "run", cwd=tmp_path)
    assert looked.returncode == 4
    assert len(looked.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_run_that_is_told_to_end_says_so_and_how_to_go_on(tmp_path, expected, number, code, word):
    folder = tmp_path / "run"
    process = begin(folder)
    process.send_signal(number)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert stderr.splitlines()[-2:] == [
        f"Resume with: apparel resume {folder}",
        f"apparel: {word}",
    ]
    assert json.loads((folder / "settings.json").read_text())["status"] == "interrupted"
    done = run_command("resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert result(folder) == result(expected[0])


def test_two_processes_never_work_on_one_run(tmp_path):
    process = begin(tmp_path / "run")
    second = run_command("resume", "run", cwd=tmp_path)
    process.kill()
    process.communicate()
    assert second.returncode == 1
    assert second.stderr.endswith(
        "apparel: another process is at work in run. Wait until it ends, or end it.\n"
    )


def test_a_run_that_was_killed_before_it_trained_begins(tmp_path, expected):
    folder = tmp_path / "run"
    record = json.loads((expected[0] / "settings.json").read_text())
    folder.mkdir()
    first = {name: record[name] for name in ("settings", "source", "data_dir", "save")}
    (folder / "settings.json").write_text(json.dumps({"status": "running", **first}))
    done = run_command("resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert result(folder) == result(expected[0])


def test_the_class_goes_on_as_well(expected, broken_off, capsys):
    classifier = ApparelClassifier.resume(broken_off)
    record = json.loads((expected[0] / "settings.json").read_text())
    assert architectures.weights_sha256(classifier.model) == record["weights_sha256"]
    assert classifier.training_logs.epochs == 4
    classifier.test_model()
    metrics = (broken_off / "metrics.json").read_text()
    assert metrics == (expected[0] / "metrics.json").read_text()


def test_the_examples_of_the_page(killed, tmp_path):
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


def test_other_images_are_refused(broken_off):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (700, 28, 28), dtype=np.uint8)
    labels = np.arange(700) % 10
    before = sorted(path.name for path in (broken_off / "checkpoints").iterdir())
    with pytest.raises(DataError, match="these are not the images this run was trained on"):
        ApparelClassifier.resume(broken_off, source=((images, labels), (images[::-1], labels)))
    assert sorted(path.name for path in (broken_off / "checkpoints").iterdir()) == before


def test_arrays_must_be_given_again(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (400, 28, 28), dtype=np.uint8)
    labels = np.arange(400) % 4
    arrays = ((images[:300], labels[:300]), (images[300:], labels[300:]))

    def classifier(folder):
        made = ApparelClassifier(run_dir=folder, epochs=2, dtype="float32", batch_size=50)
        return made.import_data(arrays).prepare_data().create_model().setup_model()

    whole = classifier(tmp_path / "whole")
    whole.run_training()
    broken = classifier(tmp_path / "run")
    kill_after(broken)
    with pytest.raises(UsageError, match=r"was trained on arrays, which are not kept\. Give them"):
        ApparelClassifier.resume(tmp_path / "run")
    resumed = ApparelClassifier.resume(tmp_path / "run", source=arrays)
    assert architectures.weights_sha256(resumed.model) == architectures.weights_sha256(whole.model)


def test_images_that_were_put_in_by_hand_are_not_mistaken_for_others(tmp_path):
    classifier = ApparelClassifier(run_dir=tmp_path / "run", epochs=2, limit=300)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.train_images = 1 - classifier.train_images
    kill_after(classifier)
    with pytest.raises(ModelFileError, match="does not say what the run was to do"):
        ApparelClassifier.resume(tmp_path / "run")


def kill_after(classifier):
    """End a training within this process, after the first epoch's checkpoint."""
    save = checkpoints.CheckpointFolder.save

    def last(self, checkpoint):
        save(self, checkpoint)
        if checkpoint.step:
            raise MemoryError

    with mock.patch.object(checkpoints.CheckpointFolder, "save", last), pytest.raises(MemoryError):
        classifier.run_training()


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="is not a run directory"):
        RunDirectory.resume(tmp_path)
    (tmp_path / "settings.json").write_text('{"status": "running"}')
    with pytest.raises(ModelFileError, match="does not say what the run was to do"):
        RunDirectory.resume(tmp_path)


def test_a_run_that_another_process_has_completed_meanwhile_is_left_alone(broken_off):
    directory = RunDirectory.resume(broken_off)
    record = json.loads((broken_off / "settings.json").read_text())
    (broken_off / "settings.json").write_text(json.dumps({**record, "status": "complete"}))
    before = {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"is complete\. Nothing is left to do"):
        ApparelClassifier.resume(directory)
    assert {path: path.read_bytes() for path in before} == before


def test_the_class_remembers_its_folder_of_data(tmp_path):
    classifier = ApparelClassifier(run_dir=tmp_path / "run", data_dir=tmp_path / "files", limit=300)
    classifier.import_data()
    assert RunDirectory.resume(tmp_path / "run").request["data_dir"] == str(tmp_path / "files")


def test_a_lock_is_let_go_and_may_be_nested(tmp_path):
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    refused = pytest.raises(ApparelError, match="another process is at work in")
    with first.lock(), first.lock(), refused, second.lock():
        pass
    with second.lock():
        pass


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_loses_nothing(broken_off, tmp_path):
    there = set((broken_off / "checkpoints").glob("*.safetensors"))
    # Root may write into folders that are read-only: a limit on the size of files holds for all.
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20,) * 2); "
    code += "from apparel.cli.main import main; raise SystemExit(main(['resume', 'run']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    *_, hint, message = done.stderr.splitlines()
    assert hint == "Resume with: apparel resume run"
    assert message.startswith(f"apparel: {broken_off / 'checkpoints' / '0000'}")
    assert message.endswith(".safetensors: File too large")
    assert set((broken_off / "checkpoints").glob("*")) == there
    assert json.loads((broken_off / "settings.json").read_text())["status"] == "failed"
    assert run_command("resume", "run", cwd=tmp_path).returncode == 0
