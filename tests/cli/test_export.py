"""`apparel export`: the run's images, the list of exported files, and what docs/export.md says."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from apparel import ApparelClassifier
from apparel.cli.export import export_run
from apparel.core.errors import DataError, DataUnavailableError
from apparel.core.model_formats import SUFFIXES, default_files, default_name
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.splits import prepare
from apparel.runs import inputs
from apparel.runs.run_directory import RunDirectory
from tests.conftest import run_command

DOCS = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.fixture
def run(run_copy):
    return run_copy


def listed(run):
    return json.loads((run / "export.json").read_text(encoding="utf-8"))


def change_settings(run, change):
    path = run / "settings.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    change(settings)
    path.write_text(json.dumps(settings), encoding="utf-8")


# -- the images of the run ---------------------------------------------------------------


def test_images_are_split_as_in_the_run(run):
    splits = inputs.load_splits(RunDirectory.open(run), data_dir=None)
    dataset = loading.load(limit=1000)
    same = prepare(dataset, Settings(limit=1000, seed=3))
    np.testing.assert_array_equal(splits.validation, same.validation)
    np.testing.assert_array_equal(splits.train_images, same.train_images)
    recorded = json.loads((run / "settings.json").read_text(encoding="utf-8"))["dataset"]
    assert dict(splits.manifest) == recorded


def test_other_images_than_the_runs_are_refused(run):
    change_settings(run, lambda settings: settings["settings"].update(split_seed=4))
    with pytest.raises(DataError, match=r"are not those that .* was trained on: their SHA-256 is"):
        export_run(run, "onnx")
    assert list(listed(run)) == ["model.keras", "model.onnx", "copy.keras"]


def test_a_run_on_arrays_says_how_it_is_exported(run):
    change_settings(run, lambda settings: settings["dataset"].update(source="arrays"))
    with pytest.raises(DataUnavailableError, match=r"classifier\.export_model\(path\)"):
        export_run(run, "onnx")


@pytest.mark.slow
def test_leaks_are_left_out_as_in_the_run(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    labels = np.arange(60) % 2
    tests = np.concatenate([random.integers(0, 256, (10, 8, 8), dtype=np.uint8), images[:6]])
    np.savez(
        tmp_path / "a.npz", x_train=images, y_train=labels, x_test=tests, y_test=np.arange(16) % 2
    )
    classifier = ApparelClassifier(epochs=1, run_dir=tmp_path / "run")
    classifier.import_data(tmp_path / "a.npz").prepare_data().create_model().setup_model()
    classifier.run_training()
    splits = inputs.load_splits(RunDirectory.open(tmp_path / "run"), data_dir=None)
    assert len(splits.train_images) == 54
    np.testing.assert_array_equal(splits.validation, classifier._trained.splits.validation)
    exported = export_run(tmp_path / "run", "onnx")
    facts = {e.key: json.loads(e.value) for e in onnx.load(exported.path).metadata_props}
    assert facts["dataset"]["source"] == "a.npz"
    assert facts["photo_steps"] is facts["accuracy"] is None
    assert "examples" not in facts
    assert str(tmp_path) not in json.dumps(facts)


# -- the list of exported files -----------------------------------------------------------


def n_validation(run):
    record = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    return sum(record["dataset"]["images_per_class"]["validation"])


def test_a_run_lists_what_it_exported(run):
    for name, found in listed(run).items():
        assert (found["format"], found["precision"]) == (Path(name).suffix[1:], "float32")
        assert (found["images"], found["same_class"]) == (n_validation(run), 1.0)
        if name != "copy.keras":
            content = (run / name).read_bytes()
            assert found["sha256"] == hashlib.sha256(content).hexdigest()
            assert found["size"] == len(content)


def test_an_exported_file_says_how_the_run_went(run):
    done = run_command("export", "run", "--output", "elsewhere.onnx", cwd=run.parent)
    assert (done.returncode, done.stderr) == (0, "")
    found = listed(run)["elsewhere.onnx"]
    assert done.stdout == (
        "Model saved to elsewhere.onnx\n"
        f"{found['size'] / 1e6:.2f} MB, onnx, float32, read back in ONNX Runtime "
        f"{found['runtime_version']}\n"
        f"On {n_validation(run)} images: the model's class for 100.00%, accuracy "
        f"{found['accuracy']:.2%} (the model's: {found['model_accuracy']:.2%}), probabilities "
        f"within {found['largest_difference']:.1g}\n"
    )
    path = run.parent / "elsewhere.onnx"
    facts = {e.key: json.loads(e.value) for e in onnx.load(path).metadata_props}
    record = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    for key in ("settings", "recipe", "dataset"):
        assert facts[key] == record[key]
    assert facts["accuracy"] == {**metrics["accuracy"], "n": 1000}
    assert facts["threshold"] == record["calibration"]["threshold"]
    assert facts["photo_steps"] == "fashion-mnist"
    known = [example["label"] for example in facts["examples"]]
    assert known == [name for name in record["class_names"] if name in known]
    # The run's own file was written by other code, before the run was over.
    own = {e.key: json.loads(e.value) for e in onnx.load(run / "model.onnx").metadata_props}
    assert own == facts


@pytest.mark.slow
def test_another_training_drops_every_exported_file(tmp_path):
    classifier = ApparelClassifier(run_dir=tmp_path / "run", limit=40, epochs=1)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.run_training()
    made = [*default_files(), "export.json"]
    for name in made:
        (tmp_path / "run" / name).write_text("{}")
    folder = tmp_path / "run" / default_name("saved_model")
    (folder / "variables").mkdir(parents=True)
    (tmp_path / "run" / "mine.onnx").write_text("mine")
    classifier.run_training()
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left & {*default_files(), folder.name} == {"model.keras"}
    assert (tmp_path / "run" / "model.keras").read_bytes() != b"{}"
    assert "mine.onnx" in left
    assert list(listed(tmp_path / "run")) == ["model.keras"]


# -- the documentation --------------------------------------------------------------------


@pytest.mark.slow
def test_the_documented_code_reads_every_format(run, monkeypatch):
    monkeypatch.chdir(run)
    images = loading.load(limit=1000).test_images[:20]
    written = np.genfromtxt("predictions.csv", delimiter=",", skip_header=1)[:20, 4:]
    for kind in SUFFIXES:
        export_run(Path(), kind)
    pieces = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(pieces) == len(SUFFIXES)
    for piece in pieces:
        names = {"images": images}
        exec(piece, names)  # noqa: S102  # the project's own page
        np.testing.assert_allclose(names["probabilities"], written, atol=1e-4)
        if "keras" not in piece:
            assert names["facts"]["class_names"][9] == "Ankle boot"
