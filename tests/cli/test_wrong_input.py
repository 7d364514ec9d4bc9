"""Odd test sets go through everything that reads an Evaluation; broken ones are refused."""

import io
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from apparel.core.errors import ApparelError, DataError
from apparel.core.records import Calibration, Evidence, History, Report, Saliency, TestedRun
from apparel.evaluation import comparison, label_issues, metrics
from apparel.evaluation.robustness import measure_robustness
from apparel.explain import findings
from apparel.models import keras_inference
from apparel.reporting import plots, text
from apparel.reporting.html.page import html_page
from apparel.reporting.model_card import model_card
from apparel.runs import files

CALIBRATION = Calibration(temperature=1.2, target_accuracy=0.97, threshold=0.6, n_images=50)
HISTORY = History(history={"loss": (0.5,), "accuracy": (0.8,)}, seconds=(1,), dtype="float32")


def said_of(labels, n_classes, skill):
    """Probabilities that tend to be right by `skill`, wrong where it is below 0."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(len(labels), n_classes))
    logits[np.arange(len(labels)), labels] += skill
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


ALL_OF_ONE = np.zeros((40, 4), np.float32)
ALL_OF_ONE[:, 1] = 1
CASES = {
    "a class without images": (said_of(np.arange(40) % 3, 4, 2), np.arange(40) % 3, 4),
    "images of one class alone": (said_of(np.zeros(20, int), 4, 2), np.zeros(20, int), 4),
    "one image, right": (said_of([2], 4, 9), np.array([2]), 4),
    "one image, wrong": (said_of([2], 4, -9), np.array([2]), 4),
    "all predictions equal": (ALL_OF_ONE, np.arange(40) % 4, 4),
    "all probabilities equal": (np.full((40, 4), 0.25, np.float32), np.arange(40) % 4, 4),
    "all right": (said_of(np.arange(40) % 4, 4, 50), np.arange(40) % 4, 4),
    "all wrong": (said_of(np.arange(40) % 4, 4, -50), np.arange(40) % 4, 4),
    "two classes": (said_of(np.arange(30) % 2, 2, 1), np.arange(30) % 2, 2),
    "a thousand classes": (said_of(np.arange(900), 1000, 5), np.arange(900), 1000),
}


@pytest.fixture(params=CASES)
def evaluation(request):
    probabilities, labels, n_classes = CASES[request.param]
    names = tuple(f"class {k}" for k in range(n_classes))
    return metrics.evaluate(probabilities, labels, names, calibration=CALIBRATION)


def drawn(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=20)
    return file.getvalue()


def mistakes_of(evaluation, images):
    worst = evaluation.worst_mistakes(5)
    described = keras_inference.describe(
        worst, evaluation.probabilities[worst], images, evaluation.true, evaluation.class_names
    )
    maps = np.zeros((len(worst), *images.shape[1:3]), np.float32)
    return described, Saliency(grad_cam=maps, occlusion=maps)


def images_for(evaluation):
    return np.zeros((len(evaluation.true), 8, 8, 1), np.float32)


def test_every_plot_is_drawn_without_a_warning(evaluation):
    names = evaluation.class_names
    images = images_for(evaluation)
    mistakes, maps = mistakes_of(evaluation, images)
    first = keras_inference.describe(
        [0], evaluation.probabilities[:1], images, evaluation.true, names
    )
    for figure in (
        plots.calibration_figure(evaluation),
        plots.confusion_matrix_figure(evaluation.confusion, names),
        plots.mistakes_figure(mistakes, maps),
        plots.predictions_figure(first),
    ):
        assert drawn(figure).startswith(b"\x89PNG")


def test_report_card_and_terminal_say_the_right_accuracy(evaluation):
    accuracy = float((evaluation.probabilities.argmax(axis=1) == evaluation.true).mean())
    images = images_for(evaluation)
    mistakes, maps = mistakes_of(evaluation, images)
    evidence = Evidence(
        evaluation=evaluation,
        history=HISTORY,
        images_per_class=[9] * len(evaluation.class_names),
        label_issues=(),
        robustness=None,
    )
    content = Report(
        title="an odd test set",
        summary="",
        headline=findings.headline(evaluation),
        findings=findings.explain(evidence),
        evaluation=evaluation,
        train_images=images[:0],
        test_images=images,
        history=HISTORY,
        mistakes=mistakes,
        saliency=maps,
        label_issues=(),
        robustness=None,
        check=None,
        facts={"Data": "made up"},
        command="",
    )
    shown = f"{accuracy:.4f}"
    assert shown in html_page(content)
    assert shown in model_card(content)
    assert shown in text.metric_lines(evaluation)
    assert text.calibration_lines(evaluation)
    # Neither NaN nor infinity is JSON.
    written = json.dumps(files.metrics(evaluation), allow_nan=False)
    assert json.loads(written)["accuracy"]["value"] == accuracy


def test_two_runs_on_it_can_be_compared(evaluation):
    runs = [
        TestedRun(
            name=name,
            setting=name,
            true=evaluation.true,
            predicted=predicted,
            class_names=evaluation.class_names,
            test_sha256="",
        )
        for name, predicted in (("A", evaluation.predicted), ("B", evaluation.true))
    ]
    (pair,) = comparison.compare(runs)
    lost = float((evaluation.true != evaluation.predicted).mean())
    assert pair.accuracy.share.value == pytest.approx(lost)
    assert text.comparison([pair])


def test_suspects_are_looked_for_on_it(evaluation, capfd):
    found = label_issues.find(
        evaluation.probabilities, evaluation.true, evaluation.class_names, split="test"
    )
    assert set(found.indices.tolist()) <= set(range(len(evaluation.true)))
    assert not np.isnan(found.label_quality).any()
    assert drawn(plots.label_issues_figure(found, images_for(evaluation))).startswith(b"\x89PNG")
    assert capfd.readouterr() == ("", "")


GOOD = said_of(np.arange(8) % 4, 4, 1)
NOT_A_NUMBER, HALVED = GOOD.copy(), GOOD.copy()
NOT_A_NUMBER[3, 1] = np.nan
HALVED[5] /= 2


@pytest.mark.parametrize(
    ("probabilities", "labels", "error", "words"),
    [
        (NOT_A_NUMBER, np.arange(8) % 4, ApparelError, "not finite numbers"),
        (HALVED, np.arange(8) % 4, ApparelError, "those of image 5 sum to 0.5"),
        (GOOD, np.arange(8), DataError, "0 to 3"),
        (GOOD, np.arange(8) % 4 - 1, DataError, "0 to 3"),
        (GOOD, np.arange(7) % 4, DataError, r"\(7, 4\)"),
        (GOOD[:0], np.arange(0), DataError, r"\(0, 4\)"),
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
