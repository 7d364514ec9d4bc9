"""Records → the contents of a run directory's files, and back."""

from apparel.results.check import CHECK_FILE, check_json, data_check, read_check
from apparel.results.evaluation import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    metrics,
    prediction_rows,
    read_further_accuracies,
    read_predictions,
    read_tested_run,
)
from apparel.results.export import EXPORT_FILE, export_json, read_accuracy, read_exports
from apparel.results.history import HISTORY_FILE, read_history
from apparel.results.novelty import NOVELTY_FILE, read_novelty, write_novelty
from apparel.results.robustness import STRESS_FILE, read_robustness, robustness
from apparel.results.seeds import read_measures, seeds
from apparel.results.suspects import SUSPECTS_FILE, read_suspects, suspect_rows
from apparel.results.tuning import TRIALS, TRIALS_FILE, read_trials, trial_rows

__all__ = [
    "CHECK_FILE",
    "EXPORT_FILE",
    "HISTORY_FILE",
    "METRICS_FILE",
    "NOVELTY_FILE",
    "PREDICTIONS_FILE",
    "STRESS_FILE",
    "SUSPECTS_FILE",
    "TRIALS",
    "TRIALS_FILE",
    "check_json",
    "data_check",
    "export_json",
    "metrics",
    "prediction_rows",
    "read_accuracy",
    "read_check",
    "read_exports",
    "read_further_accuracies",
    "read_history",
    "read_measures",
    "read_novelty",
    "read_predictions",
    "read_robustness",
    "read_suspects",
    "read_tested_run",
    "read_trials",
    "robustness",
    "seeds",
    "suspect_rows",
    "trial_rows",
    "write_novelty",
]
