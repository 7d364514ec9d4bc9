"""Labelled images, as a source lists them → a Dataset that does not depend on the order of files.

Images are put in the order of their digests. So the same images give the same Dataset, the same
splits and the same training, however they were stored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.image_array import ImageArray, StoredImages, content_keys, digests, take
from apparel.core.messages import fits_one_line
from apparel.core.records import Dataset, Files
from apparel.data.arrays import as_labels, as_pixels, make_dataset
from apparel.data.splits import draw_share

Split: TypeAlias = Literal["train", "validation", "test"]

# Bytes of images that are held in memory: floating-point numbers and the copies that training makes
# take ten times as much.
LARGEST_IN_MEMORY = 1 << 28
FEWEST_CLASSES, MOST_CLASSES = 2, 1000
# Letters of a class's name, as exported models may have.
LONGEST_NAME = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledImages:
    """The content of a source, in its own order.

    Attributes:
        images: uint8, shape (n, h, w, c).
        labels: class of each image, as text.
        splits: split of each image; None for a source without splits.
        names: of the images.
        keys: uint64, shape (n,), hash of the content of each, as in `Dataset`; None where pixels
            are all that is known.
        unreadable: files that could not be read, by name: why.
        sizes: original height and width of images: how many.
    """

    images: NDArray[np.uint8]
    labels: Sequence[str]
    splits: Sequence[Split] | None
    names: Sequence[str]
    unreadable: Mapping[str, str]
    sizes: Mapping[tuple[int, int], int]
    keys: NDArray[np.uint64] | None = None


def join(
    parts: Sequence[LabelledImages], *, splits: Sequence[Split], source: str
) -> LabelledImages:
    """Put the splits of a source together.

    Args:
        parts: splits, or parts of them.
        splits: split of each part.
        source: path of the source.

    Raises:
        DataError: their images differ in shape.
    """
    shapes = {part.images.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise DataError(
            f"{source} has images of different shapes, {sorted(shapes)}. Give them the same size, "
            "or name one with --image-size, and the same number of channels."
        )
    return LabelledImages(
        images=np.concatenate([part.images for part in parts]),
        labels=[label for part in parts for label in part.labels],
        splits=[split for part, split in zip(parts, splits, strict=True) for _ in part.labels],
        names=[name for part in parts for name in part.names],
        unreadable={name: why for part in parts for name, why in part.unreadable.items()},
        sizes=sum((Counter(part.sizes) for part in parts), Counter()),
        keys=np.concatenate([_keys(part, part.images) for part in parts]),
    )


def _keys(found: LabelledImages, images: ImageArray) -> NDArray[np.uint64]:
    return content_keys(images) if found.keys is None else found.keys


def labelled_arrays(
    images: NDArray[Any], labels: NDArray[Any], file: str, split: str
) -> LabelledImages:
    """Bring images and labels in arrays into one form.

    Args:
        images: as `as_pixels` takes them.
        labels: as `as_labels` takes them.
        file: prefix of the names of arrays in messages.
        split: suffix of these names, after x_ and y_.

    Raises:
        DataError: they are not of that form, or do not fit together.
    """
    pixels = as_pixels(images, f"{file}x_{split}")
    n, height, width, _ = pixels.shape
    return LabelledImages(
        images=pixels,
        labels=as_labels(labels, f"{file}y_{split}", n_images=n),
        splits=None,
        names=[f"{file}x_{split}#{i}" for i in range(n)],
        unreadable={},
        sizes={(height, width): n},
    )


def assemble(
    found: LabelledImages,
    *,
    source: str,
    test_split: float,
    split_seed: int,
    keep_order: bool = False,
) -> Dataset:
    """Number the classes, draw test images where there are none, and put images in order.

    Args:
        found: content of the source.
        source: its path.
        test_split: share of every class that is drawn for testing where the source has no
            test images, in (0, 1).
        split_seed: random seed of the draw.
        keep_order: keep the images in their order, instead of that of their digests.

    Returns:
        Class names in numerical order where all are whole numbers, else in alphabetical order.

    Raises:
        DataError: there are too few or too many classes, a class is missing from a split, or a
            class is too small to be divided.
    """
    names = _class_names(source, found.labels)
    position = {name: k for k, name in enumerate(names)}
    labels = np.array([position[label] for label in found.labels], np.int64)
    images = _readable(found.images)
    order, marks, keys = np.arange(len(labels)), digests(images), _keys(found, images)
    if not keep_order:
        order = np.lexsort((labels, marks[:, 1], marks[:, 0]))
    splits = np.array(found.splits or ["train"] * len(labels))[order]
    if not (splits == "test").any():
        splits = _with_test_images(
            splits, labels[order], keys[order], names, share=test_split, split_seed=split_seed
        )
    _check_classes(source, splits, labels[order], names)
    test = splits == "test"
    return make_dataset(
        take(images, order[~test]),
        labels[order[~test]],
        take(images, order[test]),
        labels[order[test]],
        class_names=names,
        source=source,
        known_digests=(marks[order[~test]], marks[order[test]]),
        known_keys=(keys[order[~test]], keys[order[test]]),
        validation=(
            np.flatnonzero(splits[~test] == "validation")
            if (splits == "validation").any()
            else None
        ),
        files=Files(
            train=[found.names[i] for i in order[~test]],
            test=[found.names[i] for i in order[test]],
            unreadable=found.unreadable,
            sizes=found.sizes,
        ),
    )


def _class_names(source: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Sort the classes, or raise DataError: a bad name, or too few or too many."""
    names = set(labels)
    for name in names:
        _check_name(source, name)
    if len(names) < FEWEST_CLASSES:
        raise DataError(
            f"{source} has images of {len(names)} class{'' if names else 'es'} "
            f"({', '.join(names)}), but at least two are needed. Give each class a folder or label "
            "of its own."
        )
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"{source} has {len(names):,} classes, but at most {MOST_CLASSES:,} can be told apart. "
            "Check that labels are classes and not, for example, file names."
        )
    numbers = all(name.isdecimal() and name.isascii() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else (0, name)))


def _check_name(source: str, name: str) -> None:
    """Raise DataError if a label has stray spaces, is too long, or cannot be shown on one line."""
    if len(name) > LONGEST_NAME:
        raise DataError(
            f"{source} has a label of {len(name):,} letters, {name[:20]!r}...; expected were at "
            f"most {LONGEST_NAME:,}. Shorten the label."
        )
    if not name or name != name.strip():
        raise DataError(
            f"{source} has the label {name!r} with stray spaces or nothing in it; expected was "
            f"{name.strip() or 'a name'!r}. Correct the label."
        )
    if not fits_one_line(name):
        raise DataError(
            f"{source} has the label {name!a} with characters that no line can show. Rename it."
        )


def _with_test_images(
    splits: NDArray[np.str_],
    labels: NDArray[np.int64],
    keys: NDArray[np.uint64],
    names: Sequence[str],
    *,
    share: float,
    split_seed: int,
) -> NDArray[np.str_]:
    """Draw a share of the training images of every class for testing, equal ones together.

    Raises:
        DataError: a class has a single one.
    """
    training = np.flatnonzero(splits == "train")
    counts = np.bincount(labels[training], minlength=len(names))
    if (counts == 1).any():
        raise DataError(
            f"the class {names[int(np.argmax(counts == 1))]!r} has a single image to train on, so "
            "it cannot be both trained and tested. Add images of it, or leave the class out."
        )
    divided = splits.astype("U10")
    drawn = draw_share(keys[training], labels[training], share, split_seed, "test")
    divided[training[drawn]] = "test"
    return divided


def _check_classes(
    source: str, splits: NDArray[np.str_], labels: NDArray[np.int64], names: Sequence[str]
) -> None:
    """Raise DataError if a class is missing from training or test images."""
    for split in np.intersect1d(splits, ["train", "test"]):
        missing = np.setdiff1d(np.arange(len(names)), labels[splits == split])
        if len(missing):
            raise DataError(
                f"{source} has no {split} images of {', '.join(repr(names[k]) for k in missing)}. "
                "Classes are matched by name: training and test images must have the same classes. "
                "Rename, add or remove a class."
            )
    if "train" not in splits:
        raise DataError(f"{source} has no images to train on. Name the folder of them 'train'.")


def _readable(images: NDArray[np.uint8]) -> ImageArray:
    """Give the images, large mapped ones in a form that gives memory back."""
    if images.nbytes <= LARGEST_IN_MEMORY:
        return np.asarray(images)
    return StoredImages(images, np.arange(len(images)))
