"""Explanations → pictures in PNG files: the image, and the pixels that mattered glowing."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import UsageError
from apparel.core.records import Prediction

# The side of each of the two pictures, at least; whole pixels are enlarged to whole squares.
SIDE = 224
GAP = 8
# What matters glows from dark red over orange to light yellow, which grey shows through.
GLOW = np.array([[60, 0, 0], [200, 40, 0], [255, 150, 0], [255, 240, 160]], np.float64)
STRONGEST = 0.75


class ExplanationFiles:
    """A folder of pictures, one an image: as the model saw it, and with what mattered glowing."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Args:
            folder: where the pictures go.

        Raises:
            UsageError: it holds something already, or is no folder.
            OSError: it cannot be made.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"{folder} exists and is no empty folder. Name a new folder for the explanations."
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.n_written = 0

    def write(self, prediction: Prediction, evidence: NDArray[np.float32]) -> None:
        """Write the picture of an image.

        Args:
            prediction: with its image.
            evidence: shape (h, w), 0 to 1: how much each pixel mattered.

        Raises:
            OSError: the file cannot be written.
        """
        self.n_written += 1
        with atomic_path(self._folder / self._file_name(prediction)) as temporary:
            explanation(np.asarray(prediction.image), evidence).save(temporary)

    def _file_name(self, prediction: Prediction) -> str:
        """Give a unique name that shows the image and its place."""
        image, label = (
            re.sub(r"[^\w.]+", "-", part)[:40].strip("-.") or "image"
            for part in (Path(prediction.name).stem, prediction.label)
        )
        return f"{self.n_written:05}-{image}-{label}.png"


def explanation(image: NDArray[np.uint8], evidence: NDArray[np.float32]) -> Image.Image:
    """Draw an image as the model saw it and, beside it, with what mattered glowing.

    Args:
        image: shape (h, w, c), 0 to 255.
        evidence: shape (h, w), 0 to 1.

    Returns:
        An RGB picture.
    """
    seen = np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float64)
    strength = (STRONGEST * evidence)[..., None]
    steps = np.linspace(0, 1, len(GLOW))
    colours = np.stack([np.interp(evidence, steps, GLOW[:, k]) for k in range(3)], axis=-1)
    glowing = seen * (1 - strength) + colours * strength
    scale = -(-SIDE // max(image.shape[:2]))
    left, right = (
        np.rint(part).astype(np.uint8).repeat(scale, 0).repeat(scale, 1) for part in (seen, glowing)
    )
    gap = np.full((left.shape[0], GAP, 3), 255, np.uint8)
    return Image.fromarray(np.concatenate([left, gap, right], axis=1))
