"""Lines about test results, predictions and comparisons, word by word."""

from dataclasses import replace

import numpy as np
import pytest

from apparel.core.records import (
    Calibration,
    Comparison,
    Evaluation,
    Exported,
    FailedImage,
    Finding,
    Interval,
    Prediction,
    SeedsResult,
    Spread,
    TestedRun,
)
from apparel.evaluation.comparison import compare
from apparel.reporting import text
from tests.conftest import NO_RELIABILITY, UNSURE
from tests.reporting.made import label_issues, robustness

NAMES = ("ant", "bee, the", "c")


def evaluation(n=1200):
    zeros = np.zeros(n, np.int64)
    metrics = {"accuracy": Interval(0.91234, 0.90006, 0.92), "log_loss": Interval(0.25, 0.2, 0.3)}
    return Evaluation(
        true=zeros, predicted=zeros, probabilities=np.zeros((n, 3), np.float32), class_names=NAMES,
        confusion=np.zeros((3, 3), np.int64), metrics=metrics, per_class=(), report="THE REPORT",
        **UNSURE,
    )  # fmt: skip


# -- evaluation --------------------------------------------------------------------------


def test_the_summary_holds_every_result():
    assert text.test_summary(evaluation(), {"loss": 0.25, "recall": 0.90006}) == (
        "\nTest result on 1,200 images\n"
        "Accuracy           0.9123  (95 % interval 0.9001 to 0.9200)\n"
        "Log loss           0.2500  (95 % interval 0.2000 to 0.3000)\n"
        "Keras evaluate     loss 0.2500  recall 0.9001\n"
        "\n"
        "THE REPORT\n"
        "Temperature: none was needed; calibration error 0.0000.\n"
        "Abstaining: no threshold, as there were no validation images."
    )


def test_only_a_repeated_test_is_mentioned():
    assert text.repeated_test_line(1) == ""
    assert text.repeated_test_line(3) == (
        "The test images of this run have been scored 3 times: choices made after a test result "
        "make later ones too optimistic.\n"
    )


def test_an_incredible_accuracy_is_warned_of_with_the_usual_causes():
    result = replace(evaluation(), metrics={"accuracy": Interval(0.9965, 0.9, 1)})
    assert text.too_good_line(result, 0.9965) == ""
    assert text.too_good_line(replace(result, true=result.true[:999]), 0.975) == ""
    warning = text.too_good_line(result, 0.975)
    assert warning.startswith("Warning: an accuracy of 99.7% is too good to be true")
    assert "MNIST's digits" in warning
    assert "test images among the training images" in warning


def test_calibration_and_abstention_in_a_line_each():
    after, before = (
        replace(NO_RELIABILITY, expected_calibration_error=Interval(error, 0, 1))
        for error in (0.0076, 0.0391)
    )
    fitted = Calibration(temperature=1.3, target_accuracy=0.97, threshold=0.618, n_images=6000)
    result = replace(
        evaluation(),
        calibration=fitted,
        reliability=after,
        reliability_before=before,
        abstention=replace(
            UNSURE["abstention"],
            coverage=Interval(0.9042, 0.898, 0.91),
            accuracy=Interval(0.9713, 0.9676, 0.9746),
        ),
    )
    assert text.calibration_lines(result).splitlines() == [
        "Temperature: 1.30, fitted on 6,000 validation images; calibration error 0.0391 without, "
        "0.0076 with.",
        "Abstaining below a confidence of 0.62: answers 90.4% of the images, 97.1% of them "
        "correctly (96.8% to 97.5%); 97.0% were asked for.",
    ]
    scaled = replace(result, calibration=replace(fitted, slope=3.4, knee=0.724))
    assert text.calibration_lines(scaled).startswith(
        "Temperature: 1.30, and logits below 0.72 scaled by 3.4, fitted on 6,000 "
    )
    none = replace(evaluation(), calibration=replace(fitted, temperature=1.0, threshold=None))
    assert text.calibration_lines(none).splitlines()[1] == (
        "Abstaining: no threshold, as no confidence was high enough for an accuracy of 97.0%."
    )


def test_an_explanation_gives_the_metrics_before_the_results():
    metrics = [("Accuracy", "share that is right."), ("Recall", "share that is found.")]
    findings = [
        Finding(topic="gap", text="It overfits.", advice="Stop.", weight=0.2),
        Finding(topic="imbalance", text="Bees are rare.", advice="Add bees.", weight=0.1),
    ]
    assert text.explanation(metrics, "It is good.", findings) == (
        "\nWhat the metrics mean\n- Accuracy: share that is right.\n- Recall: share that is found."
        "\n\nWhat these results say\nIt is good.\n\n"
        "1. It overfits.\n   Try: Stop.\n2. Bees are rare.\n   Try: Add bees."
    )
    assert text.finding_lines([]) == "Nothing stands out."


def test_robustness_stands_in_columns():
    assert text.robustness_lines(robustness("fog")).splitlines() == [
        "Accuracy on 1,200 unchanged test images: 90.0% (85.0% to 93.0%)",
        "and with the images corrupted, at five strengths:",
        "",
        f"fog         metres{' ' * 24}   1:  90.0%   2.5:   5.0%",
        "",
        "Under attack: 0.0% (0.0% to 1.0%) where each pixel may be changed by 0.1 to mislead the "
        "model (projected gradient descent, 40 steps).",
    ]


@pytest.mark.parametrize(("m", "rows"), [(0, 0), (40, 10)])
def test_the_first_ten_label_issues_stand_in_a_table(m, rows):
    heading, *table = text.label_issue_lines(label_issues(m, NAMES)).strip().splitlines()
    assert heading == f"{m} of 100 labels of test images are suspicious ({m / 100:.1%})"
    assert len(table) == (rows + 1 if rows else 0)
    assert not rows or table[1].split() == [str(2 * m - 2), "ant", "bee,", "the", "0.0000"]


def test_an_export_says_how_close_it_is_to_the_model(tmp_path):
    compared = Comparison(
        images=1000, same_class=0.9985, largest_difference=0.00321, accuracy=0.91,
        model_accuracy=0.912, runtime="ONNX Runtime", runtime_version="1.2",
    )  # fmt: skip
    exported = Exported(
        path=tmp_path, format="onnx", precision="int8", comparison=compared, needs={},
        written="", apparel="", size=2_345_678,
    )  # fmt: skip
    assert text.export_lines(exported) == (
        "2.35 MB, onnx, int8, read back in ONNX Runtime 1.2\n"
        "On 1,000 images: the model's class for 99.85%, accuracy 91.00% (the model's: 91.20%), "
        "probabilities within 0.003"
    )


# -- predictions -------------------------------------------------------------------------


def prediction(name, probabilities, true=None):
    return Prediction(
        name=name, probabilities=np.array(probabilities, np.float32), class_names=NAMES, true=true
    )


SURE = prediction("sure", [1, 0, 0])
PREDICTIONS = [
    prediction("0", [0.125, 0.75, 0.125], true=1),
    prediction("long name", [0.0625, 0.25, 0.6875], true=0),
    prediction("x", [1, 0, 0]),
]


def test_a_prediction_shows_whether_it_is_right_and_every_confidence():
    lines = text.prediction_lines(PREDICTIONS).splitlines()
    assert lines[0] == "0: predicted bee, the, true bee, the (right)"
    assert lines[1].startswith("    bee, the 75.0%, ")
    assert lines[2] == "long name: predicted c, true ant (wrong)"
    assert lines[3] == "    c 68.8%, bee, the 25.0%, ant 6.2%"
    assert lines[4] == "x: predicted ant"
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("answers", "options", "rows"),
    [
        (
            PREDICTIONS,
            {},
            ["0          bee, the   75.0%", "long name  c          68.8%",
             "x          ant       100.0%"],
        ),
        (
            [PREDICTIONS[1], FailedImage(name="b", problem="b why")],
            {"top": 2},
            ["long name  c          68.8%  bee, the   25.0%", "b          error: why"],
        ),
        (
            [PREDICTIONS[0], replace(SURE, novelty=1.0), replace(SURE, novelty=1.1)],
            {"threshold": 0.8},
            ["0     bee, the   75.0%  not sure", "sure  ant       100.0%",
             "sure  ant       100.0%  unlike the training images"],
        ),
        (
            [replace(SURE, name="a\nb.png"), FailedImage(name="c\udcff.png", problem="why")],
            {},
            ["a\\nb.png     ant  100.0%", "c\\udcff.png  error: why"],
        ),
    ],
)  # fmt: skip
def test_answers_stand_in_columns(answers, options, rows):
    assert text.prediction_rows(answers, **options).splitlines() == rows


def notes_on(*parts):
    """The lines of notes, counted in one process and in one for each part."""
    notes, joined = text.PredictionNotes(), text.PredictionNotes()
    for part in parts:
        elsewhere = text.PredictionNotes()
        elsewhere.add(part)
        joined.add_counts(elsewhere.counts())
        notes.add(part)
    assert joined.lines() == notes.lines()
    return notes.lines()


def test_images_unlike_the_training_images_are_warned_of():
    likely, unlikely = replace(SURE, novelty=1.0), replace(SURE, name="digit", novelty=1.1)
    assert notes_on([likely]) == notes_on([SURE]) == ""
    warning = notes_on([likely, unlikely], [replace(unlikely, novelty=9.0)])
    assert warning.startswith("\nWarning: 2 of 3 images are unlike what the model was trained on.")
    assert notes_on([unlikely]).startswith("\nWarning: this image is unlike")


def test_notes_name_the_steps_taken_and_count_failures():
    steps = ("trimmed the background", "negated")
    first = [replace(SURE, steps=steps), replace(SURE, name="b", steps=("negated",))]
    second = [
        replace(SURE, name="c", steps=steps),
        replace(SURE, name="d"),
        FailedImage(name="e", problem="why"),
    ]
    assert notes_on(first, second).splitlines() == [
        "",
        "Made similar to the training images (--raw turns this off):",
        "  2 images: trimmed the background, negated",
        "  b: negated",
        "",
        "1 of 5 images could not be read.",
    ]


# -- several runs ------------------------------------------------------------------------


def run_of(name, right, setting):
    true = np.zeros(len(right), np.int64)
    predicted = np.where(right, 0, 1)
    return TestedRun(
        name=name, setting=setting, true=true, predicted=predicted, class_names=("ant", "bee"),
        test_sha256="abc",
    )  # fmt: skip


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
    assert lines[4].startswith("on the same 1,000 test images. B is better: +3.9 points (2.5 to ")
    assert lines[4].endswith("Welch's t-test.")


def test_seeds_have_a_line_each_and_metrics_their_spread():
    spread = Spread(values=(0.9, 0.92), mean=Interval(0.91, 0.8, 1), deviation=0.0141)
    found = SeedsResult(seeds=(3, 12), n_images=1000, metrics={"accuracy": spread})
    assert text.seeds_lines(found).splitlines() == [
        "Accuracy of each of 2 seeds on 1,000 test images",
        "seed 3             0.9000",
        "seed 12            0.9200",
        "",
        "Means over the seeds",
        "Accuracy           0.9100  (95 % interval of the mean 0.8000 to 1.0000, from seed to seed "
        "+/- 0.0141)",
    ]
