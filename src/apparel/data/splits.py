"""Dataset → Splits: scaled pixels, one-hot labels, and validation images that are held out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.image_array import ImageArray
from apparel.core.records import IMBALANCE, Dataset, Splits
from apparel.core.settings import Settings
from apparel.data.arrays import one_hot, scale_pixels


def prepare(dataset: Dataset, settings: Settings) -> Splits:
    """Scale the images, one-hot the labels and choose the validation images.

    Args:
        dataset: uint8 images and integer labels.
        settings: gives `seed` and `validation_split`.

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
    validation: NDArray[np.int64] | None = None,
) -> Splits:
    """Choose the validation images among images that are scaled already.

    Args:
        train_images: shape (n, h, w, c), in [0, 1].
        train_labels: shape (n, k), one-hot.
        test_images: shape (m, h, w, c), in [0, 1]; m may be 0.
        test_labels: shape (m, k), one-hot.
        settings: gives `seed` and `validation_split`.
        manifest: origin of the images.
        validation: positions of the validation images; None to draw them.

    Returns:
        The same arrays, the choice, and class weights where classes differ much in size. The
        manifest also has the images a class and the weights.
    """
    if validation is None:
        training, validation = stratified_split(
            train_labels.argmax(axis=1), share=settings.validation_split, seed=settings.seed
        )
    else:
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


def stratified_split(
    labels: NDArray[np.int64],
    *,
    share: float,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out the same share of every class.

    A class of two images or more gives at least one and keeps at least one.
    scikit-learn's own split refuses classes as small as that.

    Args:
        labels: shape (n,), the class of each image.
        share: in (0, 1).
        seed: random seed of the choice.
        groups: shape (n,), a number for each image; images of a class with the same number stay
            together, so that a class may give more than its share.

    Returns:
        The sorted indices that stay and the sorted indices that are held out.
    """
    random = np.random.default_rng(seed)
    held_out = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        drawn = random.permutation(members)
        held_out.append(drawn[:count] if groups is None else _whole(drawn, groups[drawn], count))
    validation = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def _whole(drawn: NDArray[np.int64], groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose whole groups, as they were drawn, of at least `count` members; the last one stays.

    A single group is divided.
    """
    _, first, group, size = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) == 1:
        return drawn[:count]
    order = np.argsort(first)
    members_before = np.cumsum(size[order]) - size[order]
    chosen = order[members_before < count][: len(order) - 1]
    return drawn[np.isin(group.reshape(-1), chosen)]
