"""`apparel run`: train, test, explain and export a classifier."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from apparel.classifier import ApparelClassifier, Workers
from apparel.cli.arguments import settings_of
from apparel.cli.report import report
from apparel.core import display, recipes
from apparel.core.atomic_files import check_writable
from apparel.core.errors import UsageError
from apparel.core.messages import say
from apparel.core.model_formats import ONNX_FILE, format_of
from apparel.core.settings import Settings
from apparel.core.signals import Terminated, termination_raised
from apparel.reporting import text
from apparel.runs.run_directory import RunDirectory
from apparel.scale.training import RayWorkers

SAMPLES = (0, 12, 42, 100)


def main(parsed: Namespace) -> None:
    """Run with the given settings."""
    settings = settings_of(parsed)
    recipes.check(settings)
    if parsed.save:
        format_of(parsed.save)
        check_writable(parsed.save)
    workers = None
    if parsed.workers is not None:
        if parsed.ray is None:
            raise UsageError(
                "--workers needs a Ray cluster. Give --ray as well, for one on this machine, or "
                "--ray ADDRESS."
            )
        workers = RayWorkers(parsed.workers, parsed.ray, parsed.data, parsed.data_dir)
        workers.check(settings)
    elif parsed.ray is not None:
        raise UsageError(
            "--ray has no effect without --seeds or --workers. Give one of them as well, or leave "
            "it out."
        )
    asked = _request(settings, parsed.data, parsed.data_dir)
    asked |= {"save": str(parsed.save) if parsed.save else None}
    asked |= {"workers": parsed.workers, "ray": parsed.ray}
    directory = RunDirectory.create(
        parsed.run_dir, name=settings.model_name, overwrite=parsed.overwrite, request=asked
    )
    run(
        settings,
        directory,
        source=parsed.data,
        data_dir=parsed.data_dir,
        save_path=parsed.save,
        workers=workers,
    )


def run(
    settings: Settings,
    directory: RunDirectory,
    *,
    source: str,
    data_dir: Path | None = None,
    save_path: Path | None = None,
    workers: Workers | None = None,
    part_of: Path | None = None,
) -> None:
    """Run every step and record how the run ended.

    Args:
        settings: of the run.
        directory: an empty run directory.
        source: name or path of the data set.
        data_dir: folder with the data set's files.
        save_path: where to save the model as well.
        workers: train instead of this process.
        part_of: folder of a search or of several seeds, which is what would be resumed.

    Raises:
        ApparelError: a step failed; the run directory says "failed".
        KeyboardInterrupt: Ctrl-C; the run directory says "interrupted".
        Terminated: SIGTERM, likewise.
    """
    with _ending_recorded(directory, part_of):
        classifier = ApparelClassifier(**asdict(settings), data_dir=data_dir, run_dir=directory)
        classifier.import_data(source).prepare_data().create_model().setup_model()
        classifier.run_training(workers=workers)
        _after_training(classifier, directory, data_dir, save_path)


def resume(
    path: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
    part_of: Path | None = None,
) -> None:
    """Finish an interrupted run, whichever step the interruption was in.

    Args:
        path: its run directory.
        source: where the images are, if not where they were.
        data_dir: folder with the data set's files, if not the one that the run was given.
        address: address of the Ray cluster whose workers train, if not the one of before.
        part_of: as in `run`.

    Raises:
        ModelFileError: it is no run directory, or holds nothing to resume from.
        ApparelError: a step failed, or another process is at work on it.
    """
    directory = RunDirectory.resume(path)
    asked = directory.request
    data_dir = data_dir or _path(asked.get("data_dir"))
    n_workers, address = asked.get("workers"), address or asked.get("ray")
    workers = None
    if n_workers and address:
        workers = RayWorkers(n_workers, address, source or asked["source"], data_dir)
    with _ending_recorded(directory, part_of):
        classifier = ApparelClassifier.resume(
            directory, source=source, data_dir=data_dir, workers=workers
        )
        _after_training(classifier, directory, data_dir, _path(asked.get("save")))


def complete(
    settings: Settings,
    path: Path,
    *,
    source: str,
    data_dir: Path | None,
    part_of: Path,
) -> None:
    """Run, or finish an interrupted run, unless it is complete; arguments are those of `run`."""
    earlier = RunDirectory(path)
    if earlier.is_complete:
        return
    if earlier.can_resume:
        resume(path, source=source, data_dir=data_dir, part_of=part_of)
        return
    asked = _request(settings, source, data_dir)
    directory = RunDirectory.create(path, name=settings.model_name, request=asked)
    run(settings, directory, source=source, data_dir=data_dir, part_of=part_of)


def _request(settings: Settings, source: str, data_dir: Path | None) -> dict[str, object]:
    """Describe what is asked for, as a run directory records it before anything is done."""
    return {
        "settings": asdict(settings),
        "source": source,
        "data_dir": str(data_dir) if data_dir else None,
    }


def _path(name: object) -> Path | None:
    """Give a path that a run directory has recorded."""
    return Path(str(name)) if name else None


@contextmanager
def _ending_recorded(directory: RunDirectory, part_of: Path | None) -> Iterator[None]:
    """Leave a run directory that says how the run ended."""
    with directory.lock(), termination_raised():
        try:
            yield
        except BaseException as error:
            with suppress(OSError):  # a full disk must not hide what went wrong
                stopped = isinstance(error, KeyboardInterrupt | Terminated)
                directory.write_status("interrupted" if stopped else "failed")
            if directory.can_resume and part_of is None:
                say(f"Resume with: apparel resume {directory.path}", file=sys.stderr)
            raise
        directory.write_status("complete")
    if part_of is None:
        display.wait_for_windows()


def _after_training(
    classifier: ApparelClassifier,
    directory: RunDirectory,
    data_dir: str | os.PathLike[str] | None,
    save_path: Path | None,
) -> None:
    """Take every step that follows training, in order."""
    evaluation = classifier.test_model()
    classifier.explain_results()
    n_images = len(evaluation.true)
    classifier.visualize_predictions([index for index in SAMPLES if index < n_images])
    classifier.show_mistakes()
    classifier.export_model(directory.path / ONNX_FILE)
    report(directory.path, data_dir=data_dir)
    if save_path:
        classifier.export_model(save_path)
    say(f"\nTest result on {n_images:,} images\n{text.metric_lines(evaluation)}")
    say(f"SHA-256 of the weights  {directory.settings()['weights_sha256']}")
    say(f"Run directory: {directory.path}")
