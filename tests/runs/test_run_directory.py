"""The directory of a run says what decided it, and how it ended."""

import json
from dataclasses import asdict
from datetime import datetime

import numpy as np
import pytest
from matplotlib.figure import Figure

from apparel.core.backend import NumberFormat
from apparel.core.errors import ApparelError, ModelFileError, UsageError
from apparel.core.recipes import RECIPES
from apparel.core.records import UNCALIBRATED, Calibration, History
from apparel.core.settings import Settings
from apparel.runs import files
from apparel.runs.checkpoints import Checkpoint
from apparel.runs.run_directory import RunDirectory

NAMES = ("T-shirt/top", "b, \"c\"", "é")  # fmt: skip
CALIBRATION = Calibration(temperature=0.5, target_accuracy=0.9, threshold=0.25, n_images=7)


def create(path, **options):
    return RunDirectory.create(path, name="cnn", **options)


def write_settings(run, **changes):
    parts = {
        "recipe": RECIPES["cnn"],
        "plan": None,
        "number_format": NumberFormat("float32", "asked for"),
        "dataset": {"source": "made up", "sha256": "abc"},
        "class_names": NAMES,
        "img_shape": (28, 28, 1),
    }
    run.write_settings(Settings(seed=5), **(parts | changes))


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def run(tmp_path):
    return create(tmp_path / "run")


# -- making one ------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_not_touched_unless_asked(run, tmp_path):
    assert create(run) is run
    write_settings(run)
    run.write_status("complete")
    files.write_figure(run.path, "history", Figure())
    before = {path: (run.path / path).read_bytes() for path in names(run.path)}
    with pytest.raises(UsageError, match=r"is not empty\. Name another .* with --overwrite"):
        create(run.path)
    create(run.path, overwrite=True).write_status("failed")  # before it trained
    assert {path: (run.path / path).read_bytes() for path in names(run.path)} == before
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="holds files but is no run directory"):
        create(tmp_path, overwrite=True)


def test_overwriting_drops_results_when_training_begins_and_leaves_what_others_put_there(run):
    write_settings(run)
    own = ["check.json", "history.csv", "images.csv", "metrics.json", "novelty.npz",
           "predictions.csv", "refactored_fashion_cnn.keras", "model.onnx", "model.keras",
           "weights.safetensors", "report.html", "README.md"]  # fmt: skip
    for name in own:
        (run.path / name).write_text("old")
    files.write_figure(run.path, "history", Figure())
    (run.path / "notes.txt").write_text("mine")
    (run.path / "plots/mine.svg").write_text("mine")
    run.count_test_evaluation()
    before = names(run.path)
    again = create(run.path, overwrite=True)
    assert names(run.path) == before
    write_settings(again)
    assert names(run.path) == ["notes.txt", "plots/mine.svg", "settings.json"]
    assert again.count_test_evaluation() == 1


# -- settings --------------------------------------------------------------------------


def test_the_settings_say_what_decided_the_run(run):
    write_settings(run)
    read = RunDirectory.open(str(run.path)).settings()
    decided = {
        "settings": asdict(Settings(seed=5)), "recipe": asdict(RECIPES["cnn"]), "plan": None,
        "number_format": {"policy": "float32", "reason": "asked for"}, "status": "running",
        "dataset": {"source": "made up", "sha256": "abc"}, "class_names": list(NAMES),
        "img_shape": [28, 28, 1],
    }  # fmt: skip
    assert {**read, **decided} == read
    assert read["versions"]["numpy"] == np.__version__
    assert read["processor"] != ""
    assert read["platform"] != ""
    assert abs(datetime.now().astimezone() - datetime.fromisoformat(read["started"])).days == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, r"is not a run directory: .* settings\.json"),
        (b"\xff\xfe", "is not a run directory"),
        (b"[1]", "is not a run directory"),
        (b"null", "is not a run directory"),
        (b'{"class_names": [], "dataset": {}}', "it lacks img_shape, settings"),
    ],
)
def test_a_folder_without_a_settings_record_is_no_run(tmp_path, content, why):
    if content is not None:
        (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ModelFileError, match=why):
        RunDirectory.open(tmp_path)


def test_the_status_records_how_the_run_ended(run):
    write_settings(run)
    before = run.settings()
    for status in ("trained", "interrupted", "failed", "complete"):
        run.checkpoints().save(Checkpoint(1, {}))
        run.write_status(status)
        assert run.settings() == {**before, "status": status}
        assert run.checkpoints().exist == (status != "complete")  # nothing left to resume


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_recorded_nothing_leaves_no_trace(tmp_path, there):
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    create(folder).write_status("failed")
    assert folder.exists() == there
    assert names(tmp_path) == []


# -- resuming --------------------------------------------------------------------------


ASKED = {"settings": asdict(Settings(seed=5)), "source": "made up", "data_dir": None, "ray": None}


def test_an_interrupted_run_is_resumed_as_it_began(tmp_path):
    run = create(tmp_path / "run", request=ASKED)
    assert run.can_resume
    resumed = RunDirectory.resume(run.path)
    assert resumed.request == {"source": "made up", "data_dir": None, "ray": None}
    assert resumed.provenance() == (Settings(seed=5), None)
    write_settings(run)
    settings, began = resumed.provenance()
    assert settings == Settings(seed=5)
    began.check(RECIPES["cnn"], {"sha256": "abc"})
    (run.path / "metrics.json").write_text("{}")
    run.write_status("interrupted")
    resumed.drop_outcome()
    assert names(run.path) == ["settings.json"]
    assert resumed.settings()["status"] == "running"
    # An interrupted evaluation of the test set is the same one when it is repeated.
    assert resumed.count_test_evaluation() == 1
    assert RunDirectory.resume(run.path).count_test_evaluation() == 1
    resumed.write_status("complete")
    assert (resumed.is_complete, resumed.can_resume) == (True, False)
    for again in (lambda: RunDirectory.resume(run.path), resumed.provenance):
        with pytest.raises(UsageError, match=r"is complete\. Nothing is left to do"):
            again()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"status": "running"}, "does not say what the run was to do"),
        ({**ASKED, "settings": {"mood": "good"}}, "holds settings that this version does not know"),
        ({**ASKED, "dataset": {}}, "does not say how training began"),
    ],
)
def test_a_run_that_cannot_be_resumed_says_why(tmp_path, record, message):
    (tmp_path / "settings.json").write_text(json.dumps(record))
    with pytest.raises(ModelFileError, match=message):
        RunDirectory.resume(tmp_path).provenance()


def test_a_second_training_is_resumed_from_its_checkpoints_only(tmp_path):
    run = create(tmp_path / "run", request=ASKED)
    write_settings(run)
    write_settings(run)
    with pytest.raises(ModelFileError, match="interrupted before its first checkpoint"):
        run.provenance()
    run.checkpoints().save(Checkpoint(1, {}))
    assert run.provenance()[1] is not None


def test_one_process_works_on_a_run(run):
    other = RunDirectory(run.path)
    refused = pytest.raises(ApparelError, match="another process is at work")
    with run.lock(), run.lock(), refused, other.lock():
        pass
    with other.lock():
        pass


# -- after training -------------------------------------------------------------------


def test_what_training_chose_is_on_record(run):
    write_settings(run)
    before = run.settings()
    assert run.calibration() == UNCALIBRATED
    history = History(history={}, seconds=(), dtype="float32", restored_epoch=7)
    run.write_history(history, CALIBRATION, weights_sha256="abc")
    assert run.calibration() == CALIBRATION
    found = {"restored_epoch": 7, "calibration": asdict(CALIBRATION), "weights_sha256": "abc"}
    assert run.settings() == {**before, **found}
    run.update(calibration={"slope": "steep"})
    with pytest.raises(ModelFileError, match=r"settings\.json holds no calibration"):
        run.calibration()


def test_evaluations_of_the_test_images_are_counted_over_trainings_and_openings(run):
    write_settings(run)
    assert run.settings()["test_looks"] == 0
    assert [run.count_test_evaluation(), run.count_test_evaluation()] == [1, 2]
    write_settings(run)
    assert run.count_test_evaluation() == 3
    assert RunDirectory.open(run.path).count_test_evaluation() == 4
    assert run.settings()["test_looks"] == 4
