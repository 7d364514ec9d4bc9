"""`apparel run --seeds`: a run with each of several seeds, and how much the results differ."""

import math
import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from apparel.cli import run
from apparel.cli.arguments import settings_of
from apparel.core import recipes
from apparel.core.atomic_files import locked
from apparel.core.errors import UsageError
from apparel.core.records import SeedsResult
from apparel.evaluation import intervals
from apparel.reporting import text
from apparel.runs import seed_folder
from apparel.runs.run_directory import RunDirectory
from apparel.runs.seed_folder import SeedRuns
from apparel.scale.seeds import run_all

# Metrics that are no shares, and may exceed 1.
UNBOUNDED = {"log_loss", "brier_score"}


def main(parsed: Namespace) -> None:
    """Run with each seed, and print means and intervals."""
    settings = settings_of(parsed)
    recipes.check(settings)
    if parsed.workers is not None:
        raise UsageError(
            "--seeds and --workers were both given, but a run of several is trained on one node. "
            "Leave one out."
        )
    if parsed.save or parsed.overwrite:
        raise UsageError(
            "--seeds makes several runs and models, so it goes with neither --save nor "
            "--overwrite. Leave these out."
        )
    source = Path(parsed.data)
    runs = SeedRuns(
        settings=settings,
        n_seeds=parsed.seeds,
        source=str(source.resolve()) if source.exists() else parsed.data,
        data_dir=parsed.data_dir.resolve() if parsed.data_dir else None,
        address=parsed.ray,
    )
    _to_the_end(runs, seed_folder.create(parsed.run_dir, runs))


def resume(
    path: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
) -> None:
    """Finish interrupted runs with several seeds; arguments are those of `run.resume`."""
    runs = seed_folder.read(path)
    runs = replace(
        runs,
        source=source or runs.source,
        data_dir=data_dir or runs.data_dir,
        address=address or runs.address,
    )
    _to_the_end(runs, path)


def _to_the_end(runs: SeedRuns, folder: Path) -> None:
    """Complete the remaining runs, then print the summary."""
    each = runs.each(folder)
    todo = {
        path: partial(
            run.complete,
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
            if runs.address is not None and todo:
                run_all(todo, runs.address)
            else:
                for path, start in todo.items():
                    print(f"\nRun {path}", flush=True)
                    start()
        except BaseException:
            print(f"Resume with: apparel resume {folder}", file=sys.stderr)
            raise
        n_images, values = seed_folder.read_metrics([path for _, path in each])
        found = SeedsResult(
            seeds=tuple(settings.seed for settings, _ in each),
            n_images=n_images,
            metrics={
                name: intervals.spread(of_metric, most=math.inf if name in UNBOUNDED else 1.0)
                for name, of_metric in values.items()
            },
        )
        seed_folder.complete(folder, found)
    print(f"\n{text.seeds_lines(found)}")
    print(f"Runs: {folder}. To compare them: apparel compare {folder} OTHER")
