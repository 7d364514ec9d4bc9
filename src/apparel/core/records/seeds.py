"""What runs with several seeds say together."""

from collections.abc import Mapping
from dataclasses import dataclass

from apparel.core.records.evaluation import Interval


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A measure over several seeds.

    Attributes:
        values: one a seed, at least 2.
        mean: of them, with the 95 % interval of the mean.
        deviation: the standard deviation from seed to seed, of a sample.
    """

    values: tuple[float, ...]
    mean: Interval
    deviation: float


@dataclass(frozen=True, kw_only=True)
class SeedsResult:
    """What several runs measured that differ in their seed alone.

    Attributes:
        seeds: of the runs, at least 2.
        n_images: that each was tested on.
        measures: by name, as `metrics.json` has them.
    """

    seeds: tuple[int, ...]
    n_images: int
    measures: Mapping[str, Spread]
