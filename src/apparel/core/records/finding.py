"""What is known of a model, and what stands out in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apparel.core.records.evaluation import Evaluation
    from apparel.core.records.robustness import Robustness
    from apparel.core.records.suspects import LabelSuspects
    from apparel.core.records.training import History

Topic: TypeAlias = Literal[
    "broken_training",
    "unstable_training",
    "interrupted_training",
    "short_training",
    "overfitting",
    "gap",
    "hardest_class",
    "confused_pair",
    "imbalance",
    "untested_classes",
    "suspicious_labels",
    "test_size",
    "guessing",
    "perfect_result",
    "confidence",
    "robustness",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Everything that is known of a trained model and its images.

    Attributes:
        evaluation: the result on at least one test image.
        history: how the model was trained; None where nobody knows.
        images_per_class: how many images of each class it was trained on; None where nobody knows.
        suspects: labels that are probably wrong, for each split that was searched for them.
        robustness: the result on images made worse; None where it was not measured.
    """

    evaluation: Evaluation
    history: History | None = None
    images_per_class: Sequence[int] | None = None
    suspects: tuple[LabelSuspects, ...] = ()
    robustness: Robustness | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that stands out in a result.

    Attributes:
        topic: what it is about.
        text: one or two sentences in plain language, with the figures.
        advice: one thing to try, a sentence that starts with a verb.
        weight: how much it matters, 0 to 1: the share of the test images that it concerns or, as
            each rule in `explain` defines it, something that is worth as much.
    """

    topic: Topic
    text: str
    advice: str
    weight: float
