"""Say in plain language what a result says: a headline, then what stands out.

Every sentence is computed from the records in an `Evidence`. A rule takes one and gives a Finding,
or None where there is nothing to say; its docstring defines the weight.
"""

from collections.abc import Callable

from apparel.core.records import Evidence, Finding
from apparel.explain.findings.classes import confused_pair, hardest_class
from apparel.explain.findings.headline import headline
from apparel.explain.findings.images import imbalance, suspicious_labels, untested_classes
from apparel.explain.findings.robustness import weak_robustness
from apparel.explain.findings.training import course_of_training, gap
from apparel.explain.findings.trust import confidence, guessing, perfect_result, small_test_set

__all__ = ["RULES", "explain", "headline"]

# Of findings of equal weight, that of the earlier rule comes first.
RULES: tuple[Callable[[Evidence], Finding | None], ...] = (
    perfect_result,
    course_of_training,
    guessing,
    suspicious_labels,
    untested_classes,
    hardest_class,
    confused_pair,
    gap,
    imbalance,
    confidence,
    weak_robustness,
    small_test_set,
)


def explain(evidence: Evidence) -> tuple[Finding, ...]:
    """Say what stands out, what matters most first; nothing of a healthy result.

    Args:
        evidence: all that is known.
    """
    findings = [finding for rule in RULES if (finding := rule(evidence))]
    return tuple(sorted(findings, key=lambda finding: finding.weight, reverse=True))
