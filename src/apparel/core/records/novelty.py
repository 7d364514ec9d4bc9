"""How unlike the training images an image is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any, Self

from apparel.core.errors import DataError

if TYPE_CHECKING:  # the command's --help has no time to load NumPy
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Novelty:
    """What training images look like in a few statistics, and how far from that is too far.

    The statistics of an image of c channels, d in all: it is shrunk to each scale and filtered;
    of each filter's absolute response less each level, the part above 0 is averaged over the image.
    Then follow weighted means of the pixels. The logarithm is taken of all, after `offset` is
    added. The score is the squared length of (statistics - location) @ whitening.

    Attributes:
        img_shape: height, width and channels of the images.
        scales: s factors by which images are shrunk.
        kernels: float32, shape (f, c, 3, 3), the filters.
        levels: float32, shape (t,), in [0, 1].
        weights: float32, shape (h·w·c, r), of the pixels in each weighted mean.
        offset: keeps the logarithm finite.
        location: float32, shape (d,), d = s·f·t + r, the mean of the training images.
        whitening: float32, shape (d, d), makes their covariance the identity.
        threshold: the score above which an image is unlike them; None where there were too few
            validation images to say.
    """

    img_shape: tuple[int, int, int]
    scales: tuple[int, ...]
    kernels: NDArray[np.float32]
    levels: NDArray[np.float32]
    weights: NDArray[np.float32]
    offset: float
    location: NDArray[np.float32]
    whitening: NDArray[np.float32]
    threshold: float | None

    def __post_init__(self) -> None:
        """Check that the arrays fit together.

        Raises:
            DataError: they do not.
        """
        n_filters, n_levels, n_means = len(self.kernels), len(self.levels), self.weights.shape[1]
        d = len(self.scales) * n_filters * n_levels + n_means
        expected = {
            "kernels": (n_filters, self.img_shape[2], 3, 3),
            "levels": (n_levels,),
            "weights": (prod(self.img_shape), n_means),
            "location": (d,),
            "whitening": (d, d),
        }
        for name, shape in expected.items():
            found = getattr(self, name)
            if found.shape != shape or found.dtype != "float32":
                raise DataError(
                    f"{name} of a novelty score must be float32 of shape {shape}, but is "
                    f"{found.dtype} of shape {found.shape}. Fit it again."
                )

    def as_arrays(self) -> dict[str, Any]:
        """What `numpy.savez` keeps of it, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Make it again from what `as_arrays` gave.

        Raises:
            KeyError: an array is missing.
            DataError: the arrays do not fit together.
        """
        height, width, channels = (int(size) for size in arrays["img_shape"])
        return cls(
            img_shape=(height, width, channels),
            scales=tuple(int(scale) for scale in arrays["scales"]),
            offset=float(arrays["offset"]),
            threshold=float(arrays["threshold"]) if "threshold" in arrays else None,
            **{name: arrays[name] for name in _ARRAYS},
        )


_ARRAYS = ("kernels", "levels", "weights", "location", "whitening")
