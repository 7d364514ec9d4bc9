"""The search for better settings: its space, its trials, and Optuna, which chooses them."""

from apparel.training.tuning.searching import GRACE, REDUCTION, Clock, load_optuna, sampler, search
from apparel.training.tuning.space import DEFAULT, Networks, full_settings, networks, suggest
from apparel.training.tuning.trial import Outcome, Report, TrialImages, Trials, trial_images

__all__ = [
    "DEFAULT",
    "GRACE",
    "REDUCTION",
    "Clock",
    "Networks",
    "Outcome",
    "Report",
    "TrialImages",
    "Trials",
    "full_settings",
    "load_optuna",
    "networks",
    "sampler",
    "search",
    "suggest",
    "trial_images",
]
