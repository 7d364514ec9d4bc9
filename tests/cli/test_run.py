"""The whole package: one small run on real data, and everything it leaves behind."""

import csv
import json
import re
import runpy
import subprocess
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from sklearn.metrics import classification_report, log_loss

import apparel
from apparel.core.recipes import Plan, recipe_of
from apparel.core.settings import Settings
from apparel.core.signals import Terminated
from apparel.data import loading
from apparel.models import keras_inference
from tests.conftest import run_command

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


def test_the_run_directory_holds_exactly_the_promised_files(
    finished_run: Run, metrics: dict
) -> None:
    folder, _ = finished_run
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "check.json", "settings.json", "history.csv", "metrics.json", "predictions.csv",
        "plots/history.png", "plots/confusion_matrix.png", "plots/calibration.png",
        "plots/predictions.png", "plots/mistakes.png",
        "weights.safetensors", "model.keras", "model.onnx", "novelty.npz", "export.json",
        "report.html", "README.md",
    }  # fmt: skip
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    asked = Settings(
        epochs=1, batch_size=100, seed=3, dtype="float32", weight_averaging=0.5, limit=1000
    )
    assert settings["status"] == "complete"
    assert settings["settings"] == asdict(asked)
    assert settings["recipe"] == asdict(recipe_of(asked))
    assert settings["dataset"]["sha256"] == loading.load(limit=1000).sha256
    counts = settings["dataset"]["images_per_class"]
    assert counts["test"] == [100] * 10
    assert np.add(counts["training"], counts["validation"]).tolist() == [100] * 10
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    measures = {"loss", "accuracy", "precision", "recall"}
    assert row.keys() == {"epoch", "seconds", *measures, *(f"val_{m}" for m in measures)}
    for path in (folder / "plots").iterdir():
        with Image.open(path) as image:
            image.load()
            assert image.width >= 1000
            assert image.height >= 400
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count('class="grad-cam"') == 24
    assert f"{metrics['accuracy']['value']:.4f}" in page
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| Accuracy | {metrics['accuracy']['value']:.4f} |" in card


def test_metrics_equal_scikit_learn_on_the_predictions(
    metrics: dict, table: dict[str, np.ndarray]
) -> None:
    true, predicted, probabilities = table["true"], table["predicted"], table["probabilities"]
    assert np.bincount(true).tolist() == [100] * 10
    np.testing.assert_array_equal(probabilities.argmax(axis=1), predicted)
    np.testing.assert_array_equal(probabilities.max(axis=1), table["confidence"])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    oracle = classification_report(
        true, predicted, target_names=LABELS, output_dict=True, zero_division=0
    )
    assert list(metrics["per_class"]) == LABELS
    for label, scores in (*metrics["per_class"].items(), ("macro avg", metrics)):
        for name in ("precision", "recall", "f1"):
            key = "f1-score" if name == "f1" else name
            assert scores[name]["value"] == pytest.approx(oracle[label][key], abs=1e-12)
    assert metrics["n"] == 1000
    assert metrics["accuracy"]["value"] == pytest.approx(oracle["accuracy"])
    assert metrics["accuracy"]["low"] < oracle["accuracy"] < metrics["accuracy"]["high"]
    loss = log_loss(true, probabilities / probabilities.sum(axis=1, keepdims=True))
    assert metrics["log_loss"]["value"] == pytest.approx(loss, abs=1e-6)
    assert metrics["report"] == classification_report(
        true, predicted, target_names=LABELS, digits=4, zero_division=0
    )


@pytest.mark.parametrize("file", ["run/model.keras", "copy.keras", "run/model.onnx"])
def test_every_file_of_the_model_reproduces_the_predictions(
    finished_run: Run, table: dict[str, np.ndarray], test_images: np.ndarray, file: str
) -> None:
    path = finished_run[0].parent / file
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        (probabilities,) = session.run(["probabilities"], {"images": test_images})
    else:
        model = keras.models.load_model(path, safe_mode=True)
        probabilities = model.predict(test_images / np.float32(255), verbose=0)
        assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    np.testing.assert_allclose(probabilities, table["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), table["predicted"])


def test_results_go_to_stdout_and_progress_to_stderr(finished_run: Run, metrics: dict) -> None:
    _, result = finished_run
    assert metrics["report"] in result.stdout
    order = [
        result.stdout.index(text)
        for text in (
            "Model: ", "Number format of training: ", "Test result on 1,000 images",
            "What the metrics mean", "What these results say",
            *(f"test image {k}: predicted " for k in (0, 12, 42, 100)),
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
    for name in ("metrics.json", "predictions.csv", "weights.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes()


def test_python_m_apparel_is_the_run_with_all_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = mock.Mock()
    monkeypatch.setattr("apparel.cli.run.run", run)
    monkeypatch.setattr(sys, "argv", ["apparel"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("apparel", run_name="__main__")
    assert run.call_args.args[0] == Settings()
    assert run.call_args.kwargs["save_path"] == Path("refactored_fashion_cnn.keras")
    assert run.call_args.kwargs["source"] == "fashion-mnist"


def test_a_budget_says_what_it_chose_and_why(
    digits_file: Path, tmp_path: Path, untrained: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(
        model_name="fast", width=8, images_per_second=900, passes=7.5, seconds=17,
        validation_seconds=1,
    )  # fmt: skip
    monkeypatch.setattr("apparel.training.budget.plan", lambda *_, **__: plan)
    monkeypatch.setattr("apparel.cli.run._after_training", lambda *_: None)
    arguments = ("run", "--data", digits_file, "--budget", "20s", "--run-dir", "run")
    done = run_command(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Budget of 20 s: {plan}\n" in done.stdout
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["plan"] == asdict(plan)
    assert settings["settings"] == asdict(Settings(model_name="fast", width=8, budget=20))
    assert settings["recipe"]["epochs"] == 8


@pytest.mark.slow
def test_a_fast_model_reports_all_accuracies_and_opens_without_apparel(tmp_path: Path) -> None:
    # Long enough for shifts.
    options = "run --limit 600 --epochs 8 --model fast --width 8 --run-dir run"
    done = run_command(*options.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    names = {
        "accuracy": "Accuracy          ",
        "accuracy_flip_averaged": "Flip-averaged acc.",
        "accuracy_view_averaged": "View-averaged acc.",
    }
    again = run_command("evaluate", "run", cwd=tmp_path)
    for name, shown in names.items():
        low, value, high = (metrics[name][part] for part in ("low", "value", "high"))
        assert 0.3 < low < value < high
        for output in (done.stdout, again.stdout):
            assert f"{shown} {value:.4f}" in output
    code = (
        "import sys; sys.modules['apparel'] = None\n"
        "import keras, numpy as np\n"
        "model = keras.models.load_model('run/model.keras', safe_mode=True)\n"
        "images = np.load('images.npy') / np.float32(255)\n"
        "np.save('found.npy', model.predict(images, verbose=0))\n"
    )
    np.save(tmp_path / "images.npy", loading.load(limit=600).test_images)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    written = np.genfromtxt(tmp_path / "run" / "predictions.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), written[:, 4:], atol=1e-5)


def test_four_files_and_seven_calls_lead_to_keras(
    digits_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[str] = []

    def stop(*_: object, **__: object) -> None:
        files.extend(frame.filename for frame in traceback.extract_stack())
        raise RuntimeError("reached")

    monkeypatch.setattr(keras.Sequential, "fit", stop)
    done = run_command("run", "--data", digits_file, "--run-dir", "run", cwd=tmp_path)
    assert "reached" in done.stderr
    ours = [name for name in files if f"{Path(apparel.__file__).parent}/" in name]
    assert 1 < len(ours) <= 7
    assert len(set(ours)) <= 4


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
