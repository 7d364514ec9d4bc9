"""Records as matplotlib Figures; no metric is computed and no window is shown here.

Figures are made without pyplot: no global state, no display, and nothing to close.
"""

from apparel.reporting.plots.evaluation import (
    calibration_figure,
    confusion_matrix_figure,
    robustness_figure,
)
from apparel.reporting.plots.images import label_issues_figure, mistakes_figure, predictions_figure
from apparel.reporting.plots.training import history_figure, trials_figure

__all__ = [
    "calibration_figure",
    "confusion_matrix_figure",
    "history_figure",
    "label_issues_figure",
    "mistakes_figure",
    "predictions_figure",
    "robustness_figure",
    "trials_figure",
]
