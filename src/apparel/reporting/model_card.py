"""A report as a model card in the format of Hugging Face's hub.

https://huggingface.co/docs/hub/model-cards
"""

from apparel.core.records import Report
from apparel.reporting.templates import render
from apparel.reporting.text import METRIC_NAMES, finding_lines


def model_card(report: Report) -> str:
    """Lay out a model card.

    Args:
        report: the content.

    Returns:
        Markdown with a YAML head, whose strings are written as JSON, a subset of YAML.
    """
    metrics = report.evaluation.metrics
    return render(
        "model_card.md",
        report=report,
        evaluation=report.evaluation,
        n=len(report.evaluation.true),
        index={kind: metrics[kind] for kind in ("accuracy", "precision", "recall", "f1")},
        metrics={METRIC_NAMES[name]: found for name, found in metrics.items()},
        findings=finding_lines(report.findings),
    )
