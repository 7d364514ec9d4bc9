"""`apparel compare`: say whether one run is better than another."""

import os
from argparse import Namespace
from pathlib import Path

from apparel.core.messages import quiet
from apparel.core.records import GroupComparison, PairComparison
from apparel.evaluation import comparison
from apparel.reporting import text
from apparel.runs import seed_folder
from apparel.runs.files import PREDICTIONS_FILE, read_tested_run
from apparel.runs.run_directory import RunDirectory


def main(parsed: Namespace) -> None:
    """Compare, and print the verdicts."""
    print(text.comparison(compare(*parsed.runs)))


@quiet
def compare(*runs: str | os.PathLike[str]) -> list[PairComparison | GroupComparison]:
    """Compare what the models of several runs said of the same test images.

    Args:
        *runs: run directories; the first is compared with each of the others. A folder of runs
            with several seeds stands for all of them.

    Raises:
        ModelFileError: a folder holds no finished run.
        DataError: they were tested on different images.
        UsageError: there are fewer than two, or one run is to be compared with several.

    Example:
        >>> apparel.compare("runs/before", "runs/after")
    """
    paths = [path for run in runs for path in seed_folder.runs_in(Path(run))]
    folders = [RunDirectory.open(path, needs=PREDICTIONS_FILE) for path in paths]
    return comparison.compare([read_tested_run(each.path, each.settings()) for each in folders])
