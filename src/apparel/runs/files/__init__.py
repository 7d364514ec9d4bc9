"""Records → the contents of a run directory's files, and back."""

from apparel.runs.files.check import CHECK_FILE, check_json, data_check, read_check
from apparel.runs.files.evaluation import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    metrics,
    prediction_rows,
    read_further_accuracies,
    read_predictions,
    read_tested_run,
)
from apparel.runs.files.export import EXPORT_FILE, export_json, read_accuracy, read_exports
from apparel.runs.files.history import HISTORY_FILE, read_history
from apparel.runs.files.novelty import NOVELTY_FILE, read_novelty, write_novelty
from apparel.runs.files.robustness import STRESS_FILE, read_robustness, robustness
from apparel.runs.files.seeds import read_measures, seeds
from apparel.runs.files.suspects import SUSPECTS_FILE, read_suspects, suspect_rows
from apparel.runs.files.tuning import TRIALS, TRIALS_FILE, read_trials, trial_rows
from apparel.runs.files.weights import WEIGHTS_FILE, read_weights, write_weights

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
    "WEIGHTS_FILE",
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
    "read_weights",
    "robustness",
    "seeds",
    "suspect_rows",
    "trial_rows",
    "write_novelty",
    "write_weights",
]
