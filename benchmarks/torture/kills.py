"""Kill runs at random moments, resume them, and compare them with an uninterrupted one."""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from apparel.classifier import ApparelClassifier
from apparel.cli.main import main
from apparel.core import backend
from benchmarks.torture.forks import Ended, run

KILLED = -9
FLOAT32, BFLOAT16 = {"dtype": "float32"}, {"dtype": "mixed_bfloat16"}
# Small trainings, as each is repeated many times; to the end of its test, or of the command.
# The number format is fixed: otherwise it is measured, and a busy machine may err.
SCENARIOS: dict[str, dict[str, object]] = {
    "whole command": {"model": "fast", "width": 16, "epochs": 4, "batch_size": 32, **FLOAT32},
    "cnn": {"model_name": "cnn", "epochs": 3, "batch_size": 64, **BFLOAT16},
    "cnn, patience": {"model_name": "cnn", "epochs": 4, "patience": 1, **FLOAT32},
    "cnn, averaging": {"model_name": "cnn", "epochs": 2, "weight_averaging": 0.7, **FLOAT32},
    "fast": {"model_name": "fast", "width": 16, "epochs": 6, "batch_size": 32, **BFLOAT16},
    "best": {"model_name": "best", "width": 16, "epochs": 14, "batch_size": 64, **FLOAT32},
    "budget": {"model_name": "fast", "width": 16, "budget": "12s", "batch_size": 32, **BFLOAT16},
}
WHOLE = "whole command"
COMMON = {"limit": 600, "seed": 7, "checkpoint_every": "0.3s"}


@dataclass(frozen=True)
class Result:
    """The results of a finished run, without its times.

    Attributes:
        weights: SHA-256.
        history: `history.csv`, without the seconds.
        metrics: `metrics.json`.
        test_evaluations: number of test-set evaluations.
    """

    weights: str
    history: list[dict[str, str]]
    metrics: str
    test_evaluations: int


@dataclass
class Tally:
    """The outcome of the kills of one scenario.

    Attributes:
        kills: killed processes.
        in_save: of these, within the save of a checkpoint.
        runs: runs that were finished afterwards.
        same: of these, with the result of the uninterrupted one.
    """

    kills: int = 0
    in_save: int = 0
    runs: int = 0
    same: int = 0


def torture(scenario: str, kills: int, work: Path, *, seed: int) -> dict[str, object]:
    """Kill runs of one scenario up to a number of kills, and finish each of them.

    Args:
        scenario: one of `SCENARIOS`.
        kills: least number of kills.
        work: an empty folder.
        seed: random seed of the moments.
    """
    random = np.random.default_rng(seed)
    options = {**COMMON, **SCENARIOS[scenario]}
    # Nothing may have computed here: its copies could not compute then.
    backend.load_keras()

    def train(folder: Path) -> Callable[[], int]:
        return lambda: _work(options, folder, whole=scenario == WHOLE)

    reference, seconds = _reference(train, work, budget="budget" in options)
    tally = Tally()
    while tally.kills < kills:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        if (work / "begun").exists():
            shutil.copytree(work / "begun", folder)
        _kill_and_finish(train(folder), folder, tally, random, seconds=seconds, log=work / "log")
        tally.runs += 1
        same = result(folder) == reference
        tally.same += same
        if not same:
            found = asdict(result(folder))
            names = [name for name, value in asdict(reference).items() if found[name] != value]
            print(f"{scenario}: another {', '.join(names)} after {tally}", file=sys.stderr)
    return {**asdict(tally), "holds": tally.same == tally.runs}


def result(folder: Path) -> Result:
    """Read the results of a finished run."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    if settings["status"] != "complete":
        raise RuntimeError(f"{folder} is {settings['status']}, not complete")
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    metrics = (folder / "metrics.json").read_text(encoding="utf-8")
    return Result(settings["weights_sha256"], rows, metrics, settings["test_looks"])


def _reference(
    train: Callable[[Path], Callable[[], int]], work: Path, *, budget: bool
) -> tuple[Result, float]:
    """An uninterrupted run, and its seconds.

    No two runs with a budget are alike, as they follow the clock. A run that resumes from a
    checkpoint keeps its pace: so these begin from the same checkpoint.
    """
    folder, log = work / "reference", work / "reference.log"
    if budget:
        _need(run(train(folder), log, kill_after=9), KILLED, log)
        shutil.copytree(folder, work / "begun")
    ended = run(train(folder), log)
    _need(ended, 0, log)
    return result(folder), ended.seconds


def _kill_and_finish(
    train: Callable[[], int],
    folder: Path,
    tally: Tally,
    random: Generator,
    *,
    seconds: float,
    log: Path,
) -> None:
    """Kill a run a few times, then let it finish."""
    for _ in range(int(random.integers(1, 6))):
        in_save = random.random() < 0.4  # noqa: PLR2004  # at least a third of the kills must be
        moment = float(random.uniform(0, seconds))
        ended = run(
            train,
            log,
            kill_after=None if in_save else moment,
            kill_in_save=random if in_save else None,
        )
        if ended.code == 0:
            return
        _need(ended, KILLED, log)
        tally.kills += 1
        tally.in_save += in_save
        if _is_complete(folder):  # killed with nothing left to do
            return
    _need(run(train, log), 0, log)


def _is_complete(folder: Path) -> bool:
    """Tell whether a run is complete."""
    path = folder / "settings.json"
    if not path.exists():
        return False
    return bool(json.loads(path.read_text(encoding="utf-8"))["status"] == "complete")


def _need(ended: Ended, code: int, log: Path) -> None:
    """Check how a process ended.

    Raises:
        RuntimeError: otherwise.
    """
    if ended.code != code:
        said = log.read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"exit code {ended.code} instead of {code}:\n{said}")


def _work(options: Mapping[str, object], folder: Path, *, whole: bool) -> int:
    """Start or resume a run, to its end; gives the exit code."""
    begun = (folder / "settings.json").exists()
    if whole:
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        begin = ["run", *arguments, "--run-dir", str(folder)]
        return main.main(["resume", str(folder)] if begun else begin)
    if begun:
        classifier = ApparelClassifier.resume(folder)
    else:
        classifier = ApparelClassifier(**options, run_dir=folder)  # type: ignore[arg-type]
        classifier.import_data().prepare_data().create_model().setup_model().run_training()
    classifier.test_model()
    run_directory = classifier._run  # noqa: SLF001  # as the command does
    if run_directory:
        run_directory.write_status("complete")
    return 0
