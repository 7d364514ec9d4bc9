import csv
import io

import numpy as np
import pytest

from apparel import text
from apparel.records import Evaluation, Finding, Interval, Prediction

NAMES = ("ant", "bee, the", "c")


def evaluation(n=1200):
    return Evaluation(
        true=np.zeros(n, np.int64),
        predicted=np.zeros(n, np.int64),
        probabilities=np.zeros((n, 3), np.float32),
        class_names=NAMES,
        confusion=np.zeros((3, 3), np.int64),
        metrics={
            "accuracy": Interval(0.91234, 0.90006, 0.92),
            "log_loss": Interval(0.25, 0.2, 0.3),
        },
        per_class=(),
        report="THE REPORT",
    )


def prediction(name, probabilities, true=None):
    return Prediction(
        name=name, probabilities=np.array(probabilities, np.float32), class_names=NAMES, true=true
    )


@pytest.fixture
def predictions():
    return [
        prediction("0", [0.125, 0.75, 0.125], true=1),
        prediction("long name", [0.0625, 0.25, 0.6875], true=0),
        prediction("x", [1, 0, 0]),
    ]


def test_a_metric_shows_its_value_and_interval_with_four_digits():
    assert text.metric_table(evaluation()) == {
        "Accuracy": "0.9123  (95 % interval 0.9001 to 0.9200)",
        "Log loss": "0.2500  (95 % interval 0.2000 to 0.3000)",
    }
    assert text.metric_lines(evaluation()).splitlines() == [
        "Accuracy           0.9123  (95 % interval 0.9001 to 0.9200)",
        "Log loss           0.2500  (95 % interval 0.2000 to 0.3000)",
    ]


def test_every_metric_of_an_evaluation_has_a_name_for_people():
    assert list(text.METRIC_NAMES) == [
        "accuracy", "precision", "recall", "f1", "log_loss", "accuracy_flip_averaged",
        "accuracy_view_averaged",
    ]  # fmt: skip
    assert max(map(len, text.METRIC_NAMES.values())) <= 18  # the width of the column


def test_the_summary_tells_all_that_was_measured():
    summary = text.test_summary(evaluation(), {"loss": 0.25, "recall": 0.90006})
    assert summary == (
        "\nTest result on 1,200 images\n"
        "Accuracy           0.9123  (95 % interval 0.9001 to 0.9200)\n"
        "Log loss           0.2500  (95 % interval 0.2000 to 0.3000)\n"
        "Keras evaluate     loss 0.2500  recall 0.9001\n"
        "\n"
        "THE REPORT"
    )


def test_a_prediction_shows_whether_it_is_right_and_every_confidence(predictions):
    lines = text.prediction_lines(predictions).splitlines()
    assert lines[0] == "0: predicted bee, the, true bee, the (right)"
    assert lines[1].startswith("    bee, the 75.0%, ")
    assert lines[2] == "long name: predicted c, true ant (wrong)"
    assert lines[3] == "    c 68.8%, bee, the 25.0%, ant 6.2%"
    assert lines[4] == "x: predicted ant"
    assert len(lines) == 6


def test_a_table_of_predictions_stands_in_columns(predictions):
    assert text.prediction_table(predictions).splitlines() == [
        "0          bee, the   75.0%",
        "long name  c          68.8%",
        "x          ant       100.0%",
    ]


def test_a_csv_table_restores_every_probability_bit_for_bit():
    given = np.array([[1 / 3, 1 / 7, 1e-30], [0.1, 0.7, 0.2]], np.float32)
    table = text.prediction_csv([prediction('a,"b".png', given[0]), prediction("é", given[1])])
    header, *rows = csv.reader(io.StringIO(table))
    assert header == ["file", "label", "confidence", *NAMES]
    assert [row[:2] for row in rows] == [['a,"b".png', "ant"], ["é", "bee, the"]]
    read = np.array([row[3:] for row in rows]).astype(np.float32)
    assert read.tobytes() == given.tobytes()
    assert [np.float32(row[2]) for row in rows] == [given[0].max(), given[1].max()]
    assert "\r" not in table


def test_an_explanation_says_what_the_metrics_mean_before_the_results():
    said = text.explanation(
        [("Accuracy", "share that is right."), ("Recall", "share that is found.")],
        [Finding("overall", "It is good."), Finding("gap", "It overfits.")],
    )
    assert said == (
        "\nWhat the metrics mean\n- Accuracy: share that is right.\n- Recall: share that is found."
        "\n\nWhat these results say\n- It is good.\n- It overfits."
    )
