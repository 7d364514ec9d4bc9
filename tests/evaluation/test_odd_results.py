"""Odd results go through everything that reads an evaluation; broken ones are refused."""

import io
import json

import numpy as np
import pytest

from apparel.core.errors import ApparelError, DataError
from apparel.core.records import Calibration, Evidence, History
from apparel.evaluation import label_issues, metrics
from apparel.evaluation.robustness import measure_robustness
from apparel.explain import findings
from apparel.reporting import plots, text
from apparel.reporting.html.page import html_page
from apparel.reporting.model_card import model_card
from apparel.runs import files
from tests.reporting.made import report_on

CALIBRATION = Calibration(temperature=1.2, target_accuracy=0.97, threshold=0.6, n_images=50)
HISTORY = History(history={"loss": (0.5,), "accuracy": (0.8,)}, seconds=(1,), dtype="float32")


def said_of(labels, n_classes, skill):
    """Probabilities that tend to be right by `skill`, wrong where it is below 0."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(len(labels), n_classes))
    logits[np.arange(len(labels)), labels] += skill
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


FOUR = np.arange(40) % 4
CASES = {
    "a class without images": (said_of(np.arange(40) % 3, 4, 2), np.arange(40) % 3),
    "one image, wrong": (said_of([2], 4, -9), np.array([2])),
    "all probabilities equal": (np.full((40, 4), 0.25, np.float32), FOUR),
    "all right": (said_of(FOUR, 4, 50), FOUR),
    "all wrong": (said_of(FOUR, 4, -50), FOUR),
    "a thousand classes": (said_of(np.arange(900), 1000, 5), np.arange(900)),
}


def assert_drawn(figure):
    file = io.BytesIO()
    figure.savefig(file, dpi=20)
    assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if "thousand" in name else []) for name in CASES],
)
def test_an_odd_result_is_told_drawn_written_and_searched(name, capfd):
    probabilities, labels = CASES[name]
    names = tuple(f"class {k}" for k in range(probabilities.shape[1]))
    evaluation = metrics.evaluate(probabilities, labels, names, calibration=CALIBRATION)
    known = Evidence(evaluation=evaluation, history=HISTORY, images_per_class=[9] * len(names))
    report = report_on(
        evaluation,
        np.zeros((len(labels), 8, 8, 1), np.float32),
        history=HISTORY,
        headline=findings.headline(evaluation),
        findings=findings.explain(known),
    )
    accuracy = float((evaluation.predicted == labels).mean())
    for said in (html_page(report), model_card(report), text.metric_lines(evaluation)):
        assert f"{accuracy:.4f}" in said
    assert text.calibration_lines(evaluation)
    # Neither NaN nor infinity is JSON.
    written = json.dumps(files.metrics(evaluation), allow_nan=False)
    assert json.loads(written)["accuracy"]["value"] == accuracy
    assert_drawn(plots.calibration_figure(evaluation))
    assert_drawn(plots.confusion_matrix_figure(evaluation.confusion, names))
    assert_drawn(plots.mistakes_figure(report.mistakes[:2], report.saliency))
    found = label_issues.find(probabilities, labels, names, split="test")
    assert set(found.indices.tolist()) <= set(range(len(labels)))
    assert not np.isnan(found.label_quality).any()
    assert capfd.readouterr() == ("", "")


GOOD = said_of(np.arange(8) % 4, 4, 1)


def with_row(*row):
    return np.concatenate([GOOD[:7], np.array([row], np.float32)])


@pytest.mark.parametrize(
    ("probabilities", "labels", "error", "words"),
    [
        (with_row(0.5, 0.5, np.nan, 0), np.arange(8) % 4, ApparelError, "training diverged"),
        (with_row(0.5, 0.1, 0.1, 0.1), np.arange(8) % 4, ApparelError, "image 7 sum to 0.8"),
        (with_row(1.2, -0.2, 0, 0), np.arange(8) % 4, ApparelError, "the least of all is -0.2"),
        (GOOD, np.arange(8), DataError, "0 to 3"),
        (GOOD, np.arange(8) % 4 - 1, DataError, "0 to 3"),
        (GOOD[:, :3], np.arange(8) % 4, DataError, r"shape \(8, 4\)"),
        (GOOD[:0], np.arange(0), DataError, r"shape \(0, 4\)"),
    ],
)
def test_broken_results_are_refused(probabilities, labels, error, words):
    names = tuple("abcd")
    with pytest.raises(error, match=words):
        metrics.evaluate(probabilities, labels, names)
    with pytest.raises(error, match=words):
        label_issues.find(probabilities, labels, names, split="train")
    if len(labels):
        images = np.zeros((len(labels), 8, 8, 1), np.float32)
        with pytest.raises(error):
            measure_robustness(lambda _: probabilities, None, images, labels, seed=0)
