"""Begin what `apparel run` asks for: one run, several seeds, or one run on several workers."""

from pathlib import Path

from apparel.cli import seeds, workflow
from apparel.core.errors import UsageError
from apparel.core.settings import Settings
from apparel.runs.run_directory import RunDirectory
from apparel.runs.seed_folder import SeedRuns


def start(
    settings: Settings,
    *,
    source: str,
    data_dir: Path | None = None,
    save_path: Path | None = None,
    run_dir: Path | None = None,
    overwrite: bool = False,
    n_seeds: int | None = None,
    n_workers: int | None = None,
    address: str | None = None,
) -> None:
    """Go all the steps, once or for each seed.

    Args:
        settings: of the run, or of the first of several.
        source: the name of the data set.
        data_dir: a folder with the data set's files.
        save_path: where to save the model as well.
        run_dir: where the run goes; None for a new folder in `runs`.
        overwrite: replace the run that is there.
        n_seeds: run once for each of so many seeds.
        n_workers: train on so many workers of a Ray cluster.
        address: of the cluster; None for none.

    Raises:
        UsageError: what is asked for does not go together.
        ApparelError: a step failed.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    _check_together(n_seeds, n_workers, address, is_one_run=save_path is None and not overwrite)
    if n_seeds is not None:
        place = str(Path(source).resolve()) if Path(source).exists() else source
        runs = SeedRuns(
            settings=settings,
            n_seeds=n_seeds,
            source=place,
            data_dir=data_dir.resolve() if data_dir else None,
            address=address,
        )
        seeds.run(runs, run_dir)
        return
    workers = workflow.workers_of(n_workers, address, source, data_dir)
    if workers:
        workers.check(settings)
    asked = workflow.request(
        settings, source=source, data_dir=data_dir, save_path=save_path, workers=workers
    )
    directory = RunDirectory.create(
        run_dir, name=settings.model_name, overwrite=overwrite, request=asked
    )
    workflow.run(
        settings,
        directory,
        source=source,
        data_dir=data_dir,
        save_path=save_path,
        workers=workers,
    )


def _check_together(
    n_seeds: int | None, n_workers: int | None, address: str | None, *, is_one_run: bool
) -> None:
    """Check what excludes or needs each other.

    Raises:
        UsageError: two contradict each other, or one lacks the other.
    """
    if n_seeds is not None and n_workers is not None:
        raise UsageError(
            "--seeds and --workers were both given, but a run of several is trained on one node. "
            "Leave one out."
        )
    if n_seeds is not None and not is_one_run:
        raise UsageError(
            "--seeds makes several runs and models, so it goes with neither --save nor "
            "--overwrite. Leave these out."
        )
    if n_workers is not None and address is None:
        raise UsageError(
            "--workers needs a Ray cluster. Give --ray as well, for one on this machine, or "
            "--ray ADDRESS."
        )
    if address is not None and n_workers is None and n_seeds is None:
        raise UsageError(
            "--ray alone changes nothing of a run. Give --seeds or --workers as well, or leave it "
            "out."
        )
