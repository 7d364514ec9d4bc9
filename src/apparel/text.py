"""Records → lines of text for a terminal, a notebook or a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from apparel.records import (
    Difference,
    Evaluation,
    Finding,
    GroupComparison,
    Interval,
    LabelSuspects,
    PairComparison,
    Prediction,
    Robustness,
)

if TYPE_CHECKING:  # predictions are written by a command that starts at once
    import numpy as np
    from numpy.typing import NDArray

# With fewer, an accuracy of 98 % where 94 % is true is not beyond chance.
FEWEST_IMAGES = 1000
# Positions of test images in a line.
MOST_POSITIONS = 10
NOTHING_STANDS_OUT = "Nothing stands out."
UNLIKE = "  unlike the training images"

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision (macro)",
    "recall": "Recall (macro)",
    "f1": "F1 (macro)",
    "top_2_accuracy": "Top-2 accuracy",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "expected_calibration_error": "Calibration error",
    "accuracy_flip_averaged": "Flip-averaged acc.",
    "accuracy_view_averaged": "View-averaged acc.",
    "accuracy_without_leaks": "Acc. without leaks",
}


def metric_table(evaluation: Evaluation) -> dict[str, str]:
    """Each metric's name for people, and its value with the 95 % interval."""
    return {
        METRIC_NAMES[name]: f"{m.value:.4f}  (95 % interval {m.low:.4f} to {m.high:.4f})"
        for name, m in evaluation.metrics.items()
    }


def metric_lines(evaluation: Evaluation) -> str:
    """One line a metric, in columns."""
    return "\n".join(f"{name:<18} {value}" for name, value in metric_table(evaluation).items())


def test_summary(evaluation: Evaluation, measures: Mapping[str, float]) -> str:
    """Say everything that was measured on the test set.

    Args:
        evaluation: the result.
        measures: what Keras's own `evaluate` gave, by name.
    """
    keras = "  ".join(f"{name} {value:.4f}" for name, value in measures.items())
    return (
        f"\nTest result on {len(evaluation.true):,} images\n"
        f"{metric_lines(evaluation)}\n"
        f"{'Keras evaluate':<18} {keras}\n\n"
        f"{evaluation.report}\n"
        f"{calibration_lines(evaluation)}"
    )


def looks_line(looks: int) -> str:
    """Say that test images were scored before; nothing the first time."""
    if looks == 1:
        return ""
    return (
        f"The test images of this run have been scored {looks} times: a choice made after a look "
        "at them makes the figures too good.\n"
    )


def too_good_line(evaluation: Evaluation, highest: float) -> str:
    """Warn of an accuracy that nobody has credibly reached; nothing otherwise.

    Args:
        evaluation: the result; on a few images, chance may give any.
        highest: accuracy that has credibly been reached on these classes.
    """
    accuracy = evaluation.metrics["accuracy"].value
    if accuracy <= highest or len(evaluation.true) < FEWEST_IMAGES:
        return ""
    return (
        f"Warning: an accuracy of {accuracy:.1%} is too good to be true: no model has credibly "
        f"reached more than {highest:.1%} on these classes. The usual causes are MNIST's digits "
        "loaded instead of the clothes, and test images among the training images.\n"
    )


def calibration_lines(evaluation: Evaluation) -> str:
    """Say what the temperature did, and what is gained by not answering."""
    return f"{_temperature_line(evaluation)}\n{_abstention_line(evaluation)}"


def _temperature_line(evaluation: Evaluation) -> str:
    calibration = evaluation.calibration
    before, after = (
        reliability.expected_calibration_error
        for reliability in (evaluation.reliability_before, evaluation.reliability)
    )
    if not calibration.is_needed:
        return f"Temperature: none was needed; calibration error {after.value:.4f}."
    bent = ""
    if calibration.slope != 1:
        bent = f", and logits below {calibration.knee:.2f} stretched {calibration.slope:.1f} times"
    return (
        f"Temperature: {calibration.temperature:.2f}{bent}, chosen on {calibration.n_images:,} "
        f"validation images; calibration error {before.value:.4f} without, {after.value:.4f} with."
    )


def _abstention_line(evaluation: Evaluation) -> str:
    calibration, abstention = evaluation.calibration, evaluation.abstention
    if calibration.n_images == 0:
        return "Abstaining: nobody chose a threshold, as there were no validation images for it."
    if abstention.coverage is None or abstention.accuracy is None:
        return (
            "Abstaining: no confidence was high enough for an accuracy of "
            f"{calibration.target_accuracy:.1%}."
        )
    return (
        f"Abstaining below a confidence of {calibration.threshold:.2f}: answers "
        f"{abstention.coverage.value:.1%} of the images, {abstention.accuracy.value:.1%} of them "
        f"correctly ({abstention.accuracy.low:.1%} to {abstention.accuracy.high:.1%}); "
        f"{calibration.target_accuracy:.1%} were asked for."
    )


def prediction_lines(predictions: Sequence[Prediction]) -> str:
    """One block an image: predicted and true class, and every class's confidence."""
    return "\n".join(_prediction_block(prediction) for prediction in predictions)


def _prediction_block(prediction: Prediction) -> str:
    """Predicted and true class of one image, then the confidences, highest first."""
    heading = f"{prediction.name}: predicted {prediction.label}"
    if prediction.true is not None:
        right = prediction.true == prediction.predicted
        truth = prediction.class_names[prediction.true]
        heading += f", true {truth} ({'right' if right else 'wrong'})"
    order = prediction.probabilities.argsort()[::-1]
    confidences = ", ".join(
        f"{prediction.class_names[k]} {prediction.probabilities[k]:.1%}" for k in order
    )
    return f"{heading}\n    {confidences}"


def prediction_table(predictions: Sequence[Prediction]) -> str:
    """One line an image: its name, the predicted class and its confidence, in columns.

    Then which images are unlike the training images, and what was done to the images before.
    """
    name_width = max(len(prediction.name) for prediction in predictions)
    label_width = max(len(prediction.label) for prediction in predictions)
    lines = [
        f"{prediction.name:<{name_width}}  {prediction.label:<{label_width}}  "
        f"{prediction.confidence:6.1%}{UNLIKE if prediction.is_unlike else ''}"
        for prediction in predictions
    ]
    return "\n".join([*lines, *_unlike_lines(predictions), *_step_lines(predictions)])


def _unlike_lines(predictions: Sequence[Prediction]) -> list[str]:
    """Warn of images that the model knows nothing like."""
    unlike = sum(bool(prediction.is_unlike) for prediction in predictions)
    if not unlike:
        return []
    some = f"{unlike} of {len(predictions)} images {'is' if unlike == 1 else 'are'}"
    which = "this image is" if len(predictions) == 1 else some
    return [
        f"\nWarning: {which} unlike what the model was trained on. However confident the answer, "
        "do not rely on it."
    ]


def _step_lines(predictions: Sequence[Prediction]) -> list[str]:
    """Say what was done to which images."""
    names: dict[tuple[str, ...], list[str]] = {}
    for prediction in predictions:
        if prediction.steps:
            names.setdefault(prediction.steps, []).append(prediction.name)
    if not names:
        return []
    heading = "\nBrought into the form of the training images (--raw leaves this out):"
    return [heading, *(f"  {_of(of)}: {', '.join(steps)}" for steps, of in names.items())]


def _of(names: Sequence[str]) -> str:
    """One name, or how many."""
    return names[0] if len(names) == 1 else f"{len(names)} images"


def prediction_csv(predictions: Sequence[Prediction]) -> str:
    """A CSV table: file, label, confidence, then a column of probabilities for each class.

    Where the model can tell how unlike the training images an image is, the column "novelty"
    follows the confidence; above 1, it is.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    tells = predictions[0].novelty is not None
    more = ["novelty"] if tells else []
    writer.writerow(["file", "label", "confidence", *more, *predictions[0].class_names])
    for prediction in predictions:
        probabilities = (f"{value:.9g}" for value in prediction.probabilities)
        confidence = f"{prediction.confidence:.9g}"
        novelty = [f"{prediction.novelty:.9g}"] if tells else []
        writer.writerow([prediction.name, prediction.label, confidence, *novelty, *probabilities])
    return lines.getvalue()


def explanation(
    metrics: Sequence[tuple[str, str]], headline: str, findings: Sequence[Finding]
) -> str:
    """Say what the metrics mean and what the results say.

    Args:
        metrics: name and meaning of each metric.
        headline: the results in a sentence or two.
        findings: what stands out in them.
    """
    meanings = "\n".join(f"- {name}: {meaning}" for name, meaning in metrics)
    return (
        f"\nWhat the metrics mean\n{meanings}\n\n"
        f"What these results say\n{headline}\n\n{finding_lines(findings)}"
    )


def finding_lines(findings: Sequence[Finding]) -> str:
    """What stands out and what to try, as a numbered list for a terminal or in Markdown."""
    if not findings:
        return NOTHING_STANDS_OUT
    return "\n".join(
        f"{number}. {finding.text}\n   Try: {finding.advice}"
        for number, finding in enumerate(findings, start=1)
    )


def robustness_lines(robustness: Robustness) -> str:
    """The accuracy at each strength of each corruption, in columns, and under attack."""
    attack = robustness.attack
    rows = [
        f"{curve.name:<11} {curve.unit:<29} "
        + "  ".join(
            f"{strength:>4g}: {accuracy.value:6.1%}"
            for strength, accuracy in zip(curve.strengths, curve.accuracies, strict=True)
        )
        for curve in robustness.curves
    ]
    return (
        f"Accuracy on {robustness.n_images:,} test images as they are: "
        f"{_share(robustness.accuracy)}\n"
        "and with the images made worse, at five strengths:\n\n"
        + "\n".join(rows)
        + f"\n\nUnder attack: {_share(attack.accuracy)} where each pixel may be changed by "
        f"{attack.epsilon:g} to mislead the model (projected gradient descent, {attack.steps} "
        "steps)."
    )


def suspect_lines(suspects: LabelSuspects) -> str:
    """How many labels of a split are probably wrong, and the first of them in columns."""
    names, count = suspects.class_names, len(suspects.indices)
    heading = (
        f"\n{count:,} of {suspects.n_images:,} labels of {suspects.split} images are suspicious "
        f"({count / suspects.n_images:.1%})"
    )
    if not count:
        return heading
    width = max(map(len, names))
    rows = [
        f"{index:>7}  {names[given]:<{width}}  {names[suggested]:<{width}}  {quality:7.4f}"
        for index, given, suggested, quality in zip(
            suspects.indices[:MOST_POSITIONS],
            suspects.given,
            suspects.suggested,
            suspects.label_quality,
            strict=False,
        )
    ]
    columns = f"{'index':>7}  {'given':<{width}}  {'suggested':<{width}}  quality"
    return "\n".join([heading, columns, *rows])


def _share(interval: Interval) -> str:
    """A share with its interval, as 92.8% (92.3% to 93.3%)."""
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def comparison(comparisons: Sequence[PairComparison | GroupComparison]) -> str:
    """Say of each comparison which side is better, and by how much."""
    return "\n\n".join(
        _pair(compared) if isinstance(compared, PairComparison) else _groups(compared)
        for compared in comparisons
    )


def _pair(pair: PairComparison) -> str:
    """Both accuracies, the verdict, who alone is right, and each class."""
    first, second = pair.first, pair.second
    width = max(map(len, pair.per_class))
    classes = "\n".join(
        f"  {name:<{width}}  {_points(difference)}" for name, difference in pair.per_class.items()
    )
    return (
        f"A  {first.accuracy:.2%}  {first.name}\n"
        f"B  {second.accuracy:.2%}  {second.name}\n"
        f"on the same {len(first.true):,} test images. {_verdict(pair.accuracy)} "
        "McNemar's exact test.\n\n"
        f"Only A is right on {_positions(pair.only_first)}.\n"
        f"Only B is right on {_positions(pair.only_second)}.\n\n"
        f"Recall of each class, B minus A, in points:\n{classes}"
    )


def _groups(groups: GroupComparison) -> str:
    """Each run's accuracy and the verdict."""
    lines = [
        f"{side}  {run.accuracy:.2%}  {run.name}"
        for side, runs in (("A", groups.first), ("B", groups.second))
        for run in runs
    ]
    images = len(groups.first[0].true)
    return "\n".join(
        [*lines, f"on the same {images:,} test images. {_verdict(groups.accuracy)} Welch's t-test."]
    )


def _verdict(difference: Difference) -> str:
    """Which side is better, with the difference in points, the 95 % interval and p."""
    chance = "p < 0.0001" if difference.p_value < 0.0001 else f"p = {difference.p_value:.4f}"  # noqa: PLR2004
    if not difference.is_evident:
        return f"No evidence of a difference: B minus A is {_points(difference)}, {chance},"
    if difference.share.value > 0:
        return f"B is better: {_points(difference)}, {chance},"
    share = difference.share
    turned = replace(share, value=-share.value, low=-share.high, high=-share.low)
    return f"A is better: {_points(replace(difference, share=turned))}, {chance},"


def _points(difference: Difference) -> str:
    """Percentage points with the 95 % interval, as +0.8 points (0.4 to 1.2)."""
    share = difference.share
    value, low, high = (100 * bound for bound in (share.value, share.low, share.high))
    return f"{value:+.1f} points ({low:.1f} to {high:.1f})"


def _positions(positions: "NDArray[np.int64]") -> str:
    """How many test images, and which, as far as they are few."""
    if not len(positions):
        return "no image"
    count = f"{len(positions):,} image{'' if len(positions) == 1 else 's'}"
    shown = ", ".join(map(str, positions[:MOST_POSITIONS]))
    return f"{count}: {shown}{', …' if len(positions) > MOST_POSITIONS else ''}"
