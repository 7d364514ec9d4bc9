"""Commands on a finished run, and their functions: evaluate, compare, stress, suspects, report."""

import json
import sys

import numpy as np
import pytest

import apparel
from apparel.cli.report import load_report
from apparel.core.errors import ModelFileError
from apparel.core.messages import say
from apparel.core.records import Attack, CorruptionCurve, Interval, Robustness
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.quality.check import check_data, exact_duplicates_of
from apparel.data.splits import prepare
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory
from apparel.training import cross_validation
from tests.conftest import run_command


def looks(run_copy):
    return json.loads((run_copy / "settings.json").read_text())["test_looks"]


def test_evaluate_finds_the_same_figures_and_counts_itself(run_copy, capfd):
    found = apparel.evaluate(run_copy)
    assert capfd.readouterr() == ("", "")
    metrics = json.loads((run_copy / "metrics.json").read_text())
    assert found.metrics["accuracy"].value == metrics["accuracy"]["value"]
    assert looks(run_copy) == 2
    result = run_command("evaluate", "run", cwd=run_copy.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert metrics["report"].strip() in result.stdout
    assert f"Accuracy           {metrics['accuracy']['value']:.4f}" in result.stdout
    assert "Abstaining" in result.stdout
    assert "have been scored 3 times" in result.stdout


def test_evaluate_takes_other_images_and_does_not_count_them(run_copy, digits_file, tmp_path):
    with pytest.raises(ModelFileError, match="takes images of shape"):
        apparel.evaluate(run_copy, data=str(digits_file))
    images = loading.load(limit=1000).test_images[:100, :, :, 0]
    labels = np.arange(100) % 10
    np.savez(tmp_path / "other.npz", x_train=images, y_train=labels, x_test=images // 2,
             y_test=labels)  # fmt: skip
    assert len(apparel.evaluate(run_copy, data=str(tmp_path / "other.npz")).true) == 100
    assert looks(run_copy) == 1


def test_a_run_is_no_better_than_itself(finished_run, capfd):
    folder = finished_run[0]
    (pair,) = apparel.compare(folder, folder)
    assert pair.accuracy.share.value == 0
    assert capfd.readouterr() == ("", "")
    result = run_command("compare", folder, folder, cwd=folder.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert "No evidence of a difference: B minus A is +0.0 points" in result.stdout


def test_stress_and_suspects_print_nothing_and_return_their_records(run_copy, monkeypatch, capfd):
    share = Interval(0.5, 0.4, 0.6)
    measured = Robustness(
        n_images=9,
        accuracy=share,
        curves=(CorruptionCurve(name="noise", unit="", strengths=(1.0,), accuracies=(share,)),),
        attack=Attack(epsilon=0.1, steps=1, n_images=9, accuracy=share),
    )
    dataset = loading.load(limit=1000)
    said = cross_validation.OutOfSample(
        train=wrong_now_and_then(dataset.train_labels), test=wrong_now_and_then(dataset.test_labels)
    )
    monkeypatch.setattr("apparel.cli.stress.measure_robustness", lambda *_, **__: measured)
    monkeypatch.setattr("apparel.cli.stress.report", lambda run, data_dir: None)
    monkeypatch.setattr("apparel.cli.suspects.report", lambda run, data_dir: None)
    monkeypatch.setattr(
        cross_validation, "cross_validate", lambda *_: say("Fold 1", file=sys.stderr) or said
    )
    assert apparel.stress(run_copy) == measured == files.read_robustness(run_copy)
    train, test = apparel.suspects(run_copy)
    assert (train.split, test.split) == ("train", "test")
    assert len(train.indices) > 0
    for name in ("robustness", "suspects_train", "suspects_test"):
        assert (run_copy / "plots" / f"{name}.png").is_file()
    assert looks(run_copy) == 2
    assert capfd.readouterr() == ("", "")


def wrong_now_and_then(labels):
    """Sure probabilities that contradict every fiftieth label."""
    said = labels.copy()
    said[::50] = (said[::50] + 1) % 10
    return (0.9 * np.eye(10)[said] + 0.01).astype(np.float32)


def test_report_is_written_anew_without_a_check_of_other_images(run_copy, monkeypatch, capfd):
    made = []
    monkeypatch.setattr("apparel.cli.report.html_page", lambda page: made.append(page) or "new")
    found = json.loads((run_copy / "check.json").read_text(encoding="utf-8"))
    (run_copy / "check.json").write_text(json.dumps({**found, "sha256": "another"}))
    assert apparel.report(run_copy) == made[0]
    assert (run_copy / "report.html").read_text() == "new"
    assert made[0].check is None
    assert capfd.readouterr() == ("", "")


def test_everything_of_a_run_is_gathered(finished_run):
    folder = finished_run[0]
    content = load_report(RunDirectory.open(folder))
    written = np.genfromtxt(folder / "predictions.csv", delimiter=",", names=True, dtype=np.float64)
    np.testing.assert_array_equal(content.evaluation.true, written["true"])
    np.testing.assert_array_equal(content.evaluation.predicted, written["predicted"])
    used = loading.load(limit=1000)
    np.testing.assert_array_equal(content.train_images, used.train_images)
    np.testing.assert_array_equal(content.test_images, used.test_images)
    assert content.title == "cnn on fashion-mnist"
    n_images = len(prepare(used, Settings()).training)
    assert content.summary == (
        f"The model cnn, with 1,207,498 parameters, was trained on {n_images} images "
        "of 10 classes from fashion-mnist, and tested on 1,000 others."
    )
    wrong = written["true"] != written["predicted"]
    sure = written["confidence"][wrong]
    assert [m.confidence for m in content.mistakes] == pytest.approx(sorted(sure)[:-25:-1])
    assert content.saliency.grad_cam.shape == content.saliency.occlusion.shape == (24, 28, 28)
    assert (content.label_issues, content.robustness) == ((), None)
    assert content.check == check_data(used, exact_duplicates_of(used), None)
    assert content.command == (
        "apparel run --epochs 1 --batch-size 100 --seed 3 --dtype float32 "
        "--weight-averaging 0.5 --limit 1000"
    )


def test_an_interrupted_run_is_to_be_finished_first(run_copy):
    record = json.loads((run_copy / "settings.json").read_text())
    (run_copy / "settings.json").write_text(json.dumps({**record, "status": "interrupted"}))
    for name in ("weights.safetensors", "predictions.csv"):
        (run_copy / name).unlink()
    arguments = {"compare": ("run",), "export": ("--format", "onnx")}
    for command in ("evaluate", "stress", "suspects", "report", "compare", "export"):
        done = run_command(command, "run", *arguments.get(command, ()), cwd=run_copy.parent)
        assert done.returncode == 4
        assert "is not finished: it has no " in done.stderr
        assert done.stderr.endswith(" yet. Finish it with: apparel resume run\n")


def test_broken_predictions_are_refused_and_the_report_stays(run_copy):
    path, before = run_copy / "predictions.csv", (run_copy / "report.html").read_bytes()
    header, first, *rows = path.read_text(encoding="utf-8").splitlines()
    column = header.split(",").index("true")
    broken = [*first.split(",")[:column], "12", *first.split(",")[column + 1 :]]
    path.write_text("\n".join([header, ",".join(broken), *rows]), encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"predictions\.csv holds no predictions.*0 to 12"):
        apparel.report(run_copy)
    assert (run_copy / "report.html").read_bytes() == before
