"""Out-of-sample probabilities + labels → labels that are probably wrong.

Confident learning (C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", 2021, arXiv 1911.00068), by cleanlab: how many images of each class
carry the label of each other is estimated from the images on which models that never saw them are
sure, and so many are named, those first whose label is least likely beside the likeliest other.
"""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apparel.core.records import LabelIssues
from apparel.evaluation.probabilities import check_probabilities


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
        split: which images these are.

    Returns:
        The suspects, the most suspicious first. None where all images have one label, and none
        that should have a label which no image has: what such images look like is not known.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
        ApparelError: the probabilities are none.
    """
    from cleanlab.filter import find_label_issues  # noqa: PLC0415  # loads pandas
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415  # as above

    check_probabilities(probabilities, labels, len(class_names))
    ranked = []
    if len(np.unique(labels)) > 1:
        with warnings.catch_warnings():
            # It warns of classes without images, of which the docstring above tells.
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
