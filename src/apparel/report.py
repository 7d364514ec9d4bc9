"""Records and figures → one self-contained HTML file, and a model card in Markdown."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from apparel.records import Evaluation, Finding
from apparel.text import METRIC_NAMES, NOTHING_STANDS_OUT, finding_lines, metric_table


def html(
    title: str,
    evaluation: Evaluation,
    headline: str,
    findings: Sequence[Finding],
    *,
    plots: Mapping[str, Path],
    facts: Mapping[str, str],
) -> str:
    """Lay out a report that needs no other file.

    Args:
        title: the heading.
        evaluation: the test result.
        headline: what it says, in a sentence or two.
        findings: what stands out in it.
        plots: a caption and a PNG file for each figure.
        facts: further lines for the last table: settings, versions, hardware.

    Returns:
        An HTML page.
    """
    figures = "\n".join(
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode("ascii")}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, path in plots.items()
    )
    return _template("report.html").substitute(
        title=escape(title),
        n=f"{len(evaluation.true):,}",
        metrics=_rows(metric_table(evaluation)),
        headline=escape(headline),
        findings=_finding_items(findings),
        figures=figures,
        report=escape(evaluation.report),
        facts=_rows(facts),
    )


def model_card(
    title: str,
    evaluation: Evaluation,
    headline: str,
    findings: Sequence[Finding],
    facts: Mapping[str, str],
) -> str:
    """Lay out a model card.

    Args:
        title: the heading.
        evaluation: the test result.
        headline: what it says, in a sentence or two.
        findings: what stands out in it.
        facts: settings, versions, hardware.

    Returns:
        A page of Markdown.
    """
    metrics = "\n".join(
        f"| {METRIC_NAMES[name]} | {value.value:.4f} | {value.low:.4f} to {value.high:.4f} |"
        for name, value in evaluation.metrics.items()
    )
    return _template("model_card.md").substitute(
        title=title,
        n=f"{len(evaluation.true):,}",
        class_names=", ".join(evaluation.class_names),
        metrics=metrics,
        headline=headline,
        findings=finding_lines(findings),
        facts="\n".join(f"- {name}: {value}" for name, value in facts.items()),
    )


def _template(name: str) -> Template:
    """A template of this package."""
    text = (files("apparel") / "templates" / name).read_text(encoding="utf-8")
    return Template(text)


def _finding_items(findings: Sequence[Finding]) -> str:
    """What stands out and what to try, as a numbered list."""
    if not findings:
        return f"<p>{NOTHING_STANDS_OUT}</p>"
    items = "\n".join(
        f"<li>{escape(finding.text)}<br>Try: {escape(finding.advice)}</li>" for finding in findings
    )
    return f"<ol>\n{items}\n</ol>"


def _rows(cells: Mapping[str, str]) -> str:
    """Two-column table rows."""
    return "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in cells.items()
    )
