from dataclasses import replace

import numpy as np
import pytest

from apparel.core.records import (
    Calibration,
    Evaluation,
    FailedImage,
    Finding,
    Interval,
    Prediction,
    TestedRun,
)
from apparel.evaluation.comparison import compare
from apparel.reporting import text
from tests.conftest import NO_RELIABILITY, UNSURE

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
        **UNSURE,
    )


def prediction(name, probabilities, true=None):
    return Prediction(
        name=name, probabilities=np.array(probabilities, np.float32), class_names=NAMES, true=true
    )


SURE = prediction("sure", [1, 0, 0])


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
        "accuracy", "balanced_accuracy", "precision", "recall", "f1", "top_2_accuracy", "log_loss",
        "brier_score", "expected_calibration_error", "accuracy_flip_averaged",
        "accuracy_view_averaged", "accuracy_without_leaks",
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
        "THE REPORT\n"
        "Temperature: none was needed; calibration error 0.0000.\n"
        "Abstaining: nobody chose a threshold, as there were no validation images for it."
    )


def test_only_a_second_look_at_the_test_images_is_told():
    assert text.looks_line(1) == ""
    assert text.looks_line(3).startswith("The test images of this run have been scored 3 times: ")


def test_an_accuracy_beyond_belief_is_warned_of_with_the_usual_causes():
    def line(accuracy, n=1200):
        metrics = {"accuracy": Interval(accuracy, 0.9, 1)}
        return text.too_good_line(replace(evaluation(n), metrics=metrics), 0.975)

    assert line(0.975) == line(0.9965, n=999) == ""
    warning = line(0.9965)
    assert warning.startswith("Warning: an accuracy of 99.7% is too good to be true")
    assert "MNIST's digits" in warning
    assert "test images among the training images" in warning


def test_the_summary_tells_what_temperature_and_threshold_do():
    after, before = (
        replace(NO_RELIABILITY, expected_calibration_error=Interval(error, 0, 1))
        for error in (0.0076, 0.0391)
    )
    result = replace(
        evaluation(),
        calibration=Calibration(
            temperature=1.3, target_accuracy=0.97, threshold=0.618, n_images=6000
        ),
        reliability=after,
        reliability_before=before,
        abstention=replace(
            UNSURE["abstention"],
            coverage=Interval(0.9042, 0.898, 0.91),
            accuracy=Interval(0.9713, 0.9676, 0.9746),
        ),
    )
    assert text.calibration_lines(result).splitlines() == [
        "Temperature: 1.30, chosen on 6,000 validation images; calibration error 0.0391 without, "
        "0.0076 with.",
        "Abstaining below a confidence of 0.62: answers 90.4% of the images, 97.1% of them "
        "correctly (96.8% to 97.5%); 97.0% were asked for.",
    ]
    bent = replace(result, calibration=replace(result.calibration, slope=3.4, knee=0.724))
    assert text.calibration_lines(bent).startswith(
        "Temperature: 1.30, and logits below 0.72 stretched 3.4 times, chosen on 6,000 "
    )


def test_the_summary_tells_that_no_confidence_was_high_enough():
    chosen = Calibration(temperature=1.0, target_accuracy=0.97, threshold=None, n_images=6000)
    assert text.calibration_lines(replace(evaluation(), calibration=chosen)).splitlines()[1] == (
        "Abstaining: no confidence was high enough for an accuracy of 97.0%."
    )


def test_a_prediction_shows_whether_it_is_right_and_every_confidence(predictions):
    lines = text.prediction_lines(predictions).splitlines()
    assert lines[0] == "0: predicted bee, the, true bee, the (right)"
    assert lines[1].startswith("    bee, the 75.0%, ")
    assert lines[2] == "long name: predicted c, true ant (wrong)"
    assert lines[3] == "    c 68.8%, bee, the 25.0%, ant 6.2%"
    assert lines[4] == "x: predicted ant"
    assert len(lines) == 6


def test_predictions_stand_in_columns(predictions):
    assert text.prediction_rows(predictions).splitlines() == [
        "0          bee, the   75.0%",
        "long name  c          68.8%",
        "x          ant       100.0%",
    ]


def test_several_classes_are_named_the_most_probable_first(predictions):
    rows = text.prediction_rows([*predictions[:1], FailedImage(name="b", problem="why")], top=2)
    top = predictions[0].top(2)
    assert [p for _, p in top] == sorted(predictions[0].probabilities, reverse=True)[:2]
    width = max(len(label) for label, _ in top)
    shown = "  ".join(f"{label:<{width}}  {p:6.1%}" for label, p in top)
    assert rows.splitlines() == [f"0  {shown}", "b  error: why"]
    assert len(predictions[0].top(9)) == len(NAMES)


def test_an_answer_below_the_threshold_is_marked(predictions):
    rows = text.prediction_rows(predictions, threshold=0.75).splitlines()
    assert [row.endswith("  not sure") for row in rows] == [False, True, False]


def test_names_are_shown_in_one_line_that_every_terminal_can_show():
    answers = [replace(SURE, name="a\nb.png"), FailedImage(name="c\udcff.png", problem="why")]
    assert text.prediction_rows(answers).splitlines() == [
        "a\\nb.png     ant  100.0%",
        "c\\udcff.png  error: why",
    ]


def notes_on(*parts):
    notes = text.PredictionNotes()
    for part in parts:
        notes.add(part)
    return notes.lines()


def test_images_unlike_the_training_images_are_warned_of():
    likely, unlikely = replace(SURE, novelty=1.0), replace(SURE, name="digit", novelty=1.1)
    rows = text.prediction_rows([likely, unlikely]).splitlines()
    assert rows == ["sure   ant  100.0%", "digit  ant  100.0%  unlike the training images"]
    assert notes_on([likely]) == notes_on([SURE]) == ""
    warning = notes_on([likely, unlikely], [replace(unlikely, novelty=9.0)])
    assert warning.startswith("\nWarning: 2 of 3 images are unlike what the model was trained on.")
    assert notes_on([likely, unlikely]).startswith("\nWarning: 1 of 2 images is unlike")
    assert notes_on([unlikely]).startswith("\nWarning: this image is unlike")


def test_the_notes_say_what_was_done_to_which_images_and_which_failed():
    steps = ("trimmed the background", "negated")
    first = [replace(SURE, steps=steps), replace(SURE, name="b", steps=("negated",))]
    second = [
        replace(SURE, name="c", steps=steps),
        replace(SURE, name="d"),
        FailedImage(name="e", problem="why"),
    ]
    assert notes_on(first, second).splitlines() == [
        "",
        "Brought into the form of the training images (--raw leaves this out):",
        "  2 images: trimmed the background, negated",
        "  b: negated",
        "",
        "1 of 5 images could not be read.",
    ]


def test_an_explanation_says_what_the_metrics_mean_before_the_results():
    said = text.explanation(
        [("Accuracy", "share that is right."), ("Recall", "share that is found.")],
        "It is good.",
        [
            Finding(topic="gap", text="It overfits.", advice="Stop.", weight=0.2),
            Finding(topic="imbalance", text="Bees are rare.", advice="Add bees.", weight=0.1),
        ],
    )
    assert said == (
        "\nWhat the metrics mean\n- Accuracy: share that is right.\n- Recall: share that is found."
        "\n\nWhat these results say\nIt is good.\n\n"
        "1. It overfits.\n   Try: Stop.\n2. Bees are rare.\n   Try: Add bees."
    )


def test_an_explanation_without_findings_says_so():
    assert text.explanation([], "It is good.", ()).endswith(
        "What these results say\nIt is good.\n\nNothing stands out."
    )


# -- comparisons -----------------------------------------------------------------------


def run_of(name, right, setting):
    true = np.zeros(len(right), np.int64)
    return TestedRun(
        name=name,
        setting=setting,
        true=true,
        predicted=np.where(right, 0, 1),
        class_names=("ant", "bee"),
        test_sha256="abc",
    )


def two_runs(only_first, only_second, n=1000):
    counts = (n - only_first - only_second - 10, only_first, only_second, 10)
    return [
        run_of("runs/one", np.repeat([True, True, False, False], counts), "s"),
        run_of("runs/two", np.repeat([True, False, True, False], counts), "t"),
    ]


def test_the_better_of_two_runs_is_named_with_its_interval():
    lines = text.comparison(compare(two_runs(12, 40))).splitlines()
    assert lines[:3] == [
        "A  95.00%  runs/one",
        "B  97.80%  runs/two",
        "on the same 1,000 test images. B is better: +2.8 points (1.4 to 4.2), p = 0.0001, "
        "McNemar's exact test.",
    ]
    assert lines[4] == (
        "Only A is right on 12 images: 938, 939, 940, 941, 942, 943, 944, 945, 946, 947, …."
    )
    assert lines[-1] == "  ant  +2.8 points (1.4 to 4.2)"
    turned = text.comparison(compare(two_runs(40, 12))).splitlines()
    assert "A is better: +2.8 points (1.4 to 4.2), p = 0.0001," in turned[2]


def test_no_evidence_is_called_so():
    said = text.comparison(compare(two_runs(3, 1)))
    assert "No evidence of a difference: B minus A is -0.2 points (-0.6 to 0.2), p = 0.6250" in said
    assert "Only B is right on 1 image: 989." in said
    assert "Only B is right on no image." in text.comparison(compare(two_runs(9, 0)))


def test_groups_name_every_run():
    groups = [
        run_of(f"{setting}{k}", np.arange(1000) < right, setting)
        for setting, rights in (("a", (900, 905)), ("b", (940, 944)))
        for k, right in enumerate(rights)
    ]
    lines = text.comparison(compare(groups)).splitlines()
    assert lines[:4] == ["A  90.00%  a0", "A  90.50%  a1", "B  94.00%  b0", "B  94.40%  b1"]
    assert "B is better: +3.9 points (2.5 to 5.4), p = 0.0" in lines[4]
    assert lines[4].endswith("Welch's t-test.")
