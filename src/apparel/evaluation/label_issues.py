"""Find labels that are probably wrong, from out-of-sample probabilities.

Confident learning (C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", 2021, arXiv 1911.00068), by cleanlab: from confident predictions of
models that never saw the images, it estimates how many images of each class carry the label of each
other class, and lists as many, those first whose label is least likely beside the likeliest other.
"""

import warnings
from typing import Literal

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

from apparel.core.records import LabelIssues
from apparel.evaluation.metrics import check_probabilities


def find(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    *,
    split: Literal["train", "test"],
) -> LabelIssues:
    """Find labels that are probably wrong.

    Args:
        probabilities: of models that never saw the image, shape (n, k), rows sum to 1.
        labels: shape (n,), 0 to k - 1.
        class_names: k names.
        split: the split of the images.

    Returns:
        The most suspicious labels first. Empty where all images have the same label. A class
        without labelled images is never suggested, as no confident example of it is known.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the values are not probabilities.
    """
    check_probabilities(probabilities, labels, len(class_names))
    ranked = []
    if len(np.unique(labels)) > 1:
        with warnings.catch_warnings():
            # It warns of classes without images; the docstring above says so.
            warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
            ranked = find_label_issues(
                labels,
                probabilities,
                filter_by="prune_by_noise_rate",
                return_indices_ranked_by="normalized_margin",
                n_jobs=1,
            )
    indices = np.asarray(ranked, np.int64)
    quality = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    return LabelIssues(
        split=split,
        n_images=len(labels),
        class_names=class_names,
        indices=indices,
        given=labels[indices],
        suggested=probabilities[indices].argmax(axis=1),
        label_quality=np.asarray(quality, np.float64)[indices],
    )
