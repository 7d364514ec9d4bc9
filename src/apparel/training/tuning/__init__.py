"""The search for better settings: its space, its trials, and Optuna, which chooses them."""

from apparel.training.tuning.searching import (
    Clock,
    begun_trial,
    each_trial,
    load_optuna,
    open_study,
    report_to,
    search,
    tell,
)
from apparel.training.tuning.space import DEFAULT, Networks, full_settings, networks, suggest
from apparel.training.tuning.trial import Outcome, Report, TrialImages, Trials, trial_images

__all__ = [
    "DEFAULT",
    "Clock",
    "Networks",
    "Outcome",
    "Report",
    "TrialImages",
    "Trials",
    "begun_trial",
    "each_trial",
    "full_settings",
    "load_optuna",
    "networks",
    "open_study",
    "report_to",
    "search",
    "suggest",
    "tell",
    "trial_images",
]
