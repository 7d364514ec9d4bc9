"""Records as lines of text for a terminal, a notebook or a table.

The modules are imported when they are first used: predicting needs one of the four.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apparel.reporting.text.data import (
        check_lines,
        check_summary,
        class_weights_line,
        left_out_line,
    )
    from apparel.reporting.text.evaluation import (
        METRIC_NAMES,
        calibration_lines,
        explanation,
        export_lines,
        finding_lines,
        label_issue_lines,
        metric_lines,
        repeated_test_line,
        robustness_lines,
        test_summary,
        too_good_line,
    )
    from apparel.reporting.text.prediction import PredictionNotes, prediction_lines, prediction_rows
    from apparel.reporting.text.runs import comparison, seeds_lines, trial_table, validation_verdict

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
    "label_issue_lines",
    "left_out_line",
    "metric_lines",
    "prediction_lines",
    "prediction_rows",
    "repeated_test_line",
    "robustness_lines",
    "seeds_lines",
    "test_summary",
    "too_good_line",
    "trial_table",
    "validation_verdict",
]


def __getattr__(name: str) -> Any:
    """Import a function (PEP 562)."""
    for module in ("prediction", "data", "evaluation", "runs") if name in __all__ else ():
        functions = vars(import_module(f"{__name__}.{module}"))
        if name in functions:
            return functions[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
