"""A report is made of what a run left behind, or refused where that is broken."""

import csv
import json
import shutil

import numpy as np
import pytest

from apparel.cli import gather, workflow
from apparel.core.errors import ModelFileError
from apparel.data import loading
from apparel.data.quality.check import check_data, exact_duplicates_of
from apparel.runs.run_directory import RunDirectory


@pytest.fixture
def run(finished_run, tmp_path):
    shutil.copytree(finished_run[0], tmp_path / "run")
    return tmp_path / "run"


def test_everything_of_a_run_is_gathered(run):
    content = gather.load_report(RunDirectory.open(run), None)
    written = np.genfromtxt(run / "predictions.csv", delimiter=",", names=True, dtype=np.float64)
    np.testing.assert_array_equal(content.evaluation.true, written["true"])
    np.testing.assert_array_equal(content.evaluation.predicted, written["predicted"])
    used = loading.load(limit=1000, seed=3)
    np.testing.assert_array_equal(content.train_images, used.train_images)
    np.testing.assert_array_equal(content.test_images, used.test_images)
    assert content.title == "cnn on fashion-mnist"
    assert content.summary == (
        "The model cnn, with 1,207,498 parameters, was trained on 900 images of 10 classes from "
        "fashion-mnist, and tested on 1,000 others."
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


def test_a_check_of_other_images_is_not_shown(run):
    found = json.loads((run / "check.json").read_text(encoding="utf-8"))
    (run / "check.json").write_text(json.dumps({**found, "sha256": "another"}), encoding="utf-8")
    assert gather.load_report(RunDirectory.open(run), None).check is None


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p_0", "nan", "not finite numbers"),
        ("p_0", "7", "sum to"),
        ("true", "12", "go from 0 to 12"),
        ("true", "-1", "go from -1 to 9"),
        ("true", "many", "invalid literal"),
    ],
)
def test_broken_predictions_are_refused_and_the_report_stays(run, column, value, words):
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[7][column] = value
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    before = (run / "report.html").read_bytes()
    with pytest.raises(ModelFileError, match=rf"predictions\.csv holds no predictions.*{words}"):
        workflow.write_report(run)
    assert (run / "report.html").read_bytes() == before
