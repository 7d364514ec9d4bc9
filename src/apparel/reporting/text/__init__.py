"""Records → lines of text for a terminal, a notebook or a table."""

from apparel.reporting.text.check import (
    check_lines,
    check_summary,
    class_weights_line,
    left_out_line,
)
from apparel.reporting.text.comparison import comparison
from apparel.reporting.text.evaluation import (
    METRIC_NAMES,
    calibration_lines,
    looks_line,
    metric_lines,
    metric_table,
    test_summary,
    too_good_line,
)
from apparel.reporting.text.export import export_lines
from apparel.reporting.text.finding import (
    explanation,
    finding_lines,
    robustness_lines,
    suspect_lines,
)
from apparel.reporting.text.prediction import PredictionNotes, prediction_lines, prediction_rows
from apparel.reporting.text.seeds import seeds_lines
from apparel.reporting.text.tuning import trial_table, validation_verdict

__all__ = [
    "METRIC_NAMES",
    "PredictionNotes",
    "calibration_lines",
    "check_lines",
    "check_summary",
    "class_weights_line",
    "comparison",
    "explanation",
    "export_lines",
    "finding_lines",
    "left_out_line",
    "looks_line",
    "metric_lines",
    "metric_table",
    "prediction_lines",
    "prediction_rows",
    "robustness_lines",
    "seeds_lines",
    "suspect_lines",
    "test_summary",
    "too_good_line",
    "trial_table",
    "validation_verdict",
]
