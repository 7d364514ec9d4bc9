"""Dataset → probabilities for images, from models that were not trained on them.

The training images are divided into folds of about the same share of every class. For each fold, a
model is trained on the others and predicts this one, and the test images.
"""

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError
from apparel.core.image_array import take
from apparel.core.messages import say
from apparel.core.records import Dataset, Splits
from apparel.core.settings import Settings
from apparel.data.arrays import one_hot, scale_pixels
from apparel.models import keras_inference
from apparel.training import fit

N_FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class OutOfSample:
    """Out-of-sample probabilities; rows sum to 1.

    Attributes:
        train: float32, shape (n, k), of each training image by one model.
        test: float32, shape (m, k), of each test image, the mean over all models.
    """

    train: NDArray[np.float32]
    test: NDArray[np.float32]


def cross_validate(
    dataset: Dataset, settings: Settings, number_format: NumberFormat
) -> OutOfSample:
    """Train a model for each fold of the training images.

    Args:
        dataset: images and labels.
        settings: of the models; their seed also divides the images.
        number_format: of training.

    Raises:
        DataError: a class has fewer training images than there are folds.
    """
    counts = np.bincount(dataset.train_labels, minlength=dataset.n_classes)
    rarest = int(counts.argmin())
    if counts[rarest] < N_FOLDS:
        raise DataError(
            f"the class {dataset.class_names[rarest]} has {counts[rarest]} training images, but "
            f"cross-validation in {N_FOLDS} folds needs at least {N_FOLDS} of every class. Add "
            "images of it, or leave the class out."
        )
    images = scale_pixels(dataset.train_images)
    test_images = scale_pixels(dataset.test_images)
    labels = one_hot(dataset.train_labels, dataset.n_classes)
    train = np.empty(labels.shape, np.float32)
    test = np.zeros((len(test_images), dataset.n_classes), np.float64)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=settings.seed)
    for number, (others, fold) in enumerate(folds.split(images, dataset.train_labels), start=1):
        say(f"Fold {number} of {N_FOLDS}: training on {len(others):,} images", file=sys.stderr)
        model = fit.compiled_model(
            settings,
            n_classes=dataset.n_classes,
            img_shape=dataset.img_shape,
            seed=(settings.seed + number) % 2**32,  # the largest seed
        )
        splits = Splits(
            train_images=images,
            train_labels=labels,
            test_images=test_images[:0],
            test_labels=labels[:0],
            training=others.astype(np.int64),
            validation=np.empty(0, np.int64),
            manifest={},
        )
        if fit.fit(model, splits, settings, number_format).interrupted:
            raise KeyboardInterrupt
        train[fold] = keras_inference.predict_probabilities(model, take(images, fold))
        test += keras_inference.predict_probabilities(model, test_images) / N_FOLDS
    return OutOfSample(train=train, test=test.astype(np.float32))
