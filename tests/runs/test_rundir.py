import csv
import json
import re
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from apparel.core.backend import NumberFormat
from apparel.core.errors import ModelFileError, UsageError
from apparel.core.recipes import RECIPES
from apparel.core.records import Calibration, History
from apparel.core.settings import Settings
from apparel.evaluation import metrics
from apparel.models import novelty
from apparel.runs import folder as folder_module
from apparel.runs import run_state
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


@pytest.mark.parametrize("there", [False, True])
def test_a_new_or_empty_folder_becomes_a_run_directory(tmp_path, there):
    folder = tmp_path / "a" / "b"
    if there:
        folder.mkdir(parents=True)
    assert create(folder).path == folder
    assert names(folder) == ["settings.json"]
    assert json.loads((folder / "settings.json").read_text()) == {"status": "running"}


def test_a_run_directory_is_given_back_as_it_is(run):
    write_settings(run)
    assert create(run) is run
    assert names(run.path) == ["settings.json"]


def test_by_default_a_run_is_named_by_date_time_and_model(tmp_path, monkeypatch):
    class Fixed(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(folder_module, "datetime", Fixed)
    monkeypatch.chdir(tmp_path)
    made = [create(None).path.as_posix() for _ in range(3)]
    stem = "runs/2026-01-02-030405-cnn"
    assert made == [stem, f"{stem}-2", f"{stem}-3"]
    assert all((tmp_path / path).is_dir() for path in made)


def test_a_folder_that_holds_something_is_not_touched_unless_asked(run):
    write_settings(run)
    before = (run.path / "settings.json").read_bytes()
    with pytest.raises(UsageError, match=r"is not empty\. Name another .* with --overwrite"):
        create(run.path)
    assert (run.path / "settings.json").read_bytes() == before


def test_overwriting_drops_results_when_training_begins_and_leaves_what_others_put_there(run):
    write_settings(run)
    own = ["check.json", "history.csv", "images.csv", "metrics.json", "novelty.npz",
           "predictions.csv", "refactored_fashion_cnn.keras", "model.onnx", "model.keras",
           "weights.safetensors", "report.html", "README.md"]  # fmt: skip
    for name in own:
        run.write_text(name, "old")
    run.write_figure("history", Figure())
    run.write_text("notes.txt", "mine")
    run.write_text("plots/mine.svg", "mine")
    before = names(run.path)
    again = create(run.path, overwrite=True)
    assert names(run.path) == before
    write_settings(again)
    assert names(run.path) == ["notes.txt", "plots/mine.svg", "settings.json"]


def test_an_overwriting_run_that_fails_early_leaves_the_old_one(run):
    write_settings(run)
    run.write_status("complete")
    run.write_figure("history", Figure())
    before = {path: (run.path / path).read_bytes() for path in names(run.path)}
    create(run.path, overwrite=True).write_status("failed")
    assert {path: (run.path / path).read_bytes() for path in names(run.path)} == before


def test_of_two_runs_that_want_one_folder_one_gets_it(tmp_path, monkeypatch):
    first = create(tmp_path / "run")
    with pytest.raises(UsageError, match="is not empty"):
        create(tmp_path / "run")
    # And if the second looked before the first had claimed it:
    monkeypatch.setattr(run_state, "check_room", lambda *_, **__: None)
    monkeypatch.setattr(run_state.Path, "exists", lambda _: False)
    with pytest.raises(UsageError, match="run cannot be written: File exists"):
        create(tmp_path / "run")
    monkeypatch.undo()
    assert names(first.path) == ["settings.json"]


def test_a_folder_that_is_no_run_is_never_overwritten(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="holds files but is no run directory"):
        create(tmp_path, overwrite=True)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_no_run_directory(tmp_path, overwrite):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"is a file\. Name a folder with --run-dir"):
        create(path, overwrite=overwrite)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"file/run cannot be written: Not a directory\. Name an"):
        create(tmp_path / "file" / "run")


def test_a_folder_where_the_system_lets_nobody_write_is_named():
    with pytest.raises(UsageError, match=r"/proc/nonexistent cannot be written: .*--run-dir"):
        create("/proc/nonexistent")


def test_a_folder_that_takes_no_file_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    write_settings(create(tmp_path / "old"))
    monkeypatch.setattr(run_state.tempfile, "TemporaryFile", refuse)
    with pytest.raises(UsageError, match="old cannot be written: Read-only file system"):
        create(tmp_path / "old", overwrite=True)
    monkeypatch.setattr(run_state.Path, "open", refuse)
    with pytest.raises(UsageError, match="new cannot be written: Read-only file system"):
        create(tmp_path / "new")


# -- settings --------------------------------------------------------------------------


def test_the_settings_say_what_decided_the_run(run):
    write_settings(run)
    read = run.settings()
    assert read["settings"] == asdict(Settings(seed=5))
    assert read["recipe"] == asdict(RECIPES["cnn"])
    assert read["plan"] is None
    assert read["status"] == "running"
    assert read["number_format"] == {"policy": "float32", "reason": "asked for"}
    assert read["dataset"] == {"source": "made up", "sha256": "abc"}
    assert read["class_names"] == list(NAMES)
    assert read["img_shape"] == [28, 28, 1]
    assert read["versions"]["numpy"] == np.__version__
    assert {"python", "apparel", "keras"} <= set(read["versions"])
    assert read["processor"] != ""
    assert read["platform"] != ""
    assert abs(datetime.now().astimezone() - datetime.fromisoformat(read["started"])).days == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", read["started"])


def test_a_run_can_be_opened_again(run):
    write_settings(run)
    opened = RunDirectory.open(str(run.path))
    assert opened.path == run.path
    assert Settings(**opened.settings()["settings"]) == Settings(seed=5)


@pytest.mark.parametrize("content", [None, "", "{", "not json", '{"class_names"', b"\xff\xfe"])
def test_a_folder_without_readable_settings_is_no_run(tmp_path, content):
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "settings.json").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"is not a run directory: .* settings\.json"):
        RunDirectory.open(tmp_path)


@pytest.mark.parametrize("content", ["[1]", '"class_names"', "3", "null"])
def test_settings_that_are_no_record_are_refused(tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(ModelFileError, match="is not a run directory"):
        RunDirectory.open(tmp_path)


def test_settings_that_lack_something_are_refused(tmp_path):
    (tmp_path / "settings.json").write_text('{"class_names": [], "dataset": {}}')
    with pytest.raises(ModelFileError, match="it lacks img_shape, settings"):
        RunDirectory.open(tmp_path)


@pytest.mark.parametrize("name", ["missing", "settings.json/x"])
def test_a_folder_that_does_not_exist_is_no_run(tmp_path, name):
    with pytest.raises(ModelFileError, match="is not a run directory"):
        RunDirectory.open(tmp_path / name)


@pytest.mark.parametrize("status", ["trained", "complete", "interrupted", "failed"])
def test_the_status_records_how_the_run_ended(run, status):
    write_settings(run)
    before = run.settings()
    run.write_status(status)
    assert run.settings() == {**before, "status": status}


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_recorded_nothing_leaves_no_trace(tmp_path, there):
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    create(folder).write_status("failed")
    assert folder.exists() == there
    assert names(tmp_path) == []


# -- results ---------------------------------------------------------------------------


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_history_is_restored_exactly(run):
    values = {"loss": (0.1 + 0.2, 1e-300, 2.0), "val_accuracy": (1 / 3, 0.5, 1.0)}
    seconds = (1.25, 2 / 3, 10.0)
    run.write_history(History(history=values, seconds=seconds, dtype="float32"))
    header, *rows = read_csv(run.path / "history.csv")
    assert header == ["epoch", "loss", "val_accuracy", "seconds"]
    columns = [[float(cell) for cell in column] for column in zip(*rows, strict=True)]
    assert columns == [[1, 2, 3], *map(list, values.values()), list(seconds)]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert b"\r" not in (run.path / "history.csv").read_bytes()


@pytest.mark.parametrize("epoch", [None, 7])
def test_the_epoch_whose_weights_were_kept_is_on_record(run, epoch):
    before = json.loads((run.path / "settings.json").read_text())
    history = History(history={}, seconds=(), dtype="float32", restored_epoch=epoch)
    run.write_history(history, weights_sha256="abc")
    after = json.loads((run.path / "settings.json").read_text())
    found = {"restored_epoch": epoch, "calibration": None, "weights_sha256": "abc"}
    assert after == {**before, **found}


def test_a_history_without_epochs_has_a_header_only(run):
    run.write_history(History(history={}, seconds=(), dtype="float32", interrupted=True))
    assert (run.path / "history.csv").read_text() == "epoch,seconds\n"


@pytest.fixture
def evaluation():
    random = np.random.default_rng(0)
    odds = np.exp(random.normal(scale=8, size=(60, 3)))  # probabilities down to about 1e-15
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    smallest = np.nextafter(np.float32(0), np.float32(1))
    probabilities[0] = [np.nextafter(np.float32(1), np.float32(0)), smallest, 0]
    labels = random.integers(0, 3, 60)
    return metrics.evaluate(probabilities, labels, NAMES, calibration=CALIBRATION)


def test_predictions_are_restored_bit_for_bit(run, evaluation):
    run.write_evaluation(evaluation)
    header, *rows = read_csv(run.path / "predictions.csv")
    assert header == ["index", "true", "predicted", "confidence", "p_0", "p_1", "p_2"]
    table = np.array(rows)
    assert table[:, 0].tolist() == [str(k) for k in range(60)]
    np.testing.assert_array_equal(table[:, 1].astype(int), evaluation.true)
    np.testing.assert_array_equal(table[:, 2].astype(int), evaluation.predicted)
    restored = table[:, 4:].astype(np.float32)
    assert restored.tobytes() == evaluation.probabilities.tobytes()
    np.testing.assert_array_equal(table[:, 3].astype(np.float32), restored.max(axis=1))


def test_metrics_are_restored_exactly(run, evaluation):
    run.write_evaluation(evaluation)
    read = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))

    def interval(i):
        return {"value": i.value, "low": i.low, "high": i.high}

    assert len(evaluation.metrics) == 9
    for name, found in evaluation.metrics.items():
        assert read.pop(name) == interval(found)
    assert list(read["per_class"]) == list(NAMES)
    for scores, found in zip(evaluation.per_class, read.pop("per_class").values(), strict=True):
        assert found == {
            "precision": interval(scores.precision),
            "recall": interval(scores.recall),
            "f1": interval(scores.f1),
            "support": scores.support,
        }
    assert read == {
        "n": 60,
        "averaging": "macro",
        "confidence": 0.95,
        "confusion_matrix": evaluation.confusion.tolist(),
        "report": evaluation.report,
        "calibration": {
            "temperature": 0.5,
            "target_accuracy": 0.9,
            "threshold": 0.25,
            "n_images": 7,
            "knee": 0.0,
            "slope": 1.0,
            "expected_calibration_error_before": interval(
                evaluation.reliability_before.expected_calibration_error
            ),
            "bins": [
                {
                    "low": b.low,
                    "high": b.high,
                    "n_images": b.n_images,
                    "confidence": b.confidence,
                    "accuracy": interval(b.accuracy),
                }
                for b in evaluation.reliability.bins
            ],
        },
        "abstention": {
            "coverage": interval(evaluation.abstention.coverage),
            "accuracy": interval(evaluation.abstention.accuracy),
        },
    }


def test_what_is_compared_is_read_back(run, evaluation):
    origin = {"source": "made up", "sha256": "abc", "test_sha256": "bcd"}
    write_settings(run, dataset=origin)
    run.write_evaluation(evaluation)
    found = RunDirectory.open(run.path).tested()
    np.testing.assert_array_equal(found.true, evaluation.true)
    np.testing.assert_array_equal(found.predicted, evaluation.predicted)
    assert (found.name, found.class_names, found.test_sha256) == ("run", NAMES, "bcd")
    assert found.accuracy == pytest.approx(evaluation.metrics["accuracy"].value)


def test_runs_that_differ_by_their_seed_alone_are_of_one_setting(tmp_path, evaluation):
    def setting(name, sha256="abc", **changes):
        made = create(tmp_path / name)
        write_settings(made, dataset={"source": "", "sha256": sha256, "test_sha256": "bcd"})
        made.write_evaluation(evaluation)
        written = made.settings()
        written["settings"] |= changes
        (made.path / "settings.json").write_text(json.dumps(written), encoding="utf-8")
        return made.tested().setting

    one = setting("one")
    assert setting("two", seed=6) == one
    assert setting("three", epochs=3) != one
    assert setting("four", sha256="other training images") != one


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "predictions.csv cannot be read: No such file"),
        ("", "holds no predictions"),
        ("index,true,predicted\n", "holds no predictions"),
        ("index,true\n0,1\n", "holds no predictions .*predicted"),
        ("index,true,predicted\n0,1,x\n", "holds no predictions .*'x'"),
        ("index,true,predicted\n0,1\n", "holds no predictions"),
    ],
)
def test_broken_predictions_are_not_compared(run, content, message):
    write_settings(run, dataset={"source": "", "sha256": "abc", "test_sha256": "bcd"})
    if content is not None:
        run.write_text("predictions.csv", content)
    with pytest.raises(ModelFileError, match=message):
        run.tested()


def test_runs_of_a_version_without_the_hash_are_not_compared(run, evaluation):
    write_settings(run)
    run.write_evaluation(evaluation)
    with pytest.raises(ModelFileError, match=r"does not say which test images .* Run it once"):
        run.tested()


def test_without_a_threshold_metrics_say_so(run, evaluation):
    unknown = replace(evaluation, abstention=replace(evaluation.abstention, coverage=None))
    run.write_evaluation(unknown)
    read = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    assert read["abstention"]["coverage"] is None


def test_looks_at_the_test_images_are_counted_over_trainings_and_openings(run):
    write_settings(run)
    assert run.settings()["test_looks"] == 0
    assert [run.count_test_look(), run.count_test_look()] == [1, 2]
    write_settings(run)
    assert run.count_test_look() == 3
    assert RunDirectory.open(run.path).count_test_look() == 4
    assert run.settings()["test_looks"] == 4


def test_a_run_that_replaces_another_has_looked_at_nothing(run):
    write_settings(run)
    run.count_test_look()
    again = create(run.path, overwrite=True)
    write_settings(again)
    assert again.count_test_look() == 1


def test_what_validation_images_chose_is_on_record(run):
    write_settings(run)
    history = History(history={}, seconds=(), dtype="float32")
    run.write_history(history, CALIBRATION)
    assert Calibration(**run.settings()["calibration"]) == CALIBRATION


def test_a_figure_becomes_a_png_among_the_plots(run):
    path = run.write_figure("history", Figure(figsize=(4, 3)))
    assert path == run.path / "plots" / "history.png"
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (480, 360))
    assert names(run.path) == ["plots/history.png", "settings.json"]


def test_text_keeps_its_characters(run):
    run.write_text("README.md", "é ✓\n")
    assert (run.path / "README.md").read_text(encoding="utf-8") == "é ✓\n"


def test_nothing_temporary_stays_behind(run, evaluation):
    write_settings(run)
    run.write_evaluation(evaluation)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "metrics.json", "predictions.csv", "settings.json",
    ]  # fmt: skip


# -- what the training images look like ------------------------------------------------


@pytest.fixture
def learnt():
    images = np.random.default_rng(0).random((80, 9, 8, 1), np.float32)
    return novelty.fit(images, np.arange(40), np.arange(40, 80), seed=0)


def test_what_the_training_images_look_like_is_read_back_bit_for_bit(run, learnt):
    assert run.novelty() is None
    run.write_novelty(learnt)
    read = run.novelty()
    for name, value in learnt.as_arrays().items():
        np.testing.assert_array_equal(read.as_arrays()[name], value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4"])
def test_a_broken_file_of_what_they_look_like_is_named(run, content):
    (run.path / "novelty.npz").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"novelty\.npz does not say what the training images"):
        run.novelty()


@pytest.mark.parametrize("change", ["cut", "without location", "pickle", "one array"])
def test_a_changed_file_of_what_they_look_like_is_named(run, learnt, change):
    path = run.path / "novelty.npz"
    run.write_novelty(learnt)
    arrays = learnt.as_arrays()
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif change == "without location":
        np.savez(path, **{name: x for name, x in arrays.items() if name != "location"})
    elif change == "pickle":
        np.savez(path, **arrays | {"location": np.array([{}], object)}, allow_pickle=True)
    else:
        with path.open("wb") as file:
            np.save(file, learnt.location)
    with pytest.raises(ModelFileError, match=r"novelty\.npz does not say what the training images"):
        run.novelty()
