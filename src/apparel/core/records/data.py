"""Labelled images, as read from their source and as prepared for training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.image_array import ImageArray

# The source name of data sets made from arrays.
ARRAYS = "arrays"


def source_name(source: str) -> str:
    """The name of a source without the folders that lead to it.

    Reports, model cards and exported models are shared, and should not reveal where the data lie
    on this machine.
    """
    return Path(source).name or source


def without_folders(manifest: Mapping[str, object]) -> dict[str, object]:
    """A manifest with the name of its source only."""
    return {**manifest, "source": source_name(str(manifest["source"]))}


@dataclass(frozen=True, kw_only=True, eq=False)
class Files:
    """The files that the images of a data set were read from.

    Attributes:
        train: one name per image, in the order of the training images: a path relative to the
            source, or "file#position" where a file holds many.
        test: likewise for the test images.
        unreadable: reasons by the name of each unreadable file.
        sizes: number of images by their original height and width.
    """

    train: Sequence[str]
    test: Sequence[str]
    unreadable: Mapping[str, str]
    sizes: Mapping[tuple[int, int], int]


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageList:
    """The image files of a data set, those of the training images first.

    Attributes:
        source: as in `Dataset`.
        class_names: likewise.
        names: one name per image, as in `Files`.
        labels: int64, shape (n,), an index into `class_names`.
        digests: uint64, shape (n, 2), equal for equal images.
    """

    source: str
    class_names: tuple[str, ...]
    names: Sequence[str]
    labels: NDArray[np.int64]
    digests: NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Labelled images as read from their source.

    Attributes:
        train_images: uint8, shape (n, h, w, c), 0 to 255; training and validation together.
        train_labels: int64, shape (n,), an index into `class_names`.
        test_images: uint8, shape (m, h, w, c).
        test_labels: int64, shape (m,).
        class_names: one name per class.
        train_digests: uint64, shape (n, 2), equal for equal images.
        test_digests: likewise, shape (m, 2).
        train_keys: uint64, shape (n,), hash of each image's content before it is resized: of its
            file where it is larger than 64 pixels, else of its pixels. Splits follow from it.
        test_keys: likewise, shape (m,).
        sha256: hash of the images, labels and class names.
        test_sha256: hash of the test images, their labels and the class names.
        source: a name that `load` knows, or a path.
        validation: positions of the training images that the source itself sets aside for
            validation, in ascending order; None where it does not.
        files: the files that the images were read from; None for arrays and named sets.
    """

    train_images: ImageArray
    train_labels: NDArray[np.int64]
    test_images: ImageArray
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    train_digests: NDArray[np.uint64]
    test_digests: NDArray[np.uint64]
    train_keys: NDArray[np.uint64]
    test_keys: NDArray[np.uint64]
    sha256: str
    test_sha256: str
    source: str
    validation: NDArray[np.int64] | None = None
    files: Files | None = None

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
                    "Give one label per image."
                )
            if len(labels) == 0:
                raise DataError(f"{split} has no images. Give at least one per class.")
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= len(self.class_names):
                raise DataError(
                    f"{split} labels must lie in 0 to {len(self.class_names) - 1}, "
                    f"but lie in {low} to {high}. Give one class name per label."
                )

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_list(self) -> ImageList | None:
        """The image files; None for arrays and named sets."""
        if self.files is None:
            return None
        return ImageList(
            source=self.source,
            class_names=self.class_names,
            names=[*self.files.train, *self.files.test],
            labels=np.concatenate([self.train_labels, self.test_labels]),
            digests=np.concatenate([self.train_digests, self.test_digests]),
        )

    @property
    def origin(self) -> dict[str, object]:
        """The source of the images, and hashes that identify them."""
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
            Large sets are scaled as they are read.
        train_labels: float32, shape (n, k), one-hot.
        test_images: float32, shape (m, h, w, c), in [0, 1].
        test_labels: float32, shape (m, k), one-hot.
        training: int64, indices into `train_images` of the images to train on.
        validation: int64, indices into `train_images` of the images held out.
        class_weights: float32, shape (k,), weight of an image of each class in training; None
            where all count the same.
        manifest: source, images per class in each split, and class weights, in plain types.
    """

    train_images: ImageArray
    train_labels: NDArray[np.float32]
    test_images: ImageArray
    test_labels: NDArray[np.float32]
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    manifest: Mapping[str, object]
    class_weights: NDArray[np.float32] | None = None

    @property
    def images_per_class(self) -> Mapping[str, Sequence[int]]:
        """The number of images of each class in "training", "validation" and "test"."""
        return cast("Mapping[str, Sequence[int]]", self.manifest["images_per_class"])
