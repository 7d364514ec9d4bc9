"""What a model says of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    import numpy as np
    from numpy.typing import NDArray


Images: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"


@dataclass(frozen=True, kw_only=True)
class FailedImage:
    """An image that could not be classified.

    Attributes:
        name: the file.
        problem: why, in a line.
    """

    name: str
    problem: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What a model says of one image.

    Attributes:
        name: the file, or the position in the test set.
        probabilities: float32, shape (k,), sum 1.
        class_names: one name a class.
        image: shape (h, w, c), for drawing, or None.
        true: the label, or None where nobody knows it.
        novelty: how unlike the training images it is: above 1, more than all but a few of them;
            None where the model cannot tell.
        steps: what was done to the image to bring it into the form of the training images.
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
        """The most probable classes by name with their probabilities, the most probable first."""
        order = (-self.probabilities).argsort(kind="stable")[:count]
        return [(self.class_names[k], float(self.probabilities[k])) for k in order]

    @property
    def is_unlike(self) -> bool | None:
        """Whether it is unlike the training images; None where the model cannot tell."""
        return None if self.novelty is None else self.novelty > 1


# What is said of an image, read or not.
Answer: TypeAlias = Prediction | FailedImage
