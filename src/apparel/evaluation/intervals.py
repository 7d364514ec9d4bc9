"""The 95 % confidence intervals that every result carries.

- Shares of images: Wilson's score interval (E. B. Wilson, "Probable Inference, the Law of
  Succession, and Statistical Inference", 1927).
- Means over images: the normal interval of a mean.
- Means over seeds: Student's interval ("The Probable Error of a Mean", 1908).
- The expected calibration error: inversion of a test (J. Neyman, 1937).
- All other functions of the confusion matrix: the percentile bootstrap (B. Efron, "Bootstrap
  Methods", 1979).
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import t

from apparel.core.records import Interval, Spread

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile
N_DRAWS = 4000
LOW_RANK, HIGH_RANK = round(0.025 * N_DRAWS), round(0.975 * N_DRAWS)


def wilson_interval(successes: int, trials: int) -> Interval:
    """A share and its 95 % Wilson score interval; 0 in [0, 1] without trials."""
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    share, z2 = successes / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / 4 / trials**2)
    # Rounding may carry a bound past the share itself at 0 and 1.
    low, high = min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)
    return Interval(share, float(low), float(high))


def share_interval(which: NDArray[np.bool_]) -> Interval:
    """The share of true values, shape (n,), with Wilson's interval."""
    return wilson_interval(int(which.sum()), len(which))


def mean_interval(values: ArrayLike) -> Interval:
    """The mean of values of at least 0, one per image, and its normal 95 % interval."""
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    half = Z_95 * float(values.std()) / np.sqrt(len(values))
    return Interval(mean, max(mean - half, 0.0), mean + half)


def spread(values: Sequence[float], *, most: float) -> Spread:
    """The mean of a few normally distributed values, its 95 % interval, and their deviation.

    Args:
        values: at least 2, each from 0 to `most`.
        most: the largest possible value.
    """
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
    interval = Interval(mean, max(mean - half, 0.0), min(mean + half, most))
    return Spread(values=tuple(values), mean=interval, deviation=deviation)


def percentile_interval(value: float, samples: NDArray[np.float64]) -> Interval:
    """A value and the middle 95 % of its bootstrap samples, widened to hold the value."""
    low, high = (float(bound) for bound in np.quantile(samples, (0.025, 0.975)))
    return Interval(value, min(low, value), max(high, value))


def calibration_error_interval(
    count: NDArray[np.int64], hits: NDArray[np.float64], confidences: NDArray[np.float64]
) -> Interval:
    """The expected calibration error and its 95 % interval.

    Chance alone makes the error greater than 0, so resampling images would only add to it. The
    interval therefore holds every true error under which the observed one lies in the middle 95 %
    of its sampling distribution (J. Neyman, "Outline of a Theory of Statistical Estimation", 1937).
    That distribution also depends on how the true error is spread over the bins. The interval is
    the union of two: one for an error spread like the observed distances, which chance makes too
    uneven, and one for an error that is largest at middling accuracies, where a wrong temperature
    moves confidences most. The number of images in each bin is resampled; the sum over them is
    taken to be normal. The interval is widened to hold the observed error itself.

    Args:
        count: shape (b,), number of images in each bin of similar confidence, at least 1.
        hits: shape (b,), number of them that were classified correctly.
        confidences: shape (b,), sum of their confidences.
    """
    n_images = count.sum()
    distances = np.abs(hits - confidences) / count
    observed = float((distances * count).sum() / n_images)
    share = (hits + 1) / (count + 2)  # not 0 or 1 where a bin holds one image
    variances = share * (1 - share)
    deviations = np.sqrt(count * variances) / n_images
    random = np.random.default_rng(0)
    half = random.standard_normal((N_DRAWS // 2, len(count))) * deviations
    noise = np.concatenate([half, -half])
    weights = random.multinomial(n_images, count / n_images, N_DRAWS) / n_images

    def true_error(spread: NDArray[np.float64], rank: int) -> float:
        """The error, 0 to 1, under which the observed one has this rank among `N_DRAWS`."""
        gaps = spread * weights

        def beyond(error: float) -> float:
            drawn = np.abs(error * gaps + noise).sum(axis=1)
            return float(np.partition(drawn, rank)[rank]) - observed

        if beyond(0.0) >= 0:
            return 0.0
        return float(brentq(beyond, 0, 1, xtol=1e-5)) if beyond(1.0) > 0 else 1.0

    if observed == 0:
        return Interval(0.0, 0.0, 0.0)
    spreads = distances / observed, variances / np.average(variances, weights=count)
    low = min(true_error(spread, HIGH_RANK) for spread in spreads)
    high = max(true_error(spread, LOW_RANK) for spread in spreads)
    return Interval(observed, min(low, observed), max(high, observed))
