"""`apparel suspects`: find labels of a run's images that are probably wrong."""

import os
from argparse import Namespace
from pathlib import Path

from apparel.cli.report import REPORT_FILE, report
from apparel.core import backend
from apparel.core.messages import quiet
from apparel.core.records import LabelIssues
from apparel.core.settings import Settings
from apparel.evaluation import label_issues
from apparel.reporting import plots, text
from apparel.runs import files, inputs
from apparel.runs.run_directory import RunDirectory
from apparel.training import cross_validation


def main(parsed: Namespace) -> None:
    """Find label issues, and print the first of each split."""
    found, written = _suspects(parsed.run, parsed.data_dir)
    for path in written:
        print(f"{'Report' if path.suffix == '.html' else 'Written'}: {path}")
    for of_split in found:
        print(text.label_issue_lines(of_split))


@quiet
def suspects(
    run: str | os.PathLike[str], *, data_dir: str | os.PathLike[str] | None = None
) -> list[LabelIssues]:
    """Find labels of a run's images that are probably wrong, and list them in the run.

    Args:
        run: a run directory; gets a table and a plot of each split, and a new report.
        data_dir: folder with the data set's files.

    Returns:
        Those of the training images, then those of the test images.

    Raises:
        ModelFileError: the folder is no run.
        DataUnavailableError: the data set cannot be had.
        DataError: a class has too few training images.
        OSError: the run directory cannot be written.

    Example:
        >>> train, test = apparel.suspects("runs/coats")
    """
    return _suspects(run, data_dir)[0]


def _suspects(
    run: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None
) -> tuple[list[LabelIssues], list[Path]]:
    """Find label issues; also give the paths of the files that list them."""
    directory = RunDirectory.open(run, needs=files.PREDICTIONS_FILE)
    dataset = inputs.load_data(directory, data_dir=data_dir)
    chosen = Settings(**directory.settings()["settings"])
    said = cross_validation.cross_validate(
        dataset,
        Settings(model_name="fast", seed=chosen.seed, dtype=chosen.dtype, flip=chosen.flip),
        backend.choose_number_format(chosen.dtype),
    )
    names = dataset.class_names
    found = [
        label_issues.find(said.train, dataset.train_labels, names, split="train"),
        label_issues.find(said.test, dataset.test_labels, names, split="test"),
    ]
    written = []
    for of_split, images in zip(found, (dataset.train_images, dataset.test_images), strict=True):
        figure = plots.label_issues_figure(of_split, images)
        written += [
            files.write_suspects(directory.path, of_split),
            files.write_figure(directory.path, f"suspects_{of_split.split}", figure),
        ]
    report(run, data_dir=data_dir)
    return found, [*written, directory.path / REPORT_FILE]
