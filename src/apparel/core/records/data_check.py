"""Problems in a data set: copies, leaks, conflicting labels, images unlike the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SplitName: TypeAlias = Literal["training", "validation", "test"]

# A tenth of the training images is held out. With fewer than ten, a class has at most one image
# there, and single images decide what the model learns of it.
FEWEST_TO_TRAIN = 10
# Where the largest class has more than this many times the images of the smallest, accuracy says
# little about the small one, and training favours the large one.
IMBALANCE = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Duplicates:
    """Images that are copies of an earlier image, each linked to the earlier one most like it.

    Copies of copies need not be alike. An image therefore joins the group of the image that it is
    linked to only if it is also a copy of that group's first image. To tell whether an image has a
    copy anywhere, use `alike`, which ignores groups.

    Attributes:
        n_images: number of images searched.
        first: int64, shape (m,), positions of the earlier images.
        second: int64, shape (m,), ascending positions of their copies; each above its `first`.
        exact: bool, shape (m,), whether the two have the same bytes.
        mirrored: bool, shape (m,), whether they are most alike once one is mirrored left to right.
        distance: float32, shape (m,), their difference relative to their contrast; 0 for none.
        alike: int64, shape (p, 2), positions of every two images that are copies without having
            the same bytes, the earlier first. Of images with the same bytes, the first stands for
            all.
        alike_mirrored: bool, shape (p,), as `mirrored`, for the pairs of `alike`.
        group: int64, shape (n_images,), the smallest position in the group of each image.
    """

    n_images: int
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    exact: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    distance: NDArray[np.float32]
    alike: NDArray[np.int64]
    alike_mirrored: NDArray[np.bool_]
    group: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Unusual:
    """Images that stand out from a set.

    Attributes:
        positions: int64, shape (m,), images unlike the others, the most unlike first.
        blank: int64, shape (b,), images of one colour.
    """

    positions: NDArray[np.int64]
    blank: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CheckedImage:
    """An image by its place.

    Attributes:
        split: the split it belongs to.
        index: its position in the Dataset's test images or in its training images, which include
            those for validation.
        name: the name of its file; "train 17" or "test 3" where images have none.
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
        first: one image.
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
        """The one or two splits that the images belong to."""
        return frozenset((self.first.split, self.second.split))


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """The result of a check of a data set.

    Attributes:
        source: the source of the data.
        sha256: the hash of the Dataset that positions refer to.
        class_names: one name per class.
        images_per_class: the number of images of each class for "training", "validation" (where
            the source sets some aside) and "test".
        img_shape: height, width and channels of the images.
        sizes: number of images by their original height and width; empty where they were in no
            files.
        unreadable: reasons by the name of each unreadable file.
        duplicates: every image that shows the same as an earlier one, as `second` beside it as
            `first`. Validation images are among the training images; test images come after them.
        leaks: training and validation images, as `first`, that show the same as a test image, as
            `second`. Each such image is in at least one pair.
        conflicts: images that show the same but have different labels. Each such image is in at
            least one pair.
        unusual: images unlike the others, the most unlike first; None where not searched for.
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
        """True if no image leaks into training and none has two labels."""
        return not self.leaks and not self.conflicts

    @property
    def leaked_training(self) -> list[int]:
        """Ascending positions of the training images that show the same as a test image."""
        return sorted({leak.first.index for leak in self.leaks})

    @property
    def leaked_test(self) -> list[int]:
        """Ascending positions of the test images that show the same as a training image."""
        return sorted({leak.second.index for leak in self.leaks})

    @property
    def small_classes(self) -> dict[str, int]:
        """Number of training images of each class that has fewer than `FEWEST_TO_TRAIN`."""
        counts = zip(self.class_names, self.images_per_class["training"], strict=True)
        return {name: count for name, count in counts if count < FEWEST_TO_TRAIN}

    @property
    def imbalance(self) -> float:
        """Training images of the largest class over those of the smallest that has any."""
        present = [count for count in self.images_per_class["training"] if count]
        return max(present) / min(present)

    def duplicates_between(self, first: SplitName, second: SplitName) -> list[CopiedImage]:
        """The duplicates with one image in each of two splits."""
        return [copied for copied in self.duplicates if copied.splits == {first, second}]
