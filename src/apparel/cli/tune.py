"""What `apparel tune` does: a search, then its best setting and the default trained in full."""

import csv
import io
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from apparel.cli import workflow
from apparel.core import backend, display
from apparel.core.atomic_files import atomic_path, write_text
from apparel.core.errors import ModelFileError
from apparel.core.records import Trial, best_trial
from apparel.core.settings import Settings, run_command
from apparel.core.signals import Terminated, termination_raised
from apparel.data import loading
from apparel.data.quality.check import screen, without_leaks
from apparel.evaluation import comparison
from apparel.reporting import plots, text
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory
from apparel.runs.search_folder import Asked, SearchFolder
from apparel.training import tuning
from apparel.training.tuning import Networks, TrialImages

BEST, DEFAULT = "best", "default"


def tune(asked: Asked, path: Path | None) -> None:
    """Search, train what was found in full, and compare it with the default.

    Args:
        asked: what is asked for.
        path: a folder for all of it; None for `runs/<date>-<time>-tune`.

    Raises:
        ApparelError: something is wrong with what is asked for, or a step failed.
        ModuleNotFoundError: Optuna is not installed.
        KeyboardInterrupt: Ctrl-C; the search can be resumed.
        Terminated: SIGTERM, likewise.
    """
    _check_packages(asked)
    _to_the_end(SearchFolder.create(path, asked), asked, asked.source, asked.data_dir)


def resume(
    path: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
) -> None:
    """Go on with a search that was broken off, to its end.

    Args:
        path: its folder.
        source: where the images are, if not where they were.
        data_dir: a folder with the data set's files; by default the one that was given.
        address: of the Ray cluster, if not the one of before.

    Raises:
        ModelFileError: it is none, or nothing can go on from what is there.
        UsageError: it is complete.
        ApparelError: a step failed, or another process is at work on it.
        ModuleNotFoundError: Optuna is not installed.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    folder = SearchFolder.resume(path)
    asked = folder.asked()
    asked = replace(asked, ray=address or asked.ray)
    _check_packages(asked)
    named = str(data_dir) if data_dir else asked.data_dir
    _to_the_end(folder, asked, source or asked.source, named)


def _check_packages(asked: Asked) -> None:
    """Check that what searches is installed."""
    tuning.load_optuna()
    if asked.ray:
        from apparel.scale.cluster import load_ray  # noqa: PLC0415  # an extra

        load_ray()


def _to_the_end(folder: SearchFolder, asked: Asked, source: str, data_dir: str | None) -> None:
    """Do what is left of a search, and leave a folder that says how it ended."""
    with folder.lock(), termination_raised():
        try:
            if not folder.record().get("searched"):
                _search(folder, asked, source, data_dir)
                folder.note(searched=True)
            trials = _show_trials(folder)
            _train_in_full(folder, asked, source, data_dir, trials)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | Terminated)
            with suppress(OSError):  # a full disk must not hide what went wrong
                if folder.end("interrupted" if stopped else "failed"):
                    print(f"Go on with: apparel resume {folder.path}", file=sys.stderr)
            raise
        folder.end("complete")
    print(f"Search folder: {folder.path}")
    display.wait_for_windows()


def _search(folder: SearchFolder, asked: Asked, source: str, data_dir: str | None) -> None:
    """Try settings until the time or the number of trials is used up."""
    settings = asked.settings(asked.trial_seconds)
    images = _images(settings, source, data_dir)
    number_format = backend.choose_number_format(settings.dtype)
    clock = tuning.Clock(
        folder.path.resolve(),
        seconds=asked.search_seconds,
        trial=asked.trial_seconds,
        trials=asked.trials,
    )
    full = images.plan(asked.settings(), number_format) if _is_new(folder) else None
    if asked.ray is None:
        if full:
            folder.note(networks=tuning.networks(images.plan(settings, number_format), full))
        tuning.search(seed=asked.seed, clock=clock, trials=_trials(folder, settings, images))
        return
    from apparel.scale import tuning as on_ray  # noqa: PLC0415  # an extra
    from apparel.scale.cluster import connected  # noqa: PLC0415  # as above

    with connected(asked.ray) as cluster:
        if full:
            folder.note(networks=tuning.networks(on_ray.plan(cluster, images, settings), full))
        trials = _trials(folder, settings, images)
        on_ray.search(cluster, seed=asked.seed, clock=clock, trials=trials)


def _is_new(folder: SearchFolder) -> bool:
    """Whether nobody has chosen yet which networks are tried."""
    return "networks" not in folder.record()


def _trials(folder: SearchFolder, settings: Settings, images: TrialImages) -> tuning.Trials:
    """What all trials of a search share."""
    networks: Networks = folder.record()["networks"]
    return tuning.Trials(
        folder=folder.path.resolve(), networks=networks, settings=settings, images=images
    )


def _images(settings: Settings, source: str, data_dir: str | None) -> TrialImages:
    """Load a data set, and leave out what a run leaves out, and the test images."""
    dataset = loading.load(source, data_dir=data_dir, **settings.of_data)
    found = screen(dataset)
    if dataset.files or not found.is_clean:
        print(text.check_summary(found))
    print(text.left_out_line(found), end="")
    dataset = without_leaks(dataset, found)
    return tuning.trial_images(dataset, settings, source=source, data_dir=data_dir)


def _show_trials(folder: SearchFolder) -> tuple[Trial, ...]:
    """Print and write down what was tried."""
    trials = files.read_trials(folder.path)
    print(text.trial_table(trials))
    table = io.StringIO()
    header, rows = files.trial_rows(trials)
    csv.writer(table, lineterminator="\n").writerows([header, *rows])
    write_text(folder.path / files.TRIALS_FILE, table.getvalue())
    with atomic_path(folder.path / "plots" / "trials.png") as temporary:
        plots.trials_figure(trials).savefig(temporary, dpi=120)
    return trials


def _train_in_full(
    folder: SearchFolder, asked: Asked, source: str, data_dir: str | None, trials: tuple[Trial, ...]
) -> None:
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
    wanted = tuning.full_settings(best.parameters, networks, asked.settings())
    train = {DEFAULT: asked.settings(), BEST: wanted}
    if best.number == 0:
        train.pop(BEST)
    for name, settings in train.items():
        print(f"\nTraining in full: {name}", flush=True)
        workflow.complete(
            settings,
            folder.path / name,
            source=source,
            data_dir=Path(data_dir) if data_dir else None,
            part_of=folder.path,
        )
    print("\nThe trials, each trained for a short time:")
    print(text.trial_table(trials))
    if best.number == 0:
        print("No trial was better than the default setting, which alone was trained in full.")
    else:
        runs = [RunDirectory.open(folder.path / name) for name in (DEFAULT, BEST)]
        accuracies = [_validation_accuracy(run) for run in runs]
        n_images = sum(runs[0].settings()["dataset"]["images_per_class"]["validation"])
        print("\nBoth trained in full, A the default and B the best setting:")
        print(text.comparison(comparison.compare([run.tested() for run in runs])))
        print()
        print(text.validation_verdict(accuracies[1], accuracies[0], n_images))
    command = run_command(wanted, source=source, data_dir=data_dir)
    print(f"To train with the best setting again:\n  {command}")


def _validation_accuracy(run: RunDirectory) -> float:
    """Of a run's model at the end of its training."""
    history = files.read_history(run.path, run.settings())
    return history.history["val_accuracy"][-1]
