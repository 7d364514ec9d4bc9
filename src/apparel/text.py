"""Records → lines of text for a terminal, a notebook or a table."""

import csv
import io
from collections.abc import Mapping, Sequence

from apparel.records import Evaluation, Finding, Prediction

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "precision": "Precision (macro)",
    "recall": "Recall (macro)",
    "f1": "F1 (macro)",
    "log_loss": "Log loss",
    "accuracy_flip_averaged": "Flip-averaged acc.",
    "accuracy_view_averaged": "View-averaged acc.",
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
        f"{evaluation.report}"
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
    """One line an image: its name, the predicted class and its confidence, in columns."""
    name_width = max(len(prediction.name) for prediction in predictions)
    label_width = max(len(prediction.label) for prediction in predictions)
    return "\n".join(
        f"{prediction.name:<{name_width}}  {prediction.label:<{label_width}}  "
        f"{prediction.confidence:6.1%}"
        for prediction in predictions
    )


def prediction_csv(predictions: Sequence[Prediction]) -> str:
    """A CSV table: file, label, confidence, then a column of probabilities for each class."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["file", "label", "confidence", *predictions[0].class_names])
    for prediction in predictions:
        probabilities = (f"{value:.9g}" for value in prediction.probabilities)
        confidence = f"{prediction.confidence:.9g}"
        writer.writerow([prediction.name, prediction.label, confidence, *probabilities])
    return lines.getvalue()


def explanation(metrics: Sequence[tuple[str, str]], findings: Sequence[Finding]) -> str:
    """Say what the metrics mean and what the results say.

    Args:
        metrics: name and meaning of each metric.
        findings: what the results say.
    """
    meanings = "\n".join(f"- {name}: {meaning}" for name, meaning in metrics)
    results = "\n".join(f"- {finding.text}" for finding in findings)
    return f"\nWhat the metrics mean\n{meanings}\n\nWhat these results say\n{results}"
