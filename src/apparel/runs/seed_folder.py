"""The folder of runs that differ in their seed only: what was asked for, and the result."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from apparel.core.atomic_files import write_json
from apparel.core.records import SeedsResult
from apparel.core.settings import Settings
from apparel.core.validation import checked_seed, whole_number
from apparel.runs.files import METRICS_FILE, read_json, reading
from apparel.runs.folder import SEEDS_FILE, claim_folder


@dataclass(frozen=True, kw_only=True)
class SeedRuns:
    """Runs with several seeds.

    Attributes:
        settings: of the first run; the others have the seeds after its own.
        n_seeds: number of runs, at least 2.
        source: name of the data set, absolute if it is a path.
        data_dir: folder with the data set's files.
        address: of the Ray cluster whose nodes run them; None for this process, one after another.
    """

    settings: Settings
    n_seeds: int
    source: str
    data_dir: Path | None
    address: str | None

    def __post_init__(self) -> None:
        """Check the number of runs and the last seed.

        Raises:
            UsageError: one is outside its range.
        """
        whole_number("--seeds", self.n_seeds, minimum=2)
        checked_seed(self.settings.seed + self.n_seeds - 1)

    def each(self, folder: Path) -> list[tuple[Settings, Path]]:
        """List the settings of each run, and its folder."""
        first = self.settings.seed
        return [
            (replace(self.settings, seed=seed), folder / f"seed-{seed}")
            for seed in range(first, first + self.n_seeds)
        ]


def create(path: Path | None, runs: SeedRuns) -> Path:
    """Take a folder for runs with several seeds, and record them.

    Args:
        path: the folder; None for `runs/<date>-<time>-<model>-seeds`.
        runs: what is asked for.

    Raises:
        UsageError: the folder holds something, or cannot be written to.
    """
    record = {
        "status": "running",
        "settings": asdict(runs.settings),
        "n_seeds": runs.n_seeds,
        "source": runs.source,
        "data_dir": str(runs.data_dir) if runs.data_dir else None,
        "ray": runs.address,
    }
    name = f"{runs.settings.model_name}-seeds"
    return claim_folder(path, name=name, file=SEEDS_FILE, record=record)[0]


def read(folder: Path) -> SeedRuns:
    """Read what `create` recorded.

    Raises:
        ModelFileError: there is no such record, or it is broken.
    """
    with reading(folder / SEEDS_FILE, "record of the runs asked for", "Run them once more."):
        record = read_json(folder / SEEDS_FILE)
        return SeedRuns(
            settings=Settings(**record["settings"]),
            n_seeds=record["n_seeds"],
            source=record["source"],
            data_dir=Path(record["data_dir"]) if record["data_dir"] else None,
            address=record["ray"],
        )


def runs_in(folder: Path) -> list[Path]:
    """List the run directories in a folder of several seeds; of another, the folder itself."""
    if not (folder / SEEDS_FILE).is_file():
        return [folder]
    return [path for _, path in read(folder).each(folder)]


def read_metrics(folders: Sequence[Path]) -> tuple[int, dict[str, list[float]]]:
    """Read `metrics.json` of several runs.

    Returns:
        The number of test images, and for each metric that all runs have one value a run.

    Raises:
        ModelFileError: a run is not finished, or its file is broken.
    """
    each = []
    for folder in folders:
        with reading(folder / METRICS_FILE, "metrics"):
            each.append(read_json(folder / METRICS_FILE))
    names = [
        name
        for name, value in each[0].items()
        if isinstance(value, dict) and all("value" in read.get(name, {}) for read in each)
    ]
    return each[0]["n"], {name: [read[name]["value"] for read in each] for name in names}


def complete(folder: Path, result: SeedsResult) -> None:
    """Record that all runs are complete, and their result."""
    results = {
        "seeds": list(result.seeds),
        "n_images": result.n_images,
        "measures": {
            name: {
                **asdict(spread.mean),
                "deviation": spread.deviation,
                "values": list(spread.values),
            }
            for name, spread in result.metrics.items()
        },
    }
    path = folder / SEEDS_FILE
    write_json(path, {**read_json(path), "status": "complete", "results": results}, ascii=True)
