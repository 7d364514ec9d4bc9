"""Kill runs at random moments, go on with them, and compare with one that nobody killed."""

import csv
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from benchmarks.torture.forks import Ended, run_command

KILLED = -9
# What is trained, and the share of the kills that it gets. Small, as each is run many times.
SCENARIOS: dict[str, list[str]] = {
    "cnn": ["--model", "cnn", "--epochs", "3", "--batch-size", "64"],
    "cnn, patience": ["--model", "cnn", "--epochs", "4", "--patience", "1"],
    "cnn, averaging": ["--model", "cnn", "--epochs", "2", "--weight-averaging", "0.7"],
    "fast": ["--model", "fast", "--width", "16", "--epochs", "6", "--batch-size", "32"],
    "best": ["--model", "best", "--width", "16", "--epochs", "14", "--batch-size", "64"],
    "budget": ["--model", "fast", "--width", "16", "--budget", "12s", "--batch-size", "32"],
}
COMMON = ["--limit", "600", "--seed", "7", "--checkpoint-every", "0.3s"]


@dataclass(frozen=True)
class Result:
    """What a finished run says, without its times.

    Attributes:
        weights: SHA-256.
        history: `history.csv`, without the seconds.
        metrics: `metrics.json`.
        looks: how often the test images were scored.
    """

    weights: str
    history: list[dict[str, str]]
    metrics: str
    looks: int


@dataclass
class Tally:
    """What came of the kills of one scenario.

    Attributes:
        kills: processes that were killed.
        in_save: of these, within the save of a checkpoint.
        runs: that were finished afterwards.
        same: of these, with the result of the one that nobody killed.
        resumed_from: how often a process went on from a checkpoint.
    """

    kills: int = 0
    in_save: int = 0
    runs: int = 0
    same: int = 0
    resumed_from: int = 0


def torture(scenario: str, kills: int, work: Path, *, seed: int, data_dir: Path | None) -> Tally:
    """Kill runs of one scenario until there were so many kills, and finish each of them.

    Args:
        scenario: one of `SCENARIOS`.
        kills: at least so many.
        work: an empty folder.
        seed: of the moments.
        data_dir: a folder with the data set's files.
    """
    random = np.random.default_rng(seed)
    options = [*COMMON, *SCENARIOS[scenario], *(["--data-dir", str(data_dir)] if data_dir else [])]
    reference, seconds = _reference(options, work, budget="--budget" in options)
    tally = Tally()
    while tally.kills < kills:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        if (work / "begun").exists():
            shutil.copytree(work / "begun", folder)
        _kill_and_finish(options, folder, tally, random, seconds=seconds, log=work / "log")
        tally.runs += 1
        same = result(folder) == reference
        tally.same += same
        if not same:
            shutil.copytree(folder, work / f"differs-{tally.runs}", dirs_exist_ok=True)
    return tally


def result(folder: Path) -> Result:
    """Read what a finished run says."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    if settings["status"] != "complete":
        raise RuntimeError(f"{folder} is {settings['status']}, not complete")
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    metrics = (folder / "metrics.json").read_text(encoding="utf-8")
    return Result(settings["weights_sha256"], rows, metrics, settings["test_looks"])


def _reference(options: list[str], work: Path, *, budget: bool) -> tuple[Result, float]:
    """A run that nobody kills, and the seconds it takes.

    No two runs with a budget are alike, as they follow the clock. Once one goes on from a
    checkpoint, it keeps the pace that it had: so these begin from the same checkpoint.
    """
    folder, log = work / "reference", work / "reference.log"
    if budget:
        _need(run_command(_command(options, folder), log, kill_after=9), KILLED, log)
        shutil.copytree(folder, work / "begun")
    ended = run_command(_command(options, folder), log)
    _need(ended, 0, log)
    return result(folder), ended.seconds


def _kill_and_finish(
    options: list[str],
    folder: Path,
    tally: Tally,
    random: Generator,
    *,
    seconds: float,
    log: Path,
) -> None:
    """Kill a run a few times, and let it finish then."""
    for _ in range(int(random.integers(1, 6))):
        in_save = random.random() < 0.4  # noqa: PLR2004  # more than the third that must be
        moment = float(random.uniform(0, seconds))
        ended = run_command(
            _command(options, folder),
            log,
            kill_after=None if in_save else moment,
            kill_in_save=random if in_save else None,
        )
        if ended.code == 0:
            return
        _need(ended, KILLED, log)
        tally.kills += 1
        tally.in_save += in_save
    tally.resumed_from += any((folder / "checkpoints").glob("*.safetensors"))
    _need(run_command(_command(options, folder), log), 0, log)


def _need(ended: Ended, code: int, log: Path) -> None:
    """Check how a process ended.

    Raises:
        RuntimeError: otherwise.
    """
    if ended.code != code:
        said = log.read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"exit code {ended.code} instead of {code}:\n{said}")


def _command(options: list[str], folder: Path) -> list[str]:
    """Begin, or go on."""
    if (folder / "settings.json").exists():
        return ["resume", str(folder)]
    return ["run", *options, "--run-dir", str(folder)]


def as_record(tally: Tally) -> dict[str, int]:
    """For a file of results."""
    return asdict(tally)
