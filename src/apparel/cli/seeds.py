"""What the command does with several seeds: a run with each, and what they say together."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from apparel.cli import workflow
from apparel.core.records import SeedsResult
from apparel.evaluation import intervals
from apparel.reporting import text
from apparel.runs import files, seed_folder
from apparel.runs.folder import locked
from apparel.runs.run_directory import RunDirectory
from apparel.runs.seed_folder import SeedRuns

# Measures that are no shares, and may exceed 1.
UNBOUNDED = {"log_loss", "brier_score"}


def run(runs: SeedRuns, folder: Path | None) -> None:
    """Run with each seed, and say what came of it.

    Args:
        runs: what.
        folder: where to, new or empty; None for `runs/<date>-<time>-<model>-seeds`.

    Raises:
        UsageError: the folder cannot be used.
        ApparelError: a run failed.
    """
    if folder is None:
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{runs.settings.model_name}-seeds"
        folder = Path("runs") / name
    seed_folder.claim_folder(folder, runs)
    _to_the_end(runs, folder)


def resume(
    folder: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
) -> None:
    """Go on with what `run` began; runs that are complete stay as they are.

    Args:
        folder: of the runs.
        source: where the images are, if not where they were.
        data_dir: a folder with the data set's files; by default the one that was given.
        address: of a Ray cluster, if not the one of before.

    Raises:
        ModelFileError: it is no such folder.
        ApparelError: a run failed.
    """
    runs = seed_folder.read(folder)
    runs = replace(
        runs,
        source=source or runs.source,
        data_dir=data_dir or runs.data_dir,
        address=address or runs.address,
    )
    _to_the_end(runs, folder)


def _to_the_end(runs: SeedRuns, folder: Path) -> None:
    """Run what is not complete yet, then say what all of it says."""
    each = runs.each(folder)
    todo = {
        path: partial(
            workflow.complete,
            settings,
            path.resolve(),
            source=runs.source,
            data_dir=runs.data_dir,
            part_of=folder,
        )
        for settings, path in each
        if not RunDirectory(path).is_complete
    }
    with locked(folder):
        try:
            _run_all(todo, runs.address)
        except BaseException:
            print(f"Go on with: apparel resume {folder}", file=sys.stderr)
            raise
        n_images, measures = files.read_measures([path for _, path in each])
        found = SeedsResult(
            seeds=tuple(settings.seed for settings, _ in each),
            n_images=n_images,
            metrics={
                name: intervals.spread(values, most=math.inf if name in UNBOUNDED else 1.0)
                for name, values in measures.items()
            },
        )
        seed_folder.complete(folder, files.seeds(found))
    print(f"\n{text.seeds_lines(found)}")
    print(f"Runs: {folder}. To compare them: apparel compare {folder} OTHER")


def _run_all(todo: Mapping[Path, Callable[[], None]], address: str | None) -> None:
    """Run here, one after another, or on a cluster, many at once."""
    if address is not None and todo:
        from apparel.scale.seeds import RaySeeds  # noqa: PLC0415  # for these runs only

        RaySeeds(address).run(todo)
        return
    for path, run in todo.items():
        print(f"\nRun {path}", flush=True)
        run()
