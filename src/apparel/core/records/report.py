"""Everything that a report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apparel.core.image_array import ImageArray
    from apparel.core.records.check import DataCheck
    from apparel.core.records.evaluation import Evaluation
    from apparel.core.records.finding import Finding
    from apparel.core.records.prediction import Prediction
    from apparel.core.records.robustness import Robustness
    from apparel.core.records.saliency import Saliency
    from apparel.core.records.suspects import LabelSuspects
    from apparel.core.records.training import History


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Everything that a report shows.

    Attributes:
        title: what was trained on what.
        summary: the same in a sentence, with how many images of how many classes.
        headline: what the result says, in a sentence or two.
        findings: what stands out, what matters most first.
        evaluation: the test result.
        train_images: training and validation images, shape (m, h, w, c).
        test_images: that the evaluation is of, shape (n, h, w, c).
        history: how the model was trained.
        mistakes: the worst, with their images.
        saliency: which pixels made them, in the order of `mistakes`.
        suspects: labels that are probably wrong, for each split that was searched for them.
        robustness: the result on images made worse; None where it was not measured.
        check: what a check of the data found; None where they were not checked.
        facts: settings, versions, hardware, by name.
        command: that makes such a run once more.
    """

    title: str
    summary: str
    headline: str
    findings: Sequence[Finding]
    evaluation: Evaluation
    train_images: ImageArray
    test_images: ImageArray
    history: History
    mistakes: Sequence[Prediction]
    saliency: Saliency
    suspects: Sequence[LabelSuspects]
    robustness: Robustness | None
    check: DataCheck | None
    facts: Mapping[str, str]
    command: str
