"""`apparel export`: the run's images, and the list of exported files."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from apparel import ApparelClassifier
from apparel.cli.export import export_run
from apparel.core.errors import DataError, DataUnavailableError
from apparel.core.model_formats import default_files, default_name
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.splits import prepare
from apparel.runs import inputs
from apparel.runs.folder import drop_results
from apparel.runs.run_directory import RunDirectory
from tests.conftest import run_command


def listed(run):
    return json.loads((run / "export.json").read_text(encoding="utf-8"))


def record_of(run):
    return json.loads((run / "settings.json").read_text(encoding="utf-8"))


def change_settings(run, change):
    settings = record_of(run)
    change(settings)
    (run / "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def facts_of(path):
    return {e.key: json.loads(e.value) for e in onnx.load(path).metadata_props}


# -- the images of the run ---------------------------------------------------------------


def test_only_the_images_of_the_run_are_taken_and_split_as_there(run_copy):
    splits = inputs.load_splits(RunDirectory.open(run_copy), data_dir=None)
    same = prepare(loading.load(limit=1000), Settings(limit=1000, seed=3))
    np.testing.assert_array_equal(splits.validation, same.validation)
    np.testing.assert_array_equal(splits.train_images, same.train_images)
    assert dict(splits.manifest) == record_of(run_copy)["dataset"]
    change_settings(run_copy, lambda settings: settings["settings"].update(split_seed=4))
    with pytest.raises(DataError, match=r"are not those that .* was trained on: their SHA-256 is"):
        export_run(run_copy, "onnx")
    assert list(listed(run_copy)) == ["model.keras", "model.onnx", "copy.keras"]


def test_a_run_on_arrays_says_how_it_is_exported(run_copy):
    change_settings(run_copy, lambda settings: settings["dataset"].update(source="arrays"))
    with pytest.raises(DataUnavailableError, match=r"classifier\.export_model\(path\)"):
        export_run(run_copy, "onnx")


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
    facts = facts_of(exported.path)
    assert facts["dataset"]["source"] == "a.npz"
    assert facts["photo_steps"] is facts["accuracy"] is None
    assert "examples" not in facts
    assert str(tmp_path) not in json.dumps(facts)


# -- the list of exported files -----------------------------------------------------------


def test_an_exported_file_says_how_the_run_went(run_copy):
    done = run_command("export", "run", "--output", "elsewhere.onnx", cwd=run_copy.parent)
    assert (done.returncode, done.stderr) == (0, "")
    record = record_of(run_copy)
    n_images = sum(record["dataset"]["images_per_class"]["validation"])
    for name, found in listed(run_copy).items():
        assert (found["format"], found["precision"]) == (Path(name).suffix[1:], "float32")
        assert (found["images"], found["same_class"]) == (n_images, 1.0)
        if (run_copy / name).exists():
            content = (run_copy / name).read_bytes()
            assert found["sha256"] == hashlib.sha256(content).hexdigest()
            assert found["size"] == len(content)
    found = listed(run_copy)["elsewhere.onnx"]
    size, version = found["size"] / 1e6, found["runtime_version"]
    assert done.stdout.startswith(
        "Model saved to elsewhere.onnx\n"
        f"{size:.2f} MB, onnx, float32, read back in ONNX Runtime {version}\n"
        f"On {n_images} images: the model's class for 100.00%, accuracy {found['accuracy']:.2%}"
    )
    facts = facts_of(run_copy.parent / "elsewhere.onnx")
    metrics = json.loads((run_copy / "metrics.json").read_text(encoding="utf-8"))
    for key in ("settings", "recipe", "dataset"):
        assert facts[key] == record[key]
    assert facts["accuracy"] == {**metrics["accuracy"], "n": 1000}
    assert facts["threshold"] == record["calibration"]["threshold"]
    assert facts["photo_steps"] == "fashion-mnist"
    known = [example["label"] for example in facts["examples"]]
    assert known == [name for name in record["class_names"] if name in known]
    # The run_copy's own file was written by other code, before the run_copy was over.
    assert facts_of(run_copy / "model.onnx") == facts


def test_another_training_drops_every_exported_file(run_copy):
    made = {*default_files(), "export.json", default_name("saved_model")}
    for name in made - {default_name("saved_model")}:
        (run_copy / name).write_text("{}")
    (run_copy / default_name("saved_model") / "variables").mkdir(parents=True)
    (run_copy / "mine.onnx").write_text("mine")
    drop_results(run_copy)
    left = {path.name for path in run_copy.iterdir()}
    assert not left & made
    assert "mine.onnx" in left
