"""Predictions for single images, and the novelty score that tells unfamiliar ones."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError

Images: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FailedImage:
    """An image that could not be classified.

    Attributes:
        name: the file.
        problem: the reason, in a line.
    """

    name: str
    problem: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """A model's prediction for one image.

    Attributes:
        name: the file, or the position in the test set.
        probabilities: float32, shape (k,), sum 1.
        class_names: one name per class.
        image: shape (h, w, c), for drawing, or None.
        true: the label, or None where unknown.
        novelty: how unlike the training images it is: above 1, more than all but a few of them;
            None where the model has no novelty score.
        steps: the steps taken to bring the image into the form of the training images.
    """

    name: str
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    image: Images | None = None
    true: int | None = None
    novelty: float | None = None
    steps: tuple[str, ...] = ()

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

    def top(self, count: int) -> list[tuple[str, float]]:
        """Names and probabilities of the most probable classes, the most probable first."""
        order = (-self.probabilities).argsort(kind="stable")[:count]
        return [(self.class_names[k], float(self.probabilities[k])) for k in order]

    @property
    def is_unlike(self) -> bool | None:
        """True if it is unlike the training images; None without a novelty score."""
        return None if self.novelty is None else self.novelty > 1


# The answer for an image, whether it could be read or not.
Answer: TypeAlias = Prediction | FailedImage


@dataclass(frozen=True, kw_only=True, eq=False)
class Novelty:
    """A fitted novelty score: statistics of the training images, and the threshold for new ones.

    The statistics of an image of c channels, d in all: it is shrunk to each scale and filtered;
    of each filter's absolute response less each level, the part above 0 is averaged over the image.
    Then follow weighted means of the pixels. The logarithm is taken of all, after `offset` is
    added. The score is the squared length of (statistics - location) @ whitening.

    Attributes:
        img_shape: height, width and channels of the images.
        scales: s factors by which images are shrunk.
        kernels: float32, shape (f, c, 3, 3), the filters.
        levels: float32, shape (t,), in [0, 1].
        weights: float32, shape (h·w·c, r), of the pixels in each weighted mean.
        offset: keeps the logarithm finite.
        location: float32, shape (d,), d = s·f·t + r, the mean of the training images.
        whitening: float32, shape (d, d), makes their covariance the identity.
        threshold: the score above which an image counts as unlike them; None where there were too
            few validation images.
    """

    img_shape: tuple[int, int, int]
    scales: tuple[int, ...]
    kernels: NDArray[np.float32]
    levels: NDArray[np.float32]
    weights: NDArray[np.float32]
    offset: float
    location: NDArray[np.float32]
    whitening: NDArray[np.float32]
    threshold: float | None

    def __post_init__(self) -> None:
        """Check that the arrays fit together.

        Raises:
            DataError: they do not.
        """
        n_filters, n_levels, n_means = len(self.kernels), len(self.levels), self.weights.shape[1]
        d = len(self.scales) * n_filters * n_levels + n_means
        expected = {
            "kernels": (n_filters, self.img_shape[2], 3, 3),
            "levels": (n_levels,),
            "weights": (prod(self.img_shape), n_means),
            "location": (d,),
            "whitening": (d, d),
        }
        for name, shape in expected.items():
            found = getattr(self, name)
            if found.shape != shape or found.dtype != "float32":
                raise DataError(
                    f"{name} of a novelty score must be float32 of shape {shape}, but is "
                    f"{found.dtype} of shape {found.shape}. Fit it again."
                )

    def as_arrays(self) -> dict[str, Any]:
        """Its values by name, as `numpy.savez` stores them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Restore it from the values of `as_arrays`.

        Raises:
            KeyError: an array is missing.
            DataError: the arrays do not fit together.
        """
        height, width, channels = (int(size) for size in arrays["img_shape"])
        return cls(
            img_shape=(height, width, channels),
            scales=tuple(int(scale) for scale in arrays["scales"]),
            kernels=arrays["kernels"],
            levels=arrays["levels"],
            weights=arrays["weights"],
            offset=float(arrays["offset"]),
            location=arrays["location"],
            whitening=arrays["whitening"],
            threshold=float(arrays["threshold"]) if "threshold" in arrays else None,
        )
