"""The search for better settings on a Ray cluster, with Ray Tune: several trials at a time."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from apparel.core.backend import choose_number_format, use_threads
from apparel.core.errors import ApparelError
from apparel.core.settings import Plan, Settings
from apparel.training import tuning
from apparel.training.tuning import Clock, TrialImages, Trials

# Of Ray Tune's own record, within the folder of the search.
FOLDER = "ray"
PERCENT, ACCURACY = "percent", "val_accuracy"
NUMBER = "number"
# Ray Tune stores what tells of trials, and can store a logger, but no stream.
_trials_told = logging.getLogger(__name__)
_trials_told.setLevel(logging.INFO)
_trials_told.propagate = False
# How often a trial may lose its process or its node.
MOST_FAILURES = 5
_ENVIRONMENT = {
    # Its record is brought up to date this often, in seconds; a driver that is killed forgets
    # what was later.
    "TUNE_GLOBAL_CHECKPOINT_S": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Trials write their own records.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C ends this command as it does others.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Of images and runs, paths may be relative.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def plan(ray: Any, images: TrialImages, settings: Settings) -> Plan:
    """Measure what the time of a trial buys where trials run."""
    measured: Plan = ray.get(ray.remote(num_cpus=1)(_plan).remote(images, settings))
    return measured


def _plan(images: TrialImages, settings: Settings) -> Plan:
    """Measure the machine of this process, with the threads of a trial."""
    use_threads(1)
    return images.plan(settings, choose_number_format(settings.dtype))


def search(*, seed: int, clock: Clock, trials: Trials, stream: TextIO) -> None:
    """Train trials side by side until the clock has no room for another.

    Args:
        seed: of all choices.
        clock: says whether there is room.
        trials: trains each; every node of the cluster must see their folder.
        stream: takes a line a trial that has ended.

    Raises:
        ApparelError: a trial failed again and again.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    os.environ.update(_ENVIRONMENT)
    from ray import tune  # noqa: PLC0415  # an extra

    trainable = tune.with_resources(tune.with_parameters(train_trial, trials=trials), {"cpu": 1})
    path = trials.folder / FOLDER / "search"
    if tune.Tuner.can_restore(str(path)):
        tuner = tune.Tuner.restore(str(path), trainable, restart_errored=True)
    else:
        tuner = _new_tuner(path, trainable, seed=seed, clock=clock, names=tuple(trials.networks))
    with _told_on(stream):
        grid = tuner.fit()
    if grid.errors:
        last = str(grid.errors[-1]).strip().splitlines()[-1]
        raise ApparelError(
            f"{len(grid.errors)} of {len(grid)} trials failed, at last with: {last}. What is done "
            "is kept."
        )
    trials.end_stopped()


def train_trial(config: Mapping[str, Any], *, trials: Trials) -> None:
    """What a worker does: train a trial, and report to Ray Tune. Ray Tune calls it.

    Args:
        config: the parameters of the trial, and its number.
        trials: trains it.

    Raises:
        ApparelError: this node has another folder than the others, or a step failed.
    """
    from ray import tune  # noqa: PLC0415  # an extra

    if not trials.folder.is_dir():
        raise ApparelError(
            f"the node {socket.gethostname()} does not see the folder {trials.folder}. Put it on "
            "storage that all nodes share: --run-dir."
        )

    use_threads(1)

    def report(percent: float, accuracy: float) -> bool:
        # Where the scheduler stops the trial, this does not return.
        tune.report({PERCENT: percent, ACCURACY: accuracy})
        return True

    parameters = {name: value for name, value in config.items() if name != NUMBER}
    outcome = trials.run(config[NUMBER], parameters, report)
    tune.report({PERCENT: 100.0, ACCURACY: outcome.accuracy or 0.0})


@contextmanager
def _told_on(stream: TextIO) -> Iterator[None]:
    """Let lines about trials go there."""
    handler = logging.StreamHandler(stream)
    _trials_told.addHandler(handler)
    try:
        yield
    finally:
        _trials_told.removeHandler(handler)


def _new_tuner(
    path: Path, trainable: Any, *, seed: int, clock: Clock, names: tuple[str, ...]
) -> Any:
    """Begin a search with the default setting."""
    from ray import tune  # noqa: PLC0415  # an extra
    from ray.tune.schedulers import ASHAScheduler  # noqa: PLC0415  # as above

    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric=ACCURACY,
            mode="max",
            search_alg=_searcher(seed=seed, clock=clock, names=names),
            scheduler=ASHAScheduler(
                time_attr=PERCENT,
                max_t=100,
                grace_period=tuning.GRACE,
                reduction_factor=tuning.REDUCTION,
            ),
            num_samples=-1,
            trial_dirname_creator=folder_name,
        ),
        run_config=tune.RunConfig(
            name=path.name,
            storage_path=str(path.parent),
            failure_config=tune.FailureConfig(max_failures=MOST_FAILURES),
            verbose=0,
            callbacks=[_reporter()],
        ),
    )


def _searcher(*, seed: int, clock: Clock, names: tuple[str, ...]) -> Any:
    """Optuna, which begins no trial that there is no room for."""
    from ray.tune.search import Searcher  # noqa: PLC0415  # an extra
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415  # as above

    class TimedSearch(OptunaSearch):
        """Chooses until the clock says that it is enough."""

        def suggest(self, trial_id: str) -> Any:
            """Choose a trial, or say that there are no more."""
            if trial_id not in self._ot_trials and not clock.has_room(len(self._ot_trials)):
                return Searcher.FINISHED
            return super().suggest(trial_id)

        def on_trial_result(self, trial_id: str, result: Any) -> None:  # noqa: ARG002  # Ray's signature
            """The scheduler stops trials; Optuna is told how they ended."""
            clock.tick()

    return TimedSearch(
        partial(choose, names=names),
        metric=ACCURACY,
        mode="max",
        points_to_evaluate=[dict(tuning.DEFAULT)],
        sampler=tuning.sampler(seed, 0),
    )


def folder_name(trial: Any) -> str:
    """The name of Ray Tune's own folder of a trial."""
    return f"{trial.config[NUMBER]:03d}"


def choose(trial: Any, names: tuple[str, ...]) -> dict[str, int]:
    """Choose a place of the search space.

    Args:
        trial: Optuna's, which chooses, and remembers what it chose.
        names: of the networks.

    Returns:
        What else makes the configuration of a trial.
    """
    tuning.suggest(trial, names)
    return {NUMBER: trial.number}


def _reporter() -> Any:
    """A callback that tells people of each trial that has ended."""
    from ray import tune  # noqa: PLC0415  # an extra

    class Reporter(tune.Callback):
        """Logs a line a trial."""

        def on_trial_complete(self, *_: Any, trial: Any, **__: Any) -> None:  # type: ignore[override]  # Ray calls it by names
            """Log how it ended."""
            result = trial.last_result
            stopped = "stopped early" if result[PERCENT] < 100 else "trained to its end"  # noqa: PLR2004
            _trials_told.info(
                f"trial {trial.config[NUMBER]}: {result[ACCURACY]:.2%} on the validation images, "
                f"{stopped}"
            )

    return Reporter()
