"""What counts as class probabilities."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import ApparelError, DataError

# Of float32 sums over a thousand classes, and of bfloat16 softmaxes.
LARGEST_SUM_ERROR = 0.01


def check_probabilities(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int
) -> None:
    """Check that there are probabilities of every class for each label.

    Args:
        probabilities: to be of shape (n, n_classes), finite, at least 0, rows summing to 1.
        labels: shape (n,), to be 0 to `n_classes` - 1, n at least 1.
        n_classes: how many classes there are.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the probabilities are none.
    """
    if len(labels) == 0 or probabilities.shape != (len(labels), n_classes):
        raise DataError(
            f"{len(labels)} labels of {n_classes} classes need probabilities of shape "
            f"({len(labels)}, {n_classes}), but they have shape {probabilities.shape}."
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels must be whole numbers of 0 to {n_classes - 1}, one for each class, but go "
            f"from {labels.min()} to {labels.max()}."
        )
    if not np.isfinite(probabilities).all():
        raise ApparelError(
            "the model gives probabilities that are not finite numbers: training diverged. "
            "Train again with a smaller learning rate."
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    off = int(np.abs(sums - 1).argmax())
    if abs(sums[off] - 1) > LARGEST_SUM_ERROR or probabilities.min() < 0:
        raise ApparelError(
            "the model gives no probabilities: those of an image must be at least 0 and sum to 1, "
            f"but those of image {off} sum to {sums[off]:.4g} and the least of all is "
            f"{probabilities.min():.4g}. Use a model that ends in softmax."
        )
