"""Findings, robustness and suspects → lines."""

from collections.abc import Sequence

from apparel.core.records import Finding, Interval, LabelIssues, Robustness

NOTHING_STANDS_OUT = "Nothing stands out."
# Suspects in a table.
MOST_SUSPECTS = 10


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


def suspect_lines(suspects: LabelIssues) -> str:
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
            suspects.indices[:MOST_SUSPECTS],
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
