"""A figure and how sure it is: the 95 % intervals that every result carries.

- Shares of images: Wilson's score interval (E. B. Wilson, "Probable Inference, the Law of
  Succession, and Statistical Inference", 1927).
- Means over images: the normal interval of a mean.
- Everything else that is a function of how often each class was taken for each: the percentile
  bootstrap (B. Efron, "Bootstrap Methods", 1979).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apparel.records import Interval

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def wilson_interval(successes: int, trials: int) -> Interval:
    """A share and its 95 % Wilson score interval; 0 in [0, 1] where nothing was tried."""
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    share, z2 = successes / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / 4 / trials**2)
    # Rounding may carry a bound past the share itself at 0 and 1.
    low, high = min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)
    return Interval(share, float(low), float(high))


def share_interval(which: NDArray[np.bool_]) -> Interval:
    """The share of what is true among n values, with Wilson's interval."""
    return wilson_interval(int(which.sum()), len(which))


def mean_interval(values: ArrayLike) -> Interval:
    """The mean of values of at least 0, one an image, and its normal 95 % interval."""
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    half = Z_95 * float(values.std()) / np.sqrt(len(values))
    return Interval(mean, max(mean - half, 0.0), mean + half)


def percentile_interval(value: float, samples: NDArray[np.float64]) -> Interval:
    """A value and the middle 95 % of its bootstrap samples, widened to hold the value."""
    low, high = (float(bound) for bound in np.quantile(samples, (0.025, 0.975)))
    return Interval(value, min(low, value), max(high, value))
