"""The page: everything that a report shows, with charts, pictures and a slider."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from apparel.core.image_array import ImageArray
from apparel.core.records import Evaluation, LabelIssues, Report, Robustness
from apparel.reporting.html._data_section import data_section
from apparel.reporting.html._pictures import chart, heat, picture
from apparel.reporting.plots._style import percent
from apparel.reporting.plots.evaluation import (
    draw_abstention,
    draw_corruption,
    draw_reliability,
    row_shares,
)
from apparel.reporting.plots.training import draw_curves
from apparel.reporting.templates import render
from apparel.reporting.text import METRIC_NAMES

# A larger matrix is replaced by its most confused pairs.
LARGEST_MATRIX = 30
MOST_PAIRS = 30
# Pictures of a cell, and in all: they make up most of the page.
MOST_IN_CELL, MOST_PICTURES = 8, 900
# Label issues shown of each split.
MOST_ISSUES = 24
# Steps of the slider for the threshold.
N_THRESHOLDS = 100
# Inches: small enough for two side by side on a page, large enough to read on a phone.
_CHART = (5.0, 3.6)
_SMALL_CHART = (3.2, 2.5)


def html_page(report: Report) -> str:
    """Lay out a page.

    Args:
        report: the content.

    Returns:
        An HTML page that refers to no other file.
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
        leading=evaluation.metrics[leading],
        metrics={METRIC_NAMES[name]: found for name, found in evaluation.metrics.items()},
        matrix=_matrix(evaluation) if len(evaluation.class_names) <= LARGEST_MATRIX else None,
        pairs=[cell for cell in cells if cell["true"] != cell["predicted"]][:MOST_PAIRS],
        pictures=_cell_pictures(cells, report.test_images),
        charts=_charts(report),
        robustness_charts=_robustness_charts(report.robustness),
        mistakes=_mistakes(report),
        label_issues=[_label_issues(issues, report) for issues in report.label_issues],
        data=data_section(report),
        thresholds=_thresholds(evaluation),
        percent=percent,
    )


def _cells(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every pair of true and predicted class that occurs, confusions first, by frequency."""
    names, confusion = evaluation.class_names, evaluation.confusion
    found = [
        {
            "key": f"{true}-{predicted}",
            "true": names[true],
            "predicted": names[predicted],
            "wrong": bool(true != predicted),
            "count": int(confusion[true, predicted]),
            "images": np.flatnonzero(
                (evaluation.true == true) & (evaluation.predicted == predicted)
            ),
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
    """Pictures of the images of each cell, up to a limit for the page."""
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
    """Learning curves, reliability and abstention."""
    history, evaluation = report.history, report.evaluation
    return {
        "accuracy": _chart("Accuracy of each epoch", draw_curves, history, "accuracy"),
        "loss": _chart("Loss of each epoch", draw_curves, history, "loss"),
        "reliability": _chart("Accuracy over confidence", draw_reliability, evaluation),
        "abstention": _chart(
            "Accuracy over the share of images answered", draw_abstention, evaluation
        ),
    }


def _robustness_charts(robustness: Robustness | None) -> list[Markup]:
    """A chart for each corruption."""
    if robustness is None:
        return []
    accuracy = robustness.accuracy
    return [
        _chart(f"Accuracy under {curve.name}", draw_corruption, curve, accuracy, small=True)
        for curve in robustness.curves
    ]


def _chart(label: str, draw: Callable[..., None], *content: object, small: bool = False) -> Markup:
    """Draw a chart of its own."""
    figure = Figure(figsize=_SMALL_CHART if small else _CHART, layout="constrained")
    draw(*content, ax=figure.subplots())
    return chart(figure, label)


def _mistakes(report: Report) -> Iterator[dict[str, Any]]:
    """The worst mistakes, each with pictures of its image and its saliency maps."""
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


def _label_issues(issues: LabelIssues, report: Report) -> dict[str, Any]:
    """The number of label issues of a split, and pictures of the first."""
    images = report.train_images if issues.split == "train" else report.test_images
    names, shown = issues.class_names, slice(MOST_ISSUES)
    return {
        "split": issues.split_name,
        "count": len(issues.indices),
        "n_images": issues.n_images,
        "file": f"suspects_{issues.split}.csv",
        "shown": [
            {
                "index": int(index),
                "given": names[given],
                "suggested": names[suggested],
                "image": picture(images[index]),
            }
            for index, given, suggested in zip(
                issues.indices[shown], issues.given[shown], issues.suggested[shown], strict=True
            )
        ],
    }


def _thresholds(evaluation: Evaluation) -> dict[str, Any]:
    """Coverage and accuracy at each step of the slider."""
    abstention, chosen = evaluation.abstention, evaluation.calibration.threshold
    steps = np.arange(N_THRESHOLDS) / N_THRESHOLDS
    # Thresholds fall along the curve; this counts those that are at least as high as each step.
    last = np.searchsorted(-abstention.thresholds, -steps, side="right") - 1
    some = last >= 0
    return {
        "start": round((chosen or 0) * N_THRESHOLDS),
        "coverages": np.where(some, abstention.coverages[last], 0).round(4).tolist(),
        "accuracies": np.where(some, abstention.accuracies[last], 0).round(4).tolist(),
    }
