"""Dataset → Splits: scaled pixels, one-hot labels, and validation images that are held out.

Test images, validation images and those that a limit keeps are drawn by their content.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray, content_keys
from apparel.core.records import IMBALANCE, Dataset, Splits
from apparel.core.settings import Settings
from apparel.data.arrays import one_hot, scale_pixels

Purpose: TypeAlias = Literal["test", "validation", "limit"]


def prepare(dataset: Dataset, settings: Settings) -> Splits:
    """Scale the images, one-hot the labels and choose the validation images.

    Args:
        dataset: uint8 images and integer labels.
        settings: gives `split_seed` and `validation_split`.

    Returns:
        Float32 images in [0, 1], one-hot labels, and the positions of the training and the
        validation images.
    """
    return split(
        scale_pixels(dataset.train_images),
        one_hot(dataset.train_labels, dataset.n_classes),
        scale_pixels(dataset.test_images),
        one_hot(dataset.test_labels, dataset.n_classes),
        settings=settings,
        manifest=dataset.origin,
        keys=dataset.train_keys,
        validation=dataset.validation,
    )


def split(
    train_images: ImageArray,
    train_labels: NDArray[np.float32],
    test_images: ImageArray,
    test_labels: NDArray[np.float32],
    *,
    settings: Settings,
    manifest: Mapping[str, object],
    keys: NDArray[np.uint64] | None = None,
    validation: NDArray[np.int64] | None = None,
) -> Splits:
    """Choose the validation images among images that are scaled already.

    Args:
        train_images: shape (n, h, w, c), in [0, 1].
        train_labels: shape (n, k), one-hot.
        test_images: shape (m, h, w, c), in [0, 1]; m may be 0.
        test_labels: shape (m, k), one-hot.
        settings: gives `split_seed` and `validation_split`.
        manifest: origin of the images.
        keys: shape (n,), of the training images as in `Dataset`; None to make them of the arrays.
        validation: positions of the validation images; None to draw them.

    Returns:
        The same arrays, the choice, and class weights where classes differ much in size. The
        manifest also has the images a class and the weights.
    """
    if validation is None:
        validation = np.flatnonzero(
            draw_share(
                content_keys(train_images) if keys is None else keys,
                train_labels.argmax(axis=1),
                settings.validation_split,
                settings.split_seed,
                "validation",
            )
        )
    training = np.setdiff1d(np.arange(len(train_labels)), validation)
    weights = balancing_weights(train_labels[training].sum(axis=0))
    counts = {
        "training": train_labels[training].sum(axis=0).astype(int).tolist(),
        "validation": train_labels[validation].sum(axis=0).astype(int).tolist(),
        "test": test_labels.sum(axis=0).astype(int).tolist(),
    }
    return Splits(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        training=training,
        validation=validation,
        manifest={
            **manifest,
            "images_per_class": counts,
            "class_weights": None if weights is None else weights.tolist(),
        },
        class_weights=weights,
    )


def balancing_weights(counts: NDArray[Any]) -> NDArray[np.float32] | None:
    """Give weights by which every class counts the same.

    They are scikit-learn's "balanced" ones (G. King and L. Zeng, "Logistic Regression in Rare
    Events Data", Political Analysis 9, 2001).

    Args:
        counts: shape (k,), images of each class.

    Returns:
        Shape (k,), with mean 1 over the images; None where classes are of about the same size. A
        class without images counts 0.
    """
    if not is_imbalanced(counts):
        return None
    present = counts[counts > 0]
    weights = np.zeros(len(counts), np.float32)
    weights[counts > 0] = present.sum() / (len(present) * present)
    return weights


def is_imbalanced(counts: NDArray[Any]) -> bool:
    """Tell whether a class has more than `IMBALANCE` times the images of another.

    Args:
        counts: shape (k,), images of each class; classes without images do not count.
    """
    present = counts[counts > 0]
    return len(present) > 0 and bool(present.max() > IMBALANCE * present.min())


def draw_share(
    keys: NDArray[np.uint64],
    labels: NDArray[np.int64],
    share: float,
    split_seed: int,
    purpose: Purpose,
) -> NDArray[np.bool_]:
    """Draw a share of the images, each by its own content.

    An image is drawn if its position, a number in [0, 1) that follows from its key, is below the
    share. So other images never change the draw, and equal images are drawn together. A class of
    which none is drawn gives those with the lowest position; a class of which all are drawn keeps
    those with the highest.

    Args:
        keys: shape (n,), `Dataset.train_keys`.
        labels: shape (n,), class of each image.
        share: in (0, 1).
        split_seed: random seed of the draw.
        purpose: what the images are drawn for; draws for different purposes are independent.

    Returns:
        Shape (n,), True for the images that are drawn. A class of a single image gives none.
    """
    positions = _positions(keys, split_seed, purpose)
    drawn = positions < share
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if drawn[members].any() and not drawn[members].all():
            continue
        lowest, highest = positions[members].min(), positions[members].max()
        if len(members) == 1:
            drawn[members] = False
        elif lowest == highest:  # all images are equal: split them, since both sides need one
            drawn[members] = np.arange(len(members)) == 0
        elif drawn[members].all():
            drawn[members[positions[members] == highest]] = False
        else:
            drawn[members[positions[members] == lowest]] = True
    return drawn


def draw_number(
    keys: NDArray[np.uint64], labels: NDArray[np.int64], number: int, split_seed: int
) -> NDArray[np.int64]:
    """Draw some images, each class in proportion to its size, at least one of each.

    Args:
        keys: shape (n,), `Dataset.train_keys`.
        labels: shape (n,), class of each image.
        number: of images, at least one a class.
        split_seed: random seed of the draw.

    Returns:
        Their indices in ascending order: in each class, those with the lowest positions.
    """
    if number >= len(labels):
        return np.arange(len(labels))
    counts = np.bincount(labels)
    exact = number * counts / len(labels)
    quotas = np.maximum(np.floor(exact).astype(int), counts > 0)
    # Largest remainders get the rest; where small classes got more than their share, the largest
    # give it back.
    for k in np.argsort(quotas - exact, kind="stable")[: max(number - quotas.sum(), 0)]:
        quotas[k] += 1
    while quotas.sum() > number:
        quotas[quotas.argmax()] -= 1
    order = np.lexsort((_positions(keys, split_seed, "limit"), labels))
    starts = np.cumsum(counts) - counts
    chosen = [order[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def _positions(keys: NDArray[np.uint64], split_seed: int, purpose: Purpose) -> NDArray[np.float64]:
    """Spread keys evenly over [0, 1), by the finaliser of SplitMix64.

    G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    salt = hashlib.blake2b(f"{purpose} {split_seed}".encode(), digest_size=8).digest()
    mixed = keys ^ np.uint64(int.from_bytes(salt))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
