"""The whole package: one small run on real data, and everything it leaves behind."""

import csv
import json
import re
import runpy
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)

import apparel
from apparel.core.settings import Settings
from apparel.core.signals import Terminated
from apparel.data import loading
from apparel.models import keras_inference
from tests.conftest import Command, run_command

SOURCE = str(Path(apparel.__file__).parent)
Run = tuple[Path, subprocess.CompletedProcess[str]]

LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]  # fmt: skip


@pytest.fixture(scope="module")
def table(finished_run: Run) -> dict[str, np.ndarray]:
    """predictions.csv, as an outsider would read it."""
    read = np.genfromtxt(
        finished_run[0] / "predictions.csv", delimiter=",", names=True, dtype=np.float64
    )
    return {
        "true": read["true"].astype(int),
        "predicted": read["predicted"].astype(int),
        "confidence": read["confidence"],
        "probabilities": np.stack([read[f"p_{k}"] for k in range(10)], axis=1),
    }


@pytest.fixture(scope="module")
def metrics(finished_run: Run) -> dict:
    return json.loads((finished_run[0] / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def test_images() -> np.ndarray:
    return loading.load(limit=1000).test_images


def test_the_run_directory_holds_exactly_the_promised_files(finished_run: Run) -> None:
    folder, _ = finished_run
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "check.json", "settings.json", "history.csv", "metrics.json", "predictions.csv",
        "plots/history.png", "plots/confusion_matrix.png", "plots/calibration.png",
        "plots/predictions.png", "plots/mistakes.png",
        "weights.safetensors", "model.keras", "model.onnx", "novelty.npz", "export.json",
        "report.html", "README.md",
    }  # fmt: skip


def test_settings_say_everything_that_decided_the_run(finished_run: Run) -> None:
    settings = json.loads((finished_run[0] / "settings.json").read_text(encoding="utf-8"))
    assert settings["status"] == "complete"
    assert settings["settings"] == {
        "model_name": "cnn", "width": None, "epochs": 1, "budget": None, "patience": None,
        "batch_size": 100, "seed": 3, "dtype": "float32", "validation_split": 0.1,
        "learning_rate": None, "weight_averaging": 0.5, "label_smoothing": None, "flip": None,
        "shift": None, "erase": None, "target_accuracy": 0.97,
        "limit": 1000, "test_split": 0.2, "image_size": None, "max_bad": 0.05,
        "keep_leaks": False, "checkpoint_every": None,
    }  # fmt: skip
    assert settings["recipe"] == {
        "model_name": "cnn", "width": None, "epochs": 1, "batch_size": 100, "optimizer": "adam",
        "learning_rate": 0.001, "schedule": "constant", "label_smoothing": 0.0,
        "weight_averaging": 0.5, "patience": None, "prune": 0.0, "flip": False, "shift": 0,
        "erase": 0.0,
    }  # fmt: skip
    assert settings["plan"] is None
    assert settings["dataset"]["sha256"] == loading.load(limit=1000).sha256
    assert settings["dataset"]["images_per_class"] == {
        "training": [90] * 10,
        "validation": [10] * 10,
        "test": [100] * 10,
    }
    assert settings["class_names"] == LABELS
    assert {"python", "apparel", "keras", "numpy"} <= settings["versions"].keys()
    assert settings["processor"]


def test_history_has_a_row_an_epoch(finished_run: Run) -> None:
    with (finished_run[0] / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    measures = {"loss", "accuracy", "precision", "recall"}
    assert rows[0].keys() == {"epoch", "seconds", *measures, *(f"val_{m}" for m in measures)}
    assert [row["epoch"] for row in rows] == ["1"]
    assert all(0 < float(value) < 100 for value in rows[0].values())


def test_metrics_equal_scikit_learn_on_the_predictions(
    metrics: dict, table: dict[str, np.ndarray]
) -> None:
    true, predicted = table["true"], table["predicted"]
    assert metrics["n"] == len(true) == 1000
    oracle = {
        "accuracy": accuracy_score(true, predicted),
        "precision": precision_score(true, predicted, average="macro", zero_division=0),
        "recall": recall_score(true, predicted, average="macro", zero_division=0),
        "f1": f1_score(true, predicted, average="macro", zero_division=0),
    }
    for name, value in oracle.items():
        assert metrics[name]["value"] == pytest.approx(value, abs=1e-12)
        assert metrics[name]["low"] < value < metrics[name]["high"]
    probabilities = table["probabilities"] / table["probabilities"].sum(axis=1, keepdims=True)
    assert metrics["log_loss"]["value"] == pytest.approx(log_loss(true, probabilities), abs=1e-6)
    assert metrics["report"] == classification_report(
        true, predicted, target_names=LABELS, digits=4, zero_division=0
    )


def test_class_metrics_equal_scikit_learn_on_the_predictions(
    metrics: dict, table: dict[str, np.ndarray]
) -> None:
    oracle = classification_report(
        table["true"], table["predicted"], target_names=LABELS, output_dict=True, zero_division=0
    )
    assert list(metrics["per_class"]) == LABELS
    for label, scores in metrics["per_class"].items():
        assert scores["precision"]["value"] == pytest.approx(oracle[label]["precision"])
        assert scores["recall"]["value"] == pytest.approx(oracle[label]["recall"])
        assert scores["f1"]["value"] == pytest.approx(oracle[label]["f1-score"])
        assert scores["support"] == oracle[label]["support"] == 100


def test_predictions_agree_with_themselves(table: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(table["probabilities"].argmax(axis=1), table["predicted"])
    np.testing.assert_array_equal(table["probabilities"].max(axis=1), table["confidence"])
    np.testing.assert_allclose(table["probabilities"].sum(axis=1), 1, atol=1e-5)
    assert np.bincount(table["true"]).tolist() == [100] * 10


@pytest.mark.parametrize("file", ["run/model.keras", "copy.keras"])
def test_the_keras_file_reproduces_the_predictions(
    finished_run: Run, table: dict[str, np.ndarray], test_images: np.ndarray, file: str
) -> None:
    model = keras.models.load_model(finished_run[0].parent / file, safe_mode=True)
    probabilities = model.predict(test_images / np.float32(255), verbose=0)
    np.testing.assert_allclose(probabilities, table["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), table["predicted"])
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_the_onnx_file_reproduces_the_predictions(
    finished_run: Run, table: dict[str, np.ndarray], test_images: np.ndarray
) -> None:
    session = onnxruntime.InferenceSession(finished_run[0] / "model.onnx")
    (probabilities,) = session.run(["probabilities"], {"images": test_images})
    np.testing.assert_allclose(probabilities, table["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), table["predicted"])


def test_pictures_are_pngs_of_a_readable_size(finished_run: Run) -> None:
    for name in ("history", "confusion_matrix", "predictions"):
        with Image.open(finished_run[0] / "plots" / f"{name}.png") as image:
            image.load()
            assert image.width >= 1000
            assert image.height >= 400


def test_the_report_stands_alone_and_names_the_result(finished_run: Run, metrics: dict) -> None:
    page = (finished_run[0] / "report.html").read_text(encoding="utf-8")
    assert page.count('class="grad-cam"') == 24
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert f"{metrics['accuracy']['value']:.4f}" in page
    card = (finished_run[0] / "README.md").read_text(encoding="utf-8")
    assert f"| Accuracy | {metrics['accuracy']['value']:.4f} |" in card


def test_results_go_to_stdout_and_progress_to_stderr(finished_run: Run, metrics: dict) -> None:
    _, result = finished_run
    assert "Total params: 1,207,498" in result.stdout
    assert "Number format of training: " in result.stdout
    assert metrics["report"] in result.stdout
    assert "What these results say" in result.stdout
    order = [
        result.stdout.index(text)
        for text in (
            "Model: ", "Test result on 1,000 images", "What the metrics mean",
            "What these results say", *(f"test image {k}: predicted " for k in (0, 12, 42, 100)),
            "Model saved to run/model.onnx", "Model saved to copy.keras", "Run directory: run",
        )
    ]  # fmt: skip
    assert order == sorted(order)
    assert result.stdout.endswith("Run directory: run\n")
    # One line an epoch and nothing else: no start-up chatter, no warnings.
    assert re.fullmatch(r"epoch 1/1  loss .* val_accuracy \d\.\d{4}  \(\d+ s\)\n", result.stderr)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_metrics(
    finished_run: Run, tmp_path: Path
) -> None:
    folder, _ = finished_run
    again = run_command(
        "run", "--limit", 1000, "--epochs", 1, "--seed", 3, "--batch-size", 100, "--dtype",
        "float32", "--weight-averaging", 0.5, "--run-dir", "run", cwd=tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    for name in ("metrics.json", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes()
    weights = [
        keras.models.load_model(path / "model.keras").get_weights()
        for path in (folder, tmp_path / "run")
    ]
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_predict_reproduces_the_predictions_from_image_files(
    finished_run: Run, test_images: np.ndarray, table: dict[str, np.ndarray], command: Command,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "images").mkdir()
    for index in range(20):
        Image.fromarray(test_images[index, :, :, 0]).save(tmp_path / "images" / f"{index:02}.png")
    arguments = ("predict", finished_run[0], "images", "--exact")
    result = command(*arguments, "--output", "out.csv")
    assert (result.returncode, result.stderr) == (0, "")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [LABELS[k] for k in table["predicted"][:20]]
    probabilities = [[float(row[label]) for label in LABELS] for row in rows]
    np.testing.assert_allclose(probabilities, table["probabilities"][:20], atol=1e-5)
    first = command(*arguments).stdout.splitlines()[0]
    assert first.removesuffix("  not sure").split() == [
        "images/00.png",
        *LABELS[table["predicted"][0]].split(),
        f"{table['confidence'][0]:.1%}",
    ]


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_trained(tmp_path: Path) -> None:
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
    code = (
        "import signal, sys; from apparel.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "run", "--limit", "2000", "--epochs", "500",
         "--run-dir", "run"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("epoch 1/500")
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "apparel: interrupted"
    run = tmp_path / "run"
    assert json.loads((run / "settings.json").read_text())["status"] == "interrupted"
    assert (run / "history.csv").read_text().splitlines()[1].startswith("1,")
    model = keras.models.load_model(run / "model.keras")
    dataset = loading.load(limit=1000)
    predicted = model.predict(dataset.test_images / np.float32(255), verbose=0).argmax(axis=1)
    assert (predicted == dataset.test_labels).mean() > 0.4  # far above the tenth of a fresh model
    assert not (run / "metrics.json").exists()


def test_python_m_apparel_is_the_run_with_all_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []
    monkeypatch.setattr("apparel.cli.run.run", lambda *a, **k: calls.append((a, k)))
    monkeypatch.setattr(sys, "argv", ["apparel"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("apparel", run_name="__main__")
    assert stopped.value.code == 0
    (((settings, _), options),) = calls
    assert settings == Settings()
    assert options["save_path"] == Path("refactored_fashion_cnn.keras")
    assert options["source"] == "fashion-mnist"


@pytest.fixture(scope="module")
def fast_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run directory and output of a small run with a budget."""
    folder = tmp_path_factory.mktemp("fast")
    result = run_command(
        "run", "--limit", 600, "--budget", "20s", "--model", "fast", "--width", 8,
        "--run-dir", "run", cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder / "run", result


@pytest.mark.slow
def test_a_budget_says_what_it_chose_and_why(fast_run: Run) -> None:
    folder, result = fast_run
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert (settings["settings"]["budget"], settings["settings"]["width"]) == (20, 8)
    plan = settings["plan"]
    assert plan["model_name"] == "fast"
    assert 0 < plan["seconds"] < 20
    said = re.search(r"Budget of 20 s: this machine trains fast at width 8 on .*", result.stdout)
    assert said
    assert f"{plan['passes']:.1f} passes" in said[0]
    lines = result.stderr.splitlines()
    assert re.match(r"epoch 1  loss .*about \d+ s left", lines[0])
    assert all(line.startswith("epoch ") for line in lines)


@pytest.mark.slow
def test_a_trained_fast_model_reports_all_accuracies(fast_run: Run) -> None:
    metrics = json.loads((fast_run[0] / "metrics.json").read_text(encoding="utf-8"))
    # The passes that the budget bought are enough for shifts.
    names = {
        "accuracy": "Accuracy          ",
        "accuracy_flip_averaged": "Flip-averaged acc.",
        "accuracy_view_averaged": "View-averaged acc.",
    }
    again = run_command("evaluate", "run", cwd=fast_run[0].parent)
    for name, shown in names.items():
        low, value, high = (metrics[name][part] for part in ("low", "value", "high"))
        assert 0.3 < low < value < high
        for output in (fast_run[1].stdout, again.stdout):
            assert f"{shown} {value:.4f}" in output


@pytest.mark.slow
def test_a_fast_model_opens_without_apparel_and_gives_the_same_probabilities(
    fast_run: Run, test_images: np.ndarray, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['apparel'] = None\n"
        "import keras, numpy as np\n"
        "model = keras.models.load_model(sys.argv[1], safe_mode=True)\n"
        "images = np.load('images.npy') / np.float32(255)\n"
        "np.save('found.npy', model.predict(images, verbose=0))\n"
        "assert {type(layer).__module__.split('.')[0] for layer in model.layers} == {'keras'}\n"
    )
    with (fast_run[0] / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = np.array([[float(row[f"p_{k}"]) for k in range(10)] for row in rows])
    images = loading.load(limit=600).test_images
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", code, fast_run[0] / "model.keras"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-5)


# -- the way to training ----------------------------------------------------------------


def test_four_files_and_seven_calls_lead_to_keras(
    digits_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def stop(*_: object, **__: object) -> None:
        frames = [frame.filename for frame in traceback.extract_stack()]
        found.extend(name for name in frames if f"{SOURCE}/" in name)
        raise RuntimeError("reached")

    monkeypatch.setattr(keras.Model, "fit", stop)
    monkeypatch.setattr(keras.Sequential, "fit", stop)
    done = run_command("run", "--data", digits_file, "--run-dir", "run", cwd=tmp_path)
    assert "reached" in done.stderr
    assert len(found) <= 7
    assert len(set(found)) <= 4


def test_the_test_images_are_scored_once_a_run(
    digits_file: Path, tmp_path: Path, untrained: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def count(name: str) -> None:
        original = getattr(keras_inference, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if len(arguments[1]) == 80:  # all of the test images
                calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(keras_inference, name, counted)

    count("keras_metrics")
    count("predict_probabilities")
    done = run_command("run", "--data", digits_file, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert calls == ["keras_metrics", "predict_probabilities"]
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["test_looks"] == 1


def test_a_run_that_fails_or_is_interrupted_says_so_and_how_to_resume(
    digits_file: Path, tmp_path: Path, untrained: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, code, last, status in (
        (OSError(28, "No space left on device", "metrics.json"), 1,
         "apparel: metrics.json: No space left on device. Free some space and try again", "failed"),
        (Terminated(), 143, "apparel: terminated", "interrupted"),
    ):  # fmt: skip
        monkeypatch.setattr(
            "apparel.classifier.ApparelClassifier.test_model", mock.Mock(side_effect=error)
        )
        arguments = ("run", "--data", digits_file, "--run-dir", "run", "--overwrite")
        done = run_command(*arguments, cwd=tmp_path)
        assert done.returncode == code
        assert done.stderr.splitlines() == ["Resume with: apparel resume run", last]
        settings = json.loads((tmp_path / "run" / "settings.json").read_text())
        assert settings["status"] == status
