"""`apparel tune`: a hyperparameter search, then the best setting and the default in full."""

import os
import sys
from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from pathlib import Path

from apparel.cli import run
from apparel.core import backend, display
from apparel.core.atomic_files import locked
from apparel.core.errors import ModelFileError
from apparel.core.messages import quiet, say
from apparel.core.records import GroupComparison, PairComparison, Trial, TuningResult, best_trial
from apparel.core.settings import Settings, run_command
from apparel.core.signals import Terminated, termination_raised
from apparel.core.validation import parse_time
from apparel.data import loading
from apparel.data.quality.check import screen, without_leaks
from apparel.evaluation import comparison
from apparel.reporting import plots, text
from apparel.runs.files import read_history, read_tested_run, write_figure
from apparel.runs.run_directory import RunDirectory
from apparel.runs.search_folder import Asked, SearchFolder, read_trials, write_trials
from apparel.scale import tuning as on_ray
from apparel.scale.cluster import connected, load_ray
from apparel.training.tuning import search, space, trial
from apparel.training.tuning.space import Networks
from apparel.training.tuning.trial import TrialImages

BEST, DEFAULT = "best", "default"


def main(parsed: Namespace) -> None:
    """Search, and print trials, trainings and the verdict."""
    tune(**{name: getattr(parsed, name) for name in signature(tune).parameters})


@quiet
def tune(
    data: str = "fashion-mnist",
    *,
    budget: float | str = "30m",
    trials: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    ray: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> TuningResult:
    """Search for settings that train a better classifier, and train the best one in full.

    Args:
        data: name or path of the data set.
        budget: time for all training together, in seconds or as "30m".
        trials: number of trials at most; None for as many as fit.
        seed: random seed.
        limit: at most so many images of each split.
        run_dir: folder of the search; None for `runs/<date>-<time>-tune`.
        ray: address of a Ray cluster whose nodes train trials; None for this process.
        data_dir: folder with the data set's files.

    Raises:
        ApparelError: an argument makes no sense, or a step failed.
        ModuleNotFoundError: Optuna is not installed.
        KeyboardInterrupt: Ctrl-C; the search can be resumed.
        Terminated: SIGTERM, likewise.

    Example:
        >>> apparel.tune(budget="10m").settings
    """
    asked = Asked(
        source=data,
        data_dir=os.fspath(data_dir) if data_dir else None,
        budget=parse_time("--budget", budget) if isinstance(budget, str) else budget,
        trials=trials,
        seed=seed,
        limit=limit,
        ray=ray,
    )
    _check_packages(asked)
    return _to_the_end(SearchFolder.create(Path(run_dir) if run_dir else None, asked), asked)


def resume(
    path: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
) -> None:
    """Finish an interrupted search; arguments are those of `run.resume`."""
    folder = SearchFolder.resume(path)
    asked = folder.asked()
    asked = replace(
        asked,
        source=source or asked.source,
        data_dir=str(data_dir) if data_dir else asked.data_dir,
        ray=address or asked.ray,
    )
    _check_packages(asked)
    _to_the_end(folder, asked)


def _check_packages(asked: Asked) -> None:
    """Check that Optuna, and Ray if used, are installed."""
    search.load_optuna()
    if asked.ray:
        load_ray()


def _to_the_end(folder: SearchFolder, asked: Asked) -> TuningResult:
    """Complete a search and record its status."""
    with locked(folder.path), termination_raised():
        try:
            if not folder.record().get("searched"):
                _search(folder, asked)
                folder.update(searched=True)
            trials = _show_trials(folder)
            result = _train_in_full(folder, asked, trials)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | Terminated)
            with suppress(OSError):  # a full disk must not hide what went wrong
                if folder.end("interrupted" if stopped else "failed"):
                    say(f"Resume with: apparel resume {folder.path}", file=sys.stderr)
            raise
        folder.end("complete")
    say(f"Search folder: {folder.path}")
    display.wait_for_windows()
    return result


def _search(folder: SearchFolder, asked: Asked) -> None:
    """Try settings until the time or the number of trials is used up."""
    settings = asked.settings(asked.trial_seconds)
    images = _images(settings, asked)
    number_format = backend.choose_number_format(settings.dtype)
    clock = search.Clock(
        folder.path.resolve(),
        seconds=asked.search_seconds,
        trial=asked.trial_seconds,
        trials=asked.trials,
    )
    is_new = "networks" not in folder.record()
    full = images.plan(asked.settings(), number_format) if is_new else None
    if asked.ray is None:
        if full:
            folder.update(networks=space.networks(images.plan(settings, number_format), full))
        search.search(seed=asked.seed, clock=clock, trials=_trials(folder, settings, images))
        return
    with connected(asked.ray) as cluster:
        if full:
            folder.update(networks=space.networks(on_ray.plan(cluster, images, settings), full))
        trials = _trials(folder, settings, images)
        on_ray.search(cluster, seed=asked.seed, clock=clock, trials=trials)


def _trials(folder: SearchFolder, settings: Settings, images: TrialImages) -> trial.Trials:
    """Collect what all trials of a search share."""
    networks: Networks = folder.record()["networks"]
    return trial.Trials(
        folder=folder.path.resolve(), networks=networks, settings=settings, images=images
    )


def _images(settings: Settings, asked: Asked) -> TrialImages:
    """Load a data set, and leave out what a run leaves out, and the test images."""
    dataset = loading.load(asked.source, data_dir=asked.data_dir, **settings.of_data)
    found = screen(dataset)
    if dataset.files or not found.is_clean:
        say(text.check_summary(found))
    say(text.left_out_line(found), end="")
    dataset = without_leaks(dataset, found)
    return trial.trial_images(dataset, settings, source=asked.source, data_dir=asked.data_dir)


def _show_trials(folder: SearchFolder) -> tuple[Trial, ...]:
    """Print and write down what was tried."""
    trials = read_trials(folder.path)
    say(text.trial_table(trials))
    write_trials(folder.path, trials)
    write_figure(folder.path, "trials", plots.trials_figure(trials))
    return trials


def _train_in_full(folder: SearchFolder, asked: Asked, trials: tuple[Trial, ...]) -> TuningResult:
    """Train the best setting and the default, test both and say which is better.

    Raises:
        ModelFileError: no trial was trained to its end.
    """
    best = best_trial(trials)
    if best is None:
        raise ModelFileError(
            f"no trial in {folder.path} was trained to its end. Begin the search once more, with a "
            "larger --budget."
        )
    networks: Networks = folder.record()["networks"]
    _, full = networks[best.parameters["network"]]
    wanted = space.settings_for(best.parameters, full, asked.settings())
    train = {DEFAULT: asked.settings(), BEST: wanted}
    if best.number == 0:
        train.pop(BEST)
    for name, settings in train.items():
        say(f"\nTraining in full: {name}", flush=True)
        run.complete(
            settings,
            folder.path / name,
            source=asked.source,
            data_dir=Path(asked.data_dir) if asked.data_dir else None,
            part_of=folder.path,
        )
    say("\nThe trials, each trained for a short time:")
    say(text.trial_table(trials))
    compared: list[PairComparison | GroupComparison] = []
    if best.number == 0:
        say("No trial was better than the default setting, which alone was trained in full.")
    else:
        runs = [RunDirectory.open(folder.path / name) for name in (DEFAULT, BEST)]
        accuracies = [_validation_accuracy(each) for each in runs]
        n_images = sum(runs[0].settings()["dataset"]["images_per_class"]["validation"])
        compared = comparison.compare(
            [read_tested_run(each.path, each.settings()) for each in runs]
        )
        say("\nBoth trained in full, A the default and B the best setting:")
        say(text.comparison(compared))
        say()
        say(text.validation_verdict(accuracies[1], accuracies[0], n_images))
    command = run_command(wanted, source=asked.source, data_dir=asked.data_dir)
    say(f"To train with the best setting again:\n  {command}")
    return TuningResult(
        folder=folder.path,
        trials=trials,
        settings=wanted,
        comparison=compared[0] if compared else None,
    )


def _validation_accuracy(directory: RunDirectory) -> float:
    """Return a run's final validation accuracy."""
    history = read_history(directory.path, directory.settings())
    return history.history["val_accuracy"][-1]
