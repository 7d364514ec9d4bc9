"""What a check of a data set finds, in plain types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SplitName: TypeAlias = Literal["training", "validation", "test"]

# A tenth of the training images is held out: with fewer than ten, a class has at most one there,
# and what the model learns of it hangs on single images.
FEWEST_TO_TRAIN = 10


@dataclass(frozen=True, kw_only=True)
class CheckedImage:
    """An image by its place.

    Attributes:
        split: where it is.
        index: its position in the Dataset's test images, or in its training images, which those
            for validation are among.
        name: that of its file; "train 17" or "test 3" where images have none.
        label: the name of its class.
    """

    split: SplitName
    index: int
    name: str
    label: str


@dataclass(frozen=True, kw_only=True)
class CopiedImage:
    """Two images that show the same.

    Attributes:
        first: the one.
        second: the other.
        exact: whether they have the same pixels.
        mirrored: whether they are alike once one is mirrored left to right. Mirror images with
            different labels do not count as copies: an arrow to the left is not one to the right.
    """

    first: CheckedImage
    second: CheckedImage
    exact: bool
    mirrored: bool

    @property
    def splits(self) -> frozenset[SplitName]:
        """Where they are: one split or two."""
        return frozenset((self.first.split, self.second.split))


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """What a check of a data set finds.

    Attributes:
        source: where the data came from.
        sha256: the hash of the Dataset, to know again what positions refer to.
        class_names: one name a class.
        images_per_class: how many images of each class are for "training", "validation" (where
            the source sets some aside) and "test".
        img_shape: height, width and channels of the images.
        sizes: height and width of the images as they were found: how many; empty where they were
            in no files.
        unreadable: what could not be read, by name: why.
        duplicates: every image that shows the same as an earlier one, second, with that, first.
            Validation images come among the training images, test images after them.
        leaks: training and validation images, first, that show the same as a test image, second.
            Each such image is in at least one pair.
        conflicts: images that show the same, but have different labels. Each such image is in at
            least one pair.
        unusual: images unlike the others, the most unlike first; None where they
            were not looked for.
        blank: images of one colour; None likewise.
    """

    source: str
    sha256: str
    class_names: tuple[str, ...]
    images_per_class: Mapping[SplitName, Sequence[int]]
    img_shape: tuple[int, int, int]
    sizes: Mapping[tuple[int, int], int]
    unreadable: Mapping[str, str]
    duplicates: tuple[CopiedImage, ...]
    leaks: tuple[CopiedImage, ...]
    conflicts: tuple[CopiedImage, ...]
    unusual: tuple[CheckedImage, ...] | None
    blank: tuple[CheckedImage, ...] | None

    @property
    def is_clean(self) -> bool:
        """Whether no image leaks into training and none has two labels."""
        return not self.leaks and not self.conflicts

    @property
    def leaked_training(self) -> list[int]:
        """Positions of the training images that show the same as a test image, ascending."""
        return sorted({leak.first.index for leak in self.leaks})

    @property
    def leaked_test(self) -> list[int]:
        """Positions of the test images that show the same as a training image, ascending."""
        return sorted({leak.second.index for leak in self.leaks})

    @property
    def small_classes(self) -> dict[str, int]:
        """Classes of fewer than `FEWEST_TO_TRAIN` training images, and how many they have."""
        counts = zip(self.class_names, self.images_per_class["training"], strict=True)
        return {name: count for name, count in counts if count < FEWEST_TO_TRAIN}

    @property
    def imbalance(self) -> float:
        """Training images of the largest class over those of the smallest that has any."""
        present = [count for count in self.images_per_class["training"] if count]
        return max(present) / min(present)

    def duplicates_between(self, first: SplitName, second: SplitName) -> list[CopiedImage]:
        """Those duplicates of which one image is in one split and the other in the other."""
        return [copied for copied in self.duplicates if copied.splits == {first, second}]
