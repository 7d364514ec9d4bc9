"""`apparel resume`: finish an interrupted run, search or set of seeds."""

from argparse import Namespace

from apparel.cli import run, seeds, tune
from apparel.runs.folder import SEARCH_FILE, SEEDS_FILE


def main(parsed: Namespace) -> None:
    """Resume what the folder holds."""
    if (parsed.run / SEARCH_FILE).is_file():
        resume = tune.resume
    elif (parsed.run / SEEDS_FILE).is_file():
        resume = seeds.resume
    else:
        resume = run.resume
    resume(parsed.run, source=parsed.data, data_dir=parsed.data_dir, address=parsed.ray)
