"""Draw a record as a matplotlib Figure; never compute a metric, never show a window.

Figures are made without pyplot: no global state, no display, and nothing to close.
"""

from apparel.reporting.plots.calibration import (
    calibration_figure,
    draw_abstention,
    draw_reliability,
)
from apparel.reporting.plots.confusion import confusion_matrix_figure, draw_confusion_matrix
from apparel.reporting.plots.history import draw_curves, history_figure
from apparel.reporting.plots.mistakes import draw_map, mistakes_figure
from apparel.reporting.plots.predictions import draw_confidences, draw_image, predictions_figure
from apparel.reporting.plots.robustness import draw_corruption, robustness_figure
from apparel.reporting.plots.suspects import suspects_figure
from apparel.reporting.plots.tuning import draw_trials, trials_figure

__all__ = [
    "calibration_figure",
    "confusion_matrix_figure",
    "draw_abstention",
    "draw_confidences",
    "draw_confusion_matrix",
    "draw_corruption",
    "draw_curves",
    "draw_image",
    "draw_map",
    "draw_reliability",
    "draw_trials",
    "history_figure",
    "mistakes_figure",
    "predictions_figure",
    "robustness_figure",
    "suspects_figure",
    "trials_figure",
]
