"""Results on the test set: metrics, calibration, label issues, robustness."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    """Scores of one class.

    Attributes:
        name: the class.
        precision: share of the images predicted as this class that belong to it.
        recall: share of this class's images that were predicted as it.
        f1: harmonic mean of the two.
        support: number of test images of the class.
    """

    name: str
    precision: Interval
    recall: Interval
    f1: Interval
    support: int


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Images of similar confidence, the probability of their predicted class.

    Attributes:
        low: lower edge, excluded.
        high: upper edge, included.
        n_images: number of images, at least 1.
        confidence: their mean confidence.
        accuracy: share of them that were classified correctly.
    """

    low: float
    high: float
    n_images: int
    confidence: float
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Confidence compared with accuracy.

    Attributes:
        bins: the bins that hold an image, by ascending confidence.
        expected_calibration_error: mean distance of confidence and accuracy over the bins,
            weighted by their images.
    """

    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: Interval


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration and abstention threshold, fitted on validation images after training.

    Logits are centred first: their mean over the classes is subtracted. Then they are scaled
    piecewise linearly: below the knee by `slope`, above it by 1, and all divided by the
    temperature.

    Attributes:
        temperature: divisor of the logits; 1 changes nothing.
        knee: the knot of the piecewise-linear scaling.
        slope: its slope below the knee, above 0; 1 changes nothing.
        target_accuracy: accuracy asked for on the images that are answered.
        threshold: lowest confidence at which the model answers; 0 for always, None where no
            confidence is high enough or there were no validation images.
        n_images: number of validation images.
    """

    temperature: float
    target_accuracy: float
    threshold: float | None
    n_images: int
    knee: float = 0.0
    slope: float = 1.0

    @property
    def is_needed(self) -> bool:
        """True if it changes the probabilities."""
        return self.temperature != 1 or self.slope != 1


UNCALIBRATED = Calibration(temperature=1.0, target_accuracy=1.0, threshold=None, n_images=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Abstention:
    """Accuracy gained by not answering the images with the lowest confidence.

    Attributes:
        thresholds: float64, shape (m,), the distinct confidences, descending.
        coverages: shape (m,), share of images at or above each threshold.
        accuracies: shape (m,), accuracy on those images.
        coverage: share of images at or above the threshold chosen on validation images; None
            without one.
        accuracy: accuracy on those images; None without a threshold.
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
        class_names: one name per class.
        confusion: int64, shape (k, k); row: true class, column: predicted class.
        metrics: accuracy; balanced_accuracy, the mean recall of the classes that have images; the
            macro averages precision, recall and f1; top_2_accuracy, log_loss, brier_score (0 to
            2), expected_calibration_error. For a model trained on augmented images, also the
            accuracy of probabilities averaged over each image and changed copies:
            accuracy_flip_averaged, over the image and its mirror image, and
            accuracy_view_averaged, over both as they are and shifted by a pixel. Where some test
            images were trained on, also accuracy_without_leaks. The most informative one comes
            first: accuracy, or balanced_accuracy where classes differ much in size.
        per_class: scores of each class, in the order of `class_names`.
        report: scikit-learn's classification report.
        calibration: the calibration fitted on validation images.
        reliability: of the probabilities.
        reliability_before: of the probabilities without calibration.
        abstention: accuracy gained by not answering.
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
        """Positions of the misclassified images with the highest confidence, highest first."""
        wrong = (self.true != self.predicted).nonzero()[0]
        confidence = self.probabilities[wrong].max(axis=1)
        worst = wrong[(-confidence).argsort(kind="stable")][:count]
        return [int(index) for index in worst]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelIssues:
    """Images of one split whose labels are probably wrong, the most suspicious first.

    Attributes:
        split: the split they belong to.
        n_images: number of images in the split.
        class_names: one name per class.
        indices: int64, shape (m,), positions in the split.
        given: int64, shape (m,), their labels.
        suggested: int64, shape (m,), the classes predicted by models that never saw them.
        label_quality: float64, shape (m,), 0 to 1, ascending: the lower, the more suspicious.
    """

    split: Literal["train", "test"]
    n_images: int
    class_names: tuple[str, ...]
    indices: NDArray[np.int64]
    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    label_quality: NDArray[np.float64]

    @property
    def split_name(self) -> str:
        """The split in plain words."""
        return "training" if self.split == "train" else "test"


@dataclass(frozen=True, kw_only=True)
class CorruptionCurve:
    """Accuracy on images with one kind of corruption, at increasing strengths.

    Attributes:
        name: the kind of corruption, for people.
        unit: the unit of the strengths.
        strengths: ascending.
        accuracies: one per strength.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    accuracies: tuple[Interval, ...]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Accuracy on adversarial images, each pixel changed a little to mislead the model.

    Attributes:
        epsilon: largest change of a pixel, in [0, 1] as pixels are.
        steps: number of steps of the attack.
        n_images: number of test images attacked.
        accuracy: accuracy under attack.
    """

    epsilon: float
    steps: int
    n_images: int
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Accuracy on corrupted and on attacked test images.

    Attributes:
        n_images: number of test images behind each accuracy of a curve.
        accuracy: accuracy on the unchanged images.
        curves: one per kind of corruption.
        attack: accuracy under a known attack.
    """

    n_images: int
    accuracy: Interval
    curves: tuple[CorruptionCurve, ...]
    attack: Attack
