"""What the stages hand to each other: frozen records, checked where they are made.

No stage imports another; each takes and gives the records defined here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from apparel.errors import DataError

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Images: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Labelled images as they come from their source.

    Attributes:
        train_images: uint8, shape (n, h, w, c), 0 to 255.
        train_labels: int64, shape (n,), an index into `class_names`.
        test_images: uint8, shape (m, h, w, c).
        test_labels: int64, shape (m,).
        class_names: one name a class.
        sha256: hash of the images, labels and class names; equal content, equal hash.
        source: where the data came from, for people.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    sha256: str
    source: str

    def __post_init__(self) -> None:
        """Check that images, labels and class names fit together.

        Raises:
            DataError: they do not.
        """
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            if images.dtype != "uint8" or images.ndim != 4:  # noqa: PLR2004  # n, h, w, c
                raise DataError(
                    f"{split} images must be uint8 of shape (n, height, width, channels), "
                    f"but are {images.dtype} of shape {images.shape}."
                )
            if labels.shape != (len(images),):
                raise DataError(
                    f"{split} has {len(images)} images, but labels of shape {labels.shape}. "
                    "Give one label an image."
                )
            if len(labels) == 0:
                raise DataError(f"{split} has no images. Give at least one a class.")
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= len(self.class_names):
                raise DataError(
                    f"{split} labels must lie in 0 to {len(self.class_names) - 1}, "
                    f"but lie in {low} to {high}. Give one class name a label."
                )

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def img_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """Images and labels ready for training and testing.

    Attributes:
        train_images: float32, shape (n, h, w, c), in [0, 1]; training and validation together.
        train_labels: float32, shape (n, k), one-hot.
        test_images: float32, shape (m, h, w, c), in [0, 1].
        test_labels: float32, shape (m, k), one-hot.
        training: int64 indices into `train_images` that are trained on.
        validation: int64 indices into `train_images` that are held out.
        manifest: where the images came from, and images a class in each split; plain types.
    """

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.float32]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.float32]
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    manifest: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class History:
    """What training did, epoch by epoch.

    Attributes:
        history: for each measure (loss, accuracy, …, and its `val_` twin) a value an epoch,
            named and laid out as in the `History` of Keras.
        seconds: wall time of each epoch.
        dtype: the number format that training used.
        interrupted: whether training was stopped before its last epoch.
        restored_epoch: the epoch, counted from 1, whose weights were kept; None for the last.
        harder: whether the training images were changed at random and easy ones left out, which
            makes their measures worse than those of the images as they are.
    """

    history: Mapping[str, tuple[float, ...]]
    seconds: tuple[float, ...]
    dtype: str
    interrupted: bool = False
    restored_epoch: int | None = None
    harder: bool = False

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.seconds)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch, counted from 1, with the lowest validation loss."""
        losses = self.history.get("val_loss")
        if not losses:
            return None
        # Training that breaks down has losses that are no numbers; those are never the best.
        return min(range(len(losses)), key=lambda k: (math.isnan(losses[k]), losses[k])) + 1


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A model's result on the test set.

    Attributes:
        true: int64, shape (n,), the labels.
        predicted: int64, shape (n,), the most probable class.
        probabilities: float32, shape (n, k), rows sum to 1.
        class_names: one name a class.
        confusion: int64, shape (k, k); row: true class, column: predicted class.
        metrics: accuracy, the macro averages precision, recall and f1, log_loss and, for a model
            trained on changed images, the accuracy of probabilities averaged over each image and
            changed copies: accuracy_flip_averaged, over the image and its mirror image, and
            accuracy_view_averaged, over both where they are and moved by a pixel.
        per_class: scores of each class, in the order of `class_names`.
        report: scikit-learn's classification report.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    confusion: NDArray[np.int64]
    metrics: Mapping[str, Interval]
    per_class: tuple[ClassScores, ...]
    report: str


Topic: TypeAlias = Literal[
    "overall", "hardest_class", "confused_pair", "overfitting", "gap", "next_step"
]


@dataclass(frozen=True)
class Finding:
    """One thing that the results say.

    Attributes:
        topic: what it is about.
        text: one or two sentences in plain language.
    """

    topic: Topic
    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What a model says of one image.

    Attributes:
        name: the file, or the position in the test set.
        probabilities: float32, shape (k,), sum 1.
        class_names: one name a class.
        image: shape (h, w, c), for drawing, or None.
        true: the label, or None where nobody knows it.
    """

    name: str
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    image: Images | None = None
    true: int | None = None

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """The name of the most probable class."""
        return self.class_names[self.predicted]

    @property
    def confidence(self) -> float:
        """The probability of the most probable class."""
        return float(self.probabilities[self.predicted])
