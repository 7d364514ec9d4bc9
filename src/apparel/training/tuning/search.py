"""Optuna samples trials, one after the other, and stops poor ones early.

It is a tree-structured Parzen estimator (J. Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", 2011) with asynchronous successive halving (L. Li et al., "A System for Massively
Parallel Hyperparameter Tuning", 2018, arXiv 1810.05934): of the trials that have come as far, the
better half continues.
"""

import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apparel.core.atomic_files import write_text
from apparel.core.messages import say
from apparel.training.tuning.space import DEFAULT, suggest
from apparel.training.tuning.trial import Outcome, Report, Trials

JOURNAL = "optuna.log"
CLOCK = "clock.json"
# Percentage of a trial's time from which poor trials are stopped.
GRACE, REDUCTION = 25, 2
# Random trials before the estimator begins; of a dozen, Optuna's own ten would leave it two.
RANDOM_TRIALS = 5
# Seconds between two writes of the clock.
TICK_SECONDS = 1.0


class Clock:
    """The time that a search has taken, in this process and earlier ones.

    Args:
        search: folder of the search.
        seconds: time for the search.
        trial: seconds of a trial.
        trials: largest number of trials; None for as many as fit.
    """

    def __init__(self, search: Path, *, seconds: float, trial: float, trials: int | None) -> None:
        self._path = search / CLOCK
        self._seconds, self._trial, self._trials = seconds, trial, trials
        self._before = self._begun = self._written = -1.0

    def tick(self) -> float:
        """Read the clock, and write it down now and then, for a process that resumes.

        Returns:
            The seconds so far.
        """
        now = time.monotonic()
        if self._begun < 0:
            self._begun, self._before = now, _read_seconds(self._path)
        spent = self._before + now - self._begun
        if now - self._written >= TICK_SECONDS:
            write_text(self._path, json.dumps({"seconds": round(spent, 3)}) + "\n")
            self._written = now
        return spent

    def has_room(self, begun: int) -> bool:
        """Tell whether another trial may begin, given the number of those that have.

        The last one ends at most half a trial's time late.
        """
        if self._trials is not None and begun >= self._trials:
            return False
        return begun == 0 or self._seconds - self.tick() >= self._trial / 2


def load_optuna() -> Any:
    """Import Optuna, and silence its log.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    import optuna  # noqa: PLC0415  # most commands do not need it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def sampler(seed: int, number: int) -> Any:
    """Make the sampler of a trial.

    Each trial has its own, so that a resumed search samples as if it had not been interrupted.
    """
    random = np.random.SeedSequence((seed, number)).generate_state(1)
    return load_optuna().samplers.TPESampler(seed=int(random[0]), n_startup_trials=RANDOM_TRIALS)


def search(*, seed: int, clock: Clock, trials: Trials) -> None:
    """Train trial after trial until the clock has no room for another.

    Args:
        seed: random seed of the sampler.
        clock: of the search.
        trials: trains each; they may have begun in another process.

    Raises:
        ApparelError: a trial failed.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    study, names = open_study(trials.folder), tuple(trials.networks)
    for trial in each_trial(study, seed=seed, clock=clock):
        outcome = trials.run(trial.number, suggest(trial, names), report_to(trial, clock))
        tell(study, trial.number, outcome)
        say(outcome.line(trial.number), file=sys.stderr)


def open_study(folder: Path) -> Any:
    """Open Optuna's record of a search, or begin one with the default hyperparameters.

    Several processes may have it open.
    """
    optuna = load_optuna()
    journal = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    study = optuna.create_study(
        study_name="apparel",
        storage=optuna.storages.JournalStorage(journal),
        direction="maximize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(GRACE, REDUCTION),
        load_if_exists=True,
    )
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(DEFAULT))
    return study


def each_trial(study: Any, *, seed: int, clock: Clock) -> Iterator[Any]:
    """Give the trials that were interrupted, then new ones while the clock has room.

    Args:
        study: record of the search.
        seed: random seed of the sampler.
        clock: of the search.

    Yields:
        Optuna's trials. Each is sampled given the results known when it is asked for.
    """
    states = load_optuna().trial.TrialState
    for begun in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.sampler = sampler(seed, begun.number)
        yield begun_trial(study, begun.number)
    while True:
        known = study.get_trials(deepcopy=False)
        number = sum(trial.state != states.WAITING for trial in known)
        if not clock.has_room(number):
            return
        study.sampler = sampler(seed, number)
        yield study.ask()


def begun_trial(study: Any, number: int) -> Any:
    """Give a trial that another process has begun."""
    begun = study.get_trials(deepcopy=False)[number]
    return load_optuna().trial.Trial(study, begun._trial_id)  # noqa: SLF001  # it has no other name


def tell(study: Any, number: int, outcome: Outcome) -> None:
    """Record how a trial ended."""
    if outcome.stopped:
        study.tell(number, state=load_optuna().trial.TrialState.PRUNED)
    else:
        study.tell(number, outcome.accuracy)


def report_to(trial: Any, clock: Clock | None = None) -> Report:
    """Report each epoch to Optuna, which says whether the trial is to continue.

    Args:
        trial: Optuna's.
        clock: reads the time at each epoch; None where another process does.
    """

    def report(percent: float, accuracy: float) -> bool:
        if clock:
            clock.tick()
        with warnings.catch_warnings():
            # A trial that resumes from a checkpoint may report an epoch again.
            warnings.simplefilter("ignore")
            trial.report(accuracy, int(percent))
        return not trial.should_prune()

    return report


def _read_seconds(path: Path) -> float:
    """The seconds that earlier processes took; 0 if none wrote any."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
    except (OSError, KeyError, TypeError, ValueError):
        return 0.0
