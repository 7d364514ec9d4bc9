"""Go on with what was broken off, whatever it was."""

from pathlib import Path

from apparel.cli import seeds, tune, workflow
from apparel.runs.search_folder import is_search
from apparel.runs.seed_folder import SEEDS_FILE


def resume(
    path: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
) -> None:
    """Go on with a run, with runs of several seeds, or with a search, to the end.

    Args:
        path: its folder.
        source: where the images are, if not where they were.
        data_dir: a folder with the data set's files; by default the one that was given.
        address: of a Ray cluster, where one was used; by default the one of before.

    Raises:
        ApparelError: it is no such folder, nothing can go on from what is there, or a step failed.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    if is_search(path):
        tune.resume(path, source=source, data_dir=data_dir, address=address)
        return
    go_on = seeds.resume if (path / SEEDS_FILE).is_file() else workflow.resume
    go_on(path, source=source, data_dir=data_dir, address=address)
