"""Images and labels, as they come and as they are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from apparel.errors import DataError

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


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
        test_sha256: likewise of the test images, their labels and the class names.
        source: where the data came from, for people.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    sha256: str
    test_sha256: str
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
    def origin(self) -> dict[str, object]:
        """Where the images came from, and the hashes to know them again."""
        return {"source": self.source, "sha256": self.sha256, "test_sha256": self.test_sha256}

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

    @property
    def images_per_class(self) -> Mapping[str, Sequence[int]]:
        """How many images of each class are for "training", "validation" and "test"."""
        return cast("Mapping[str, Sequence[int]]", self.manifest["images_per_class"])
