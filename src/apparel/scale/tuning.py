"""The search for better settings on a Ray cluster: a trial on each processor.

Driver and workers share Optuna's journal in the folder of the search, as the search on one machine
keeps it: so a search may be interrupted on a cluster and resumed without one, or the other way.
"""

import socket
from collections.abc import Iterator, Mapping
from typing import Any

from apparel.core.backend import choose_number_format, use_threads
from apparel.core.errors import ApparelError
from apparel.core.recipes import Plan
from apparel.core.settings import Settings
from apparel.scale.cluster import Cluster, Task
from apparel.training.tuning.search import (
    Clock,
    begun_trial,
    each_trial,
    open_study,
    report_to,
    tell,
)
from apparel.training.tuning.space import suggest
from apparel.training.tuning.trial import Outcome, TrialImages, Trials


def plan(cluster: Cluster, images: TrialImages, settings: Settings) -> Plan:
    """Measure a worker, and choose what the time of a trial buys there."""
    ((_, measured),) = cluster.run(_plan, [Task("the measurement", (images, settings))])
    found: Plan = measured
    return found


def _plan(images: TrialImages, settings: Settings) -> Plan:
    """Measure the machine of this process, with the threads of a trial."""
    use_threads(1)
    return images.plan(settings, choose_number_format(settings.dtype))


def search(cluster: Cluster, *, seed: int, clock: Clock, trials: Trials) -> None:
    """Train trials side by side until the clock has no room for another.

    Args:
        cluster: runs the trials.
        seed: random seed of all choices.
        clock: tells whether there is room.
        trials: trains each; every node of the cluster must see their folder.

    Raises:
        ApparelError: a trial failed, or was lost too often.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    study, names = open_study(trials.folder), tuple(trials.networks)
    shared = cluster.ray.put(trials)

    def tasks() -> Iterator[Task]:
        for trial in each_trial(study, seed=seed, clock=clock):
            parameters = suggest(trial, names)
            yield Task(f"trial {trial.number}", (shared, trial.number, parameters))

    for task, outcome in cluster.run(train_trial, tasks(), meanwhile=clock.tick):
        _, number, _ = task.arguments
        tell(study, number, outcome)
        cluster.show(outcome.line(number))


def train_trial(trials: Trials, number: int, parameters: Mapping[str, Any]) -> Outcome:
    """Train a trial in this process, a worker's.

    Args:
        trials: trains it.
        number: number of the trial.
        parameters: what was chosen for it.

    Raises:
        ApparelError: this node does not see the folder of the search, or a step failed.
    """
    if not trials.folder.is_dir():
        raise ApparelError(
            f"the node {socket.gethostname()} does not see the folder {trials.folder}. Put it on "
            "storage that all nodes share: --run-dir."
        )
    use_threads(1)
    trial = begun_trial(open_study(trials.folder), number)
    return trials.run(number, parameters, report_to(trial))
