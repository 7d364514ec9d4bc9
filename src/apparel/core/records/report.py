"""Findings about a model, the evidence they rest on, and the content of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray
from apparel.core.records.data_check import DataCheck
from apparel.core.records.evaluation import Evaluation, LabelIssues, Robustness
from apparel.core.records.prediction import Prediction
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
    """Everything known about a trained model and its images.

    Attributes:
        evaluation: the result on at least one test image.
        history: the training history; None where unknown.
        images_per_class: number of training images of each class; None where unknown.
        label_issues: labels that are probably wrong, for each split that was searched.
        robustness: accuracy on corrupted images; None where not measured.
    """

    evaluation: Evaluation
    history: History | None = None
    images_per_class: Sequence[int] | None = None
    label_issues: tuple[LabelIssues, ...] = ()
    robustness: Robustness | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that stands out in a result.

    Attributes:
        topic: the subject.
        text: one or two sentences in plain language, with the figures.
        advice: one thing to try, a sentence that starts with a verb.
        weight: importance, 0 to 1: the share of the test images concerned or, as each rule in
            `explain` defines it, something of equal worth.
    """

    topic: Topic
    text: str
    advice: str
    weight: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Saliency:
    """The pixels of some images that speak for the class predicted for each.

    Attributes:
        grad_cam: float32, shape (n, h, w), 0 to 1: where the features for the class are.
        occlusion: likewise: how much less confident the model is with these pixels covered.
    """

    grad_cam: NDArray[np.float32]
    occlusion: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """The content of a report.

    Attributes:
        title: the model and its data.
        summary: the same in a sentence, with the numbers of images and classes.
        headline: the result in a sentence or two.
        findings: what stands out, the most important first.
        evaluation: the test result.
        train_images: training and validation images, shape (m, h, w, c).
        test_images: the evaluated images, shape (n, h, w, c).
        history: the training history.
        mistakes: the worst mistakes, with their images.
        saliency: saliency maps in the order of `mistakes`.
        label_issues: labels that are probably wrong, for each split that was searched.
        robustness: accuracy on corrupted images; None where not measured.
        check: the result of a check of the data; None where not checked.
        facts: settings, versions and hardware, by name.
        command: the command that repeats the run.
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
    label_issues: Sequence[LabelIssues]
    robustness: Robustness | None
    check: DataCheck | None
    facts: Mapping[str, str]
    command: str
