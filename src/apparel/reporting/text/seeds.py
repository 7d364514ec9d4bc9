"""What runs with several seeds say together → lines."""

from apparel.core.records import SeedsResult
from apparel.reporting.text.evaluation import METRIC_NAMES


def seeds_lines(result: SeedsResult) -> str:
    """Each seed's accuracy, then every measure's mean, interval and spread."""
    accuracies = zip(result.seeds, result.metrics["accuracy"].values, strict=True)
    each = "\n".join(f"seed {seed:<13} {value:.4f}" for seed, value in accuracies)
    rows = "\n".join(
        f"{METRIC_NAMES.get(name, name):<18} {spread.mean.value:.4f}  "
        f"(95 % interval of the mean {spread.mean.low:.4f} to {spread.mean.high:.4f}, "
        f"from seed to seed +/- {spread.deviation:.4f})"
        for name, spread in result.metrics.items()
    )
    return (
        f"Accuracy of each of {len(result.seeds)} seeds on {result.n_images:,} test images\n{each}"
        f"\n\nMeans over the seeds\n{rows}"
    )
