"""Lines about a test result: metrics, calibration, findings, robustness, label issues, exports."""

from collections.abc import Mapping, Sequence

from apparel.core.records import (
    Evaluation,
    Exported,
    Finding,
    Interval,
    LabelIssues,
    Robustness,
)

# On fewer images, an accuracy of 98 % where 94 % is true is within chance.
FEWEST_IMAGES = 1000
# Number of label issues in a table.
MOST_ISSUES = 10

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


def metric_lines(evaluation: Evaluation) -> str:
    """List the metrics with their 95 % intervals, in columns."""
    return "\n".join(
        f"{METRIC_NAMES[name]:<18} {m.value:.4f}  (95 % interval {m.low:.4f} to {m.high:.4f})"
        for name, m in evaluation.metrics.items()
    )


def test_summary(evaluation: Evaluation, keras_metrics: Mapping[str, float]) -> str:
    """Describe a test result in full.

    Args:
        evaluation: the result.
        keras_metrics: the results of Keras's own `evaluate`, by name.
    """
    keras = "  ".join(f"{name} {value:.4f}" for name, value in keras_metrics.items())
    return (
        f"\nTest result on {len(evaluation.true):,} images\n"
        f"{metric_lines(evaluation)}\n"
        f"{'Keras evaluate':<18} {keras}\n\n"
        f"{evaluation.report}\n"
        f"{calibration_lines(evaluation)}"
    )


def repeated_test_line(count: int) -> str:
    """Report repeated evaluations on a run's test set; empty the first time."""
    if count == 1:
        return ""
    return (
        f"The test images of this run have been scored {count} times: choices made after a test "
        "result make later ones too optimistic.\n"
    )


def too_good_line(evaluation: Evaluation, highest: float) -> str:
    """Warn of an implausibly high accuracy; empty otherwise.

    Args:
        evaluation: the result; on few images, chance may give any accuracy.
        highest: highest accuracy credibly reported for these classes.
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
    """Describe the calibration, and the accuracy gained by abstaining."""
    return f"{_temperature_line(evaluation)}\n{_abstention_line(evaluation)}"


def _temperature_line(evaluation: Evaluation) -> str:
    calibration = evaluation.calibration
    before, after = (
        reliability.expected_calibration_error
        for reliability in (evaluation.reliability_before, evaluation.reliability)
    )
    if not calibration.is_needed:
        return f"Temperature: none was needed; calibration error {after.value:.4f}."
    scaled = ""
    if calibration.slope != 1:
        scaled = f", and logits below {calibration.knee:.2f} scaled by {calibration.slope:.1f}"
    return (
        f"Temperature: {calibration.temperature:.2f}{scaled}, fitted on {calibration.n_images:,} "
        f"validation images; calibration error {before.value:.4f} without, {after.value:.4f} with."
    )


def _abstention_line(evaluation: Evaluation) -> str:
    calibration, abstention = evaluation.calibration, evaluation.abstention
    if calibration.n_images == 0:
        return "Abstaining: no threshold, as there were no validation images."
    if abstention.coverage is None or abstention.accuracy is None:
        return (
            "Abstaining: no threshold, as no confidence was high enough for an accuracy of "
            f"{calibration.target_accuracy:.1%}."
        )
    return (
        f"Abstaining below a confidence of {calibration.threshold:.2f}: answers "
        f"{abstention.coverage.value:.1%} of the images, {abstention.accuracy.value:.1%} of them "
        f"correctly ({abstention.accuracy.low:.1%} to {abstention.accuracy.high:.1%}); "
        f"{calibration.target_accuracy:.1%} were asked for."
    )


def explanation(
    metrics: Sequence[tuple[str, str]], headline: str, findings: Sequence[Finding]
) -> str:
    """Explain the metrics and the results.

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
    """List findings and advice, numbered, for a terminal or in Markdown."""
    if not findings:
        return "Nothing stands out."
    return "\n".join(
        f"{number}. {finding.text}\n   Try: {finding.advice}"
        for number, finding in enumerate(findings, start=1)
    )


def robustness_lines(robustness: Robustness) -> str:
    """List the accuracy at each strength of each corruption, in columns, and under attack."""
    attack = robustness.attack
    rows = "\n".join(
        f"{curve.name:<11} {curve.unit:<29} "
        + "  ".join(
            f"{strength:>4g}: {accuracy.value:6.1%}"
            for strength, accuracy in zip(curve.strengths, curve.accuracies, strict=True)
        )
        for curve in robustness.curves
    )
    return (
        f"Accuracy on {robustness.n_images:,} unchanged test images: "
        f"{_share(robustness.accuracy)}\n"
        f"and with the images corrupted, at five strengths:\n\n{rows}\n\n"
        f"Under attack: {_share(attack.accuracy)} where each pixel may be changed by "
        f"{attack.epsilon:g} to mislead the model (projected gradient descent, {attack.steps} "
        "steps)."
    )


def label_issue_lines(issues: LabelIssues) -> str:
    """Report how many labels of a split are probably wrong, with a table of the first."""
    names, count = issues.class_names, len(issues.indices)
    heading = (
        f"\n{count:,} of {issues.n_images:,} labels of {issues.split} images are suspicious "
        f"({count / issues.n_images:.1%})"
    )
    if not count:
        return heading
    width = max(map(len, names))
    rows = [
        f"{index:>7}  {names[given]:<{width}}  {names[suggested]:<{width}}  {quality:7.4f}"
        for index, given, suggested, quality in zip(
            issues.indices[:MOST_ISSUES],
            issues.given,
            issues.suggested,
            issues.label_quality,
            strict=False,
        )
    ]
    columns = f"{'index':>7}  {'given':<{width}}  {'suggested':<{width}}  quality"
    return "\n".join([heading, columns, *rows])


def export_lines(exported: Exported) -> str:
    """Describe an exported file and its agreement with the model."""
    found = exported.comparison
    return (
        f"{exported.size / 1e6:,.2f} MB, {exported.format}, {exported.precision}, read back in "
        f"{found.runtime} {found.runtime_version}\n"
        f"On {found.images:,} images: the model's class for {found.same_class:.2%}, accuracy "
        f"{found.accuracy:.2%} (the model's: {found.model_accuracy:.2%}), probabilities within "
        f"{found.largest_difference:.1g}"
    )


def _share(interval: Interval) -> str:
    """A share with its interval, as 92.8% (92.3% to 93.3%)."""
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"
