"""Compare an exported file with the model that it was made of."""

import math
import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import ApparelError
from apparel.core.records import Comparison, Precision
from apparel.export.format import Run

# Pixel values in a batch: the layers of a model need some hundred times as much memory.
VALUES_AT_ONCE = 1 << 20
# Rounding differs between runtimes; probabilities of a faithful copy differ by about 1e-6.
TOLERANCE = 1e-4
# The least share of images that must get the model's class.
LEAST_SAME: Mapping[Precision, float] = {"float32": 0.999, "int8": 0.99}
# How far the accuracy of a file in int8 may be from the model's.
ACCURACY_TOLERANCE = 0.003
# Novelty scores have no upper limit, so theirs is relative; they differ by about 1e-5.
NOVELTY_TOLERANCE = 1e-3


def images_at_once(pixels: NDArray[np.uint8]) -> int:
    """Give the number of images of this size in a batch."""
    return max(VALUES_AT_ONCE // math.prod(pixels.shape[1:]), 1)


def run_in_parts(run: Run, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Compute with a file in batches.

    Args:
        run: computes the file's outputs.
        pixels: shape (n, h, w, c), n of at least 1.

    Returns:
        Each output by its name, all images together.
    """
    step = images_at_once(pixels)
    parts = [run(pixels[start : start + step]) for start in range(0, len(pixels), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compare(
    expected: NDArray[np.float32],
    copy: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    runtime: str,
    runtime_version: str,
) -> Comparison:
    """Compare a file's probabilities with the model's.

    Args:
        expected: the model's probabilities, shape (n, k).
        copy: the file's probabilities.
        labels: shape (n,), the true classes.
        runtime: name of the runtime that computed them.
        runtime_version: its version.
    """
    fits = copy.shape == expected.shape
    if not fits:
        copy = np.full_like(expected, np.nan)
    chosen = copy.argmax(axis=1)
    # Of two classes that are equal but for rounding, either one may come out first.
    behind = expected.max(axis=1) - expected[np.arange(len(expected)), chosen]
    return Comparison(
        images=len(expected),
        same_class=float(np.mean(behind <= 2 * TOLERANCE)) if fits else 0.0,
        largest_difference=float(np.abs(expected - copy).max()),
        accuracy=float(np.mean(chosen == labels)),
        model_accuracy=float(np.mean(expected.argmax(axis=1) == labels)),
        runtime=runtime,
        runtime_version=runtime_version,
    )


def check_finite(expected: NDArray[np.float32], path: str | os.PathLike[str]) -> None:
    """Check that a model itself gives numbers.

    Raises:
        ApparelError: its probabilities are not finite.
    """
    if not np.isfinite(expected).all():
        raise ApparelError(
            f"{path} was not written: the model gives probabilities that are not finite numbers, "
            "because training diverged. Train again with a smaller learning rate."
        )


def check_same(found: Comparison, precision: Precision, path: str | os.PathLike[str]) -> None:
    """Check that a copy gives the model's answers.

    Raises:
        ApparelError: it gives other classes than the model too often; or, in float32, a probability
            that differs by more than `TOLERANCE`; or, in int8, another accuracy.
    """
    least = LEAST_SAME[precision]
    if precision == "float32":
        is_near = found.largest_difference <= TOLERANCE  # false for NaN
        allowed = f"at most {TOLERANCE:g}"
        advice = "Please report this, with the model's summary and the output of `pip freeze`."
    else:
        is_near = math.isfinite(found.largest_difference)
        is_near &= abs(found.accuracy - found.model_accuracy) <= ACCURACY_TOLERANCE
        allowed = f"an accuracy within {ACCURACY_TOLERANCE:.1%}"
        advice = "Export it without --int8."
    if is_near and found.same_class >= least:
        return
    raise ApparelError(
        f"{path} was not written: read back in {found.runtime} {found.runtime_version}, its "
        f"probabilities differ from the model's by up to {found.largest_difference:.2g}, the class "
        f"is the model's for {found.same_class:.2%} of {found.images:,} images, and the accuracy "
        f"is {found.accuracy:.2%} instead of {found.model_accuracy:.2%}. Allowed are {allowed} and "
        f"at least {least:.1%} of the classes. {advice}"
    )


def check_same_scores(
    expected: NDArray[np.float32], copy: NDArray[np.float32], path: str | os.PathLike[str]
) -> None:
    """Check that a copy gives the model's novelty scores.

    Raises:
        ApparelError: a score differs by more than `NOVELTY_TOLERANCE` of it.
    """
    if expected.shape != copy.shape or not np.allclose(copy, expected, rtol=NOVELTY_TOLERANCE):
        raise ApparelError(
            f"{path} was not written: read back, its novelty scores differ from those of the "
            f"training images' statistics by more than {NOVELTY_TOLERANCE:g} of them. Please "
            "report this, with the output of `pip freeze`."
        )
