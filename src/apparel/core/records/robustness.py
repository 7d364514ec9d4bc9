"""How a model does on images that were made worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    from apparel.core.records.evaluation import Interval


@dataclass(frozen=True, kw_only=True)
class CorruptionCurve:
    """Accuracy on images made worse in one way, at rising strengths.

    Attributes:
        name: the way, for people.
        unit: what a strength is.
        strengths: rising.
        accuracies: one a strength.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    accuracies: tuple[Interval, ...]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Accuracy on images changed on purpose, each pixel a little, until the model errs.

    Attributes:
        epsilon: the most by which a pixel was changed, in [0, 1] as pixels are.
        steps: of the attack.
        n_images: how many test images were attacked.
        accuracy: on them, once attacked.
    """

    epsilon: float
    steps: int
    n_images: int
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """How a model does on test images that were made worse.

    Attributes:
        n_images: how many test images each figure of a curve is of.
        accuracy: on the images as they are.
        curves: one a way of making them worse.
        attack: the worst that a known attack does.
    """

    n_images: int
    accuracy: Interval
    curves: tuple[CorruptionCurve, ...]
    attack: Attack
