"""A `Report` → one HTML file that needs no other."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from apparel.core.image_array import ImageArray
from apparel.core.records import Evaluation, Interval, LabelIssues, Report, Robustness
from apparel.reporting import plots
from apparel.reporting.html.charts import svg
from apparel.reporting.html.data import data_section
from apparel.reporting.html.pictures import heat, picture
from apparel.reporting.html.templates import render
from apparel.reporting.plots.confusion import row_shares
from apparel.reporting.plots.style import new_axes, percent
from apparel.reporting.text import METRIC_NAMES

# A larger matrix is shown by its most confused pairs alone.
LARGEST_MATRIX = 30
MOST_PAIRS = 30
# Pictures of a cell, and in all: they make up most of the page.
MOST_IN_CELL, MOST_PICTURES = 8, 900
# Labels that are probably wrong, of each split.
MOST_SUSPECTS = 24
# Steps of the slider for the threshold.
N_THRESHOLDS = 100
# Small enough for two beside each other on a page, large enough to read on a phone.
_CHART = (5.0, 3.6)
_SMALL_CHART = (3.2, 2.5)


def html(report: Report) -> str:
    """Lay out a page.

    Args:
        report: everything that it shows.

    Returns:
        An HTML page without any address but those of its own pictures.
    """
    evaluation = report.evaluation
    cells = _cells(evaluation)
    leading = next(iter(evaluation.metrics))
    return render(
        "report.html",
        report=report,
        evaluation=evaluation,
        n=len(evaluation.true),
        leading_name=METRIC_NAMES[leading].lower(),
        leading=_percentages(evaluation.metrics[leading]),
        metrics={METRIC_NAMES[name]: found for name, found in evaluation.metrics.items()},
        matrix=_matrix(evaluation) if len(evaluation.class_names) <= LARGEST_MATRIX else None,
        pairs=[cell for cell in cells if cell["true"] != cell["predicted"]][:MOST_PAIRS],
        pictures=_cell_pictures(cells, report.test_images),
        charts=_charts(report),
        robustness_charts=_robustness_charts(report.robustness),
        mistakes=_mistakes(report),
        suspects=[_suspects(found, report) for found in report.label_issues],
        data=data_section(report),
        thresholds=_thresholds(evaluation),
        percent=percent,
    )


def _percentages(interval: Interval) -> dict[str, str]:
    return {
        "value": percent(interval.value),
        "low": percent(interval.low),
        "high": percent(interval.high),
    }


def _cells(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every pair of true and predicted class that occurs, wrong ones first, by their images."""
    names, confusion = evaluation.class_names, evaluation.confusion
    found = [
        {
            "key": f"{true}-{predicted}",
            "true": names[true],
            "predicted": names[predicted],
            "wrong": bool(true != predicted),
            "count": int(confusion[true, predicted]),
            "images": ((evaluation.true == true) & (evaluation.predicted == predicted)).nonzero()[
                0
            ],
        }
        for true, predicted in np.argwhere(confusion)
    ]
    return sorted(found, key=lambda cell: (-cell["wrong"], -cell["count"]))


def _matrix(evaluation: Evaluation) -> list[list[dict[str, Any]]]:
    """The confusion matrix, with each cell's share of its row."""
    names = evaluation.class_names
    shares = row_shares(evaluation.confusion)
    return [
        [
            {
                "key": f"{true}-{predicted}",
                "count": count,
                "label": f"{names[true]} taken for {names[predicted]}: {count}",
                "share": share,
                "right": true == predicted,
            }
            for predicted, (count, share) in enumerate(zip(counts, row, strict=True))
        ]
        for true, (counts, row) in enumerate(
            zip(evaluation.confusion.tolist(), shares.tolist(), strict=True)
        )
    ]


def _cell_pictures(cells: list[dict[str, Any]], images: ImageArray) -> dict[str, Any]:
    """Pictures of the images of each cell, as many as the page bears."""
    left, found = MOST_PICTURES, {}
    for cell in cells:
        shown = cell["images"][: min(MOST_IN_CELL, left)]
        left -= len(shown)
        found[cell["key"]] = {
            "true": cell["true"],
            "predicted": cell["predicted"],
            "count": cell["count"],
            "images": [[int(index), picture(images[index])] for index in shown],
        }
    return found


def _charts(report: Report) -> dict[str, Markup]:
    """Training, calibration and abstaining."""
    history, evaluation = report.history, report.evaluation
    calibration = evaluation.calibration
    before = evaluation.reliability_before if calibration.is_needed else None
    accuracy, loss, reliability, abstention = (new_axes(_CHART) for _ in range(4))
    plots.draw_curves(history, "accuracy", ax=accuracy)
    plots.draw_curves(history, "loss", ax=loss)
    plots.draw_reliability(evaluation.reliability, before, ax=reliability)
    plots.draw_abstention(evaluation.abstention, calibration, ax=abstention)
    return {
        "accuracy": _chart(accuracy, "Accuracy of each epoch"),
        "loss": _chart(loss, "Loss of each epoch"),
        "reliability": _chart(reliability, "Accuracy over confidence"),
        "abstention": _chart(abstention, "Accuracy over the share of images answered"),
    }


def _robustness_charts(robustness: Robustness | None) -> list[Markup]:
    """A chart for each way of making images worse."""
    if robustness is None:
        return []
    return [
        _chart(
            plots.draw_corruption(curve, robustness.accuracy, ax=new_axes(_SMALL_CHART)),
            f"Accuracy under {curve.name}",
        )
        for curve in robustness.curves
    ]


def _chart(ax: Axes, label: str) -> Markup:
    """An SVG element that the template takes as it is."""
    return Markup(svg(ax, label))  # noqa: S704  # made by matplotlib, which escapes its texts


def _mistakes(report: Report) -> Iterator[dict[str, Any]]:
    """The worst mistakes, each with pictures of its image and its maps."""
    maps = zip(report.saliency.grad_cam, report.saliency.occlusion, strict=True)
    for mistake, (grad_cam, occlusion) in zip(report.mistakes, maps, strict=True):
        if mistake.image is None or mistake.true is None:
            continue
        yield {
            "name": mistake.name,
            "true": mistake.class_names[mistake.true],
            "predicted": mistake.label,
            "confidence": mistake.confidence,
            "image": picture(mistake.image),
            "grad_cam": heat(grad_cam),
            "occlusion": heat(occlusion),
        }


def _suspects(found: LabelIssues, report: Report) -> dict[str, Any]:
    """How many labels of a split are probably wrong, and pictures of the first."""
    images = report.train_images if found.split == "train" else report.test_images
    names, shown = found.class_names, slice(MOST_SUSPECTS)
    return {
        "split": found.split_name,
        "count": len(found.indices),
        "n_images": found.n_images,
        "file": f"suspects_{found.split}.csv",
        "shown": [
            {
                "index": int(index),
                "given": names[given],
                "suggested": names[suggested],
                "image": picture(images[index]),
            }
            for index, given, suggested in zip(
                found.indices[shown], found.given[shown], found.suggested[shown], strict=True
            )
        ],
    }


def _thresholds(evaluation: Evaluation) -> dict[str, Any]:
    """For each step of the slider, what the model answers and how much of it correctly."""
    abstention, chosen = evaluation.abstention, evaluation.calibration.threshold
    steps = np.arange(N_THRESHOLDS) / N_THRESHOLDS
    # Thresholds fall along the curve: how many are at least as high as each step.
    last = np.searchsorted(-abstention.thresholds, -steps, side="right") - 1
    some = last >= 0
    return {
        "start": round((chosen or 0) * N_THRESHOLDS),
        "coverages": np.where(some, abstention.coverages[last], 0).round(4).tolist(),
        "accuracies": np.where(some, abstention.accuracies[last], 0).round(4).tolist(),
    }
