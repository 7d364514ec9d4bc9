"""Rules about the images and labels: too few, none at all, or wrong labels."""

import numpy as np

from apparel.core.messages import count
from apparel.core.records import Evidence, Finding, LabelIssues
from apparel.explain.findings.wording import listed, percent

# Share of the median class's training images. Carefully collected classes differ by less, and the
# recall must be lower as well.
FAR_FEWER = 1 / 3
# Share of labels that are probably wrong. MNIST's test set has 0.15 %, ten well-known test sets
# have 3.3 % on average (C. Northcutt et al., "Pervasive Label Errors in Test Sets Destabilize
# Machine Learning Benchmarks", 2021, arXiv 2103.14749).
MANY_ISSUES = 0.01


def imbalance(evidence: Evidence) -> Finding | None:
    """Name the classes with far fewer training images and a lower recall than others.

    Weight: the share of the test images that are missed images of these classes.
    """
    if evidence.images_per_class is None:
        return None
    evaluation, numbers = evidence.evaluation, np.asarray(evidence.images_per_class)
    median = float(np.median(numbers))
    is_rare = numbers < FAR_FEWER * median
    support, right = evaluation.confusion.sum(axis=1), np.diag(evaluation.confusion)
    tested, recognised = int(support[is_rare].sum()), int(right[is_rare].sum())
    others = int(support[~is_rare].sum())
    # Without test images of either group, there is nothing to compare.
    if not (tested and others):
        return None
    share, others_share = recognised / tested, int(right[~is_rare].sum()) / others
    if share >= others_share:
        return None
    rare = np.flatnonzero(is_rare)
    many = len(rare) > 1
    numbered = listed([f"{evaluation.class_names[i]} ({numbers[i]:,})" for i in rare])
    text = (
        f"{numbered} {'have at most' if many else 'has'} {percent(numbers[rare].max() / median)} "
        f"of the training images of the median class ({median:,.0f}): the model recognises "
        f"{percent(share)} of {'their' if many else 'its'} {count(tested, 'test image')}, "
        f"and {percent(others_share)} of all others."
    )
    return Finding(
        topic="imbalance",
        text=text,
        advice=f"Add training images of {listed([evaluation.class_names[i] for i in rare])}.",
        weight=(tested - recognised) / len(evaluation.true),
    )


def untested_classes(evidence: Evidence) -> Finding | None:
    """Name the classes without test images.

    Weight: their share of the classes, as if all were equally frequent in use.
    """
    per_class = evidence.evaluation.per_class
    untested = [scores.name for scores in per_class if scores.support == 0]
    if not untested:
        return None
    return Finding(
        topic="untested_classes",
        text=f"No test image belongs to {listed(untested, last='or')}, so how well the model "
        f"recognises {'this class' if len(untested) == 1 else 'these classes'} is unknown.",
        advice=f"Add test images of {listed(untested)}.",
        weight=len(untested) / len(per_class),
    )


def suspicious_labels(evidence: Evidence) -> Finding | None:
    """Report how many labels are probably wrong, and the limit this sets on the accuracy.

    Weight: the larger of the shares of the test labels and of the training labels.
    """
    # Wrong test labels concern every figure, so they come first.
    issues = sorted(
        (found for found in evidence.label_issues if _share(found) >= MANY_ISSUES),
        key=lambda found: found.split != "test",
    )
    if not issues:
        return None
    return Finding(
        topic="suspicious_labels",
        text=" ".join(_probably_wrong(found) for found in issues),
        advice=f"Check the labels in suspects_{issues[0].split}.csv, the most suspicious first.",
        weight=max(_share(found) for found in issues),
    )


def _share(issues: LabelIssues) -> float:
    return len(issues.indices) / issues.n_images


def _probably_wrong(issues: LabelIssues) -> str:
    """A sentence on the number of probable errors in a split, and the most frequent kind."""
    number, names = len(issues.indices), issues.class_names
    pairs = np.stack([issues.given, issues.suggested], axis=1)
    kinds, times = np.unique(pairs, axis=0, return_counts=True)
    given, suggested = (names[i] for i in kinds[times.argmax()])
    text = (
        f"Of {issues.n_images:,} {issues.split_name} labels, {number:,} "
        f"({percent(_share(issues))}) {'is' if number == 1 else 'are'} probably wrong, most "
        f"often {given} for what looks like {suggested} ({count(int(times.max()), 'image')})"
    )
    if issues.split == "test":
        text += f": accuracies above {percent(1 - _share(issues))} mean little"
    return f"{text}."
