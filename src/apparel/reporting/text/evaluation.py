"""An Evaluation → lines."""

from collections.abc import Mapping

from apparel.core.records import Evaluation

# With fewer, an accuracy of 98 % where 94 % is true is not beyond chance.
FEWEST_IMAGES = 1000

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
