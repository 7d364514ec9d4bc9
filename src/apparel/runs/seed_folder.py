"""A folder of runs that differ in their seed alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from apparel.core.atomic_files import claim, write_text
from apparel.core.errors import ApparelError, ModelFileError, UsageError
from apparel.core.settings import Settings
from apparel.core.validation import checked_seed, whole_number
from apparel.runs.folder import new_folder

SEEDS_FILE = "seeds.json"


@dataclass(frozen=True, kw_only=True)
class SeedRuns:
    """What is run with several seeds.

    Attributes:
        settings: of the first run; the others have the seeds after its own.
        n_seeds: how many runs, at least 2.
        source: the name of the data set, absolute if it is a path.
        data_dir: a folder with the data set's files.
        address: of the Ray cluster whose nodes run them; None for this process, one after another.
    """

    settings: Settings
    n_seeds: int
    source: str
    data_dir: Path | None
    address: str | None

    def __post_init__(self) -> None:
        """Check what is asked for.

        Raises:
            UsageError: it makes no sense.
        """
        whole_number("--seeds", self.n_seeds, minimum=2)
        checked_seed(self.settings.seed + self.n_seeds - 1)

    def each(self, folder: Path) -> list[tuple[Settings, Path]]:
        """The settings of each run, and its folder."""
        first = self.settings.seed
        return [
            (replace(self.settings, seed=seed), folder / f"seed-{seed}")
            for seed in range(first, first + self.n_seeds)
        ]


def claim_folder(folder: Path | None, runs: SeedRuns) -> Path:
    """Take a folder that holds nothing, and record what it is for.

    Args:
        folder: the folder; None for `runs/<date>-<time>-<model>-seeds`.
        runs: what it is for.

    Returns:
        The folder.

    Raises:
        UsageError: it holds something, or cannot be written.
    """
    if folder and (folder / SEEDS_FILE).exists():
        raise UsageError(
            f"{folder} holds runs with several seeds. Resume them: apparel resume {folder}. Or "
            "name another folder with --run-dir."
        )
    record = {
        "status": "running",
        "settings": asdict(runs.settings),
        "n_seeds": runs.n_seeds,
        "source": runs.source,
        "data_dir": str(runs.data_dir) if runs.data_dir else None,
        "ray": runs.address,
    }
    try:
        folder = folder or new_folder(f"{runs.settings.model_name}-seeds")
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty. Name another with --run-dir.")
        claim(folder / SEEDS_FILE, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"the folder {folder or 'runs'} cannot be written: {error.strerror}. Name another with "
            "--run-dir."
        ) from error
    return folder


def read(folder: Path) -> SeedRuns:
    """Read what `claim_folder` recorded.

    Raises:
        ModelFileError: there is no such record, or it is broken.
    """
    path = folder / SEEDS_FILE
    try:
        record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return SeedRuns(
            settings=Settings(**record["settings"]),
            n_seeds=record["n_seeds"],
            source=record["source"],
            data_dir=Path(record["data_dir"]) if record["data_dir"] else None,
            address=record["ray"],
        )
    except (ApparelError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} does not say which runs were asked for ({error}). Run them once more."
        ) from error


def runs_in(folder: Path) -> list[Path]:
    """The folders of the runs, if it is a folder of runs with several seeds; else itself."""
    if not (folder / SEEDS_FILE).is_file():
        return [folder]
    return [path for _, path in read(folder).each(folder)]


def complete(folder: Path, results: Mapping[str, object]) -> None:
    """Record that all runs are complete, and what came of them."""
    path = folder / SEEDS_FILE
    record = json.loads(path.read_text(encoding="utf-8"))
    record = {**record, "status": "complete", "results": results}
    write_text(path, json.dumps(record, indent=2) + "\n")
