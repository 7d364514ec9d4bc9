"""What a test found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """A measured value and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How well one class is told from the others.

    Attributes:
        name: the class.
        precision: share of the images called this class that are it.
        recall: share of this class's images that were called it.
        f1: harmonic mean of the two.
        support: how many test images the class has.
    """

    name: str
    precision: Interval
    recall: Interval
    f1: Interval
    support: int


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Images of about the same confidence, the probability of their predicted class.

    Attributes:
        low: the confidence above which images belong to it.
        high: the confidence up to which they do.
        n_images: how many there are, at least 1.
        confidence: their mean confidence.
        accuracy: the share of them that was named correctly.
    """

    low: float
    high: float
    n_images: int
    confidence: float
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far confidence is from accuracy.

    Attributes:
        bins: those that hold an image, by rising confidence.
        expected_calibration_error: the mean distance of confidence and accuracy over the bins,
            weighted by their images.
    """

    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: Interval


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was chosen on validation images once training was over.

    Logits are taken relative to their mean over the classes.

    Attributes:
        temperature: that the model's logits were divided by; 1 changes nothing.
        knee: below it, a logit's distance from it counts `slope` times.
        slope: above 0; 1 changes nothing.
        target_accuracy: of the images that the model is to answer.
        threshold: the lowest confidence at which it answers; 0 for always, None where no
            confidence is high enough or nobody knows.
        n_images: how many validation images there were.
    """

    temperature: float
    target_accuracy: float
    threshold: float | None
    n_images: int
    knee: float = 0.0
    slope: float = 1.0

    @property
    def is_needed(self) -> bool:
        """Whether it changes the probabilities."""
        return self.temperature != 1 or self.slope != 1


UNCALIBRATED = Calibration(temperature=1.0, target_accuracy=1.0, threshold=None, n_images=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Abstention:
    """What is gained by leaving out the images that the model is least sure of.

    Attributes:
        thresholds: float64, shape (m,), each confidence that occurs, falling.
        coverages: shape (m,), the share of images at least as sure.
        accuracies: shape (m,), how many of those were named correctly.
        coverage: the share of images at least as sure as the threshold that validation images
            chose; None without one.
        accuracy: of those images; None without a threshold.
    """

    thresholds: NDArray[np.float64]
    coverages: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    coverage: Interval | None
    accuracy: Interval | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A model's result on the test set.

    Attributes:
        true: int64, shape (n,), the labels.
        predicted: int64, shape (n,), the most probable class.
        probabilities: float32, shape (n, k), rows sum to 1.
        class_names: one name a class.
        confusion: int64, shape (k, k); row: true class, column: predicted class.
        metrics: accuracy; balanced_accuracy, the mean recall of the classes that have images; the
            macro averages precision, recall and f1; top_2_accuracy, log_loss, brier_score (0 to
            2), expected_calibration_error and, for a model trained on changed images, the
            accuracy of probabilities averaged over each image and changed copies:
            accuracy_flip_averaged, over the image and its mirror image, and
            accuracy_view_averaged, over both where they are and moved by a pixel. With
            accuracy_without_leaks where some images were trained on as well. The most telling
            one is first: accuracy, or balanced_accuracy where classes differed much in size.
        per_class: scores of each class, in the order of `class_names`.
        report: scikit-learn's classification report.
        calibration: what validation images chose.
        reliability: of the probabilities.
        reliability_before: of those without the temperature.
        abstention: what is gained by not answering.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    confusion: NDArray[np.int64]
    metrics: Mapping[str, Interval]
    per_class: tuple[ClassScores, ...]
    report: str
    calibration: Calibration
    reliability: Reliability
    reliability_before: Reliability
    abstention: Abstention

    def worst_mistakes(self, count: int) -> list[int]:
        """Positions of the images named wrongly with the most confidence, the worst first."""
        wrong = (self.true != self.predicted).nonzero()[0]
        confidence = self.probabilities[wrong].max(axis=1)
        worst = wrong[(-confidence).argsort(kind="stable")][:count]
        return [int(index) for index in worst]
