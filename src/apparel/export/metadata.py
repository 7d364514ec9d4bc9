"""The facts that an exported file states about itself and its run."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core.model_formats import FACTS_FORMAT, FASHION_MNIST
from apparel.core.recipes import Recipe
from apparel.core.records import Evaluation, Exported, without_folders
from apparel.core.settings import Settings


def run_facts(
    *,
    dataset: Mapping[str, object],
    settings: Settings,
    recipe: Recipe,
    threshold: float | None,
    accuracy: Mapping[str, float] | None,
) -> dict[str, object]:
    """Collect the facts about a run, without the folders of this machine.

    Args:
        dataset: manifest of its images.
        settings: of the run.
        recipe: the training recipe.
        threshold: the confidence below which an answer should not count; None where unknown.
        accuracy: value, low, high and n on the test images; None where it was not tested.
    """
    return {
        "dataset": without_folders(dataset),
        "threshold": threshold,
        "photo_steps": FASHION_MNIST if dataset["source"] == FASHION_MNIST else None,
        "settings": asdict(settings),
        "recipe": asdict(recipe),
        "accuracy": None if accuracy is None else dict(accuracy),
    }


def accuracy_fact(evaluation: Evaluation) -> dict[str, float]:
    """Give the accuracy on test images, as `run_facts` takes it."""
    return {**asdict(evaluation.metrics["accuracy"]), "n": len(evaluation.true)}


def file_facts(
    exported: Exported, class_names: Sequence[str], img_shape: Sequence[int]
) -> dict[str, object]:
    """Collect the facts about a file itself."""
    return {
        "class_names": list(class_names),
        "img_shape": list(img_shape),
        "colour_mode": "grey" if img_shape[-1] == 1 else "rgb",
        "precision": exported.precision,
        "needs": dict(exported.needs),
        "apparel": {"version": exported.apparel, "format": FACTS_FORMAT},
        "verified": asdict(exported.comparison),
    }


def examples(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    class_names: Sequence[str],
    threshold: object,
) -> list[dict[str, str]]:
    """Choose the first image of each class that is classified correctly and confidently.

    Args:
        pixels: shape (n, h, w, c).
        labels: shape (n,).
        probabilities: the model's, shape (n, k).
        class_names: k names.
        threshold: the least confidence; None for any.

    Returns:
        The class name and the image as a PNG file in base64, for each class with such an image.
    """
    least = threshold if isinstance(threshold, float | int) else 0
    is_sure = probabilities.max(axis=1) >= least
    good = is_sure & (probabilities.argmax(axis=1) == labels)
    chosen = ((k, np.flatnonzero(good & (labels == k))) for k in range(len(class_names)))
    return [
        {"label": class_names[k], "png": _png(pixels[found[0]])}
        for k, found in chosen
        if len(found)
    ]


def _png(image: NDArray[np.uint8]) -> str:
    """Encode an image of shape (h, w, c) as a PNG file in base64."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
        file, "PNG", optimize=True
    )
    return base64.b64encode(file.getvalue()).decode()
