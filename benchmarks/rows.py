"""The rows of the table in docs/performance.md."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.record import load, measure, save

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        name: names it on the command line.
        title: for people.
        way: a way of `measure.py`.
        options: of the classifier.
        target: accuracy that the mean over the seeds is to reach; None where there is none.
        limit: time to reach it in, in T; None where the options name the time themselves.
    """

    name: str
    title: str
    way: str = "apparel"
    options: dict[str, Any] = field(default_factory=dict)
    target: float | None = None
    limit: float | None = None


# Plain Keras first, whose time is T. Nothing is chosen on the validation images of the last two
# networks, so that fewer are held out.
ROWS = (
    Row(name="plain_keras", title="first program, plain Keras, float32", way="plain"),
    Row(
        name="seed_model",
        title="the same network, apparel, last step's weights",
        options={"model_name": "cnn", "weight_averaging": 0.0},
    ),
    Row(
        name="seed_model_averaged",
        title="the same network, apparel's default",
        options={"model_name": "cnn"},
    ),
    Row(
        name="within_t_20",
        title="`--model fast --width 16 --epochs 3`: 92.5 % hoped for within T/20",
        options={"model_name": "fast", "width": 16, "epochs": 3},
        target=0.925,
        limit=1 / 20,
    ),
    Row(
        name="within_t_8",
        title="`--model fast --width 16 --epochs 4`: 92.5 % within T/8",
        options={"model_name": "fast", "width": 16, "epochs": 4},
        target=0.925,
        limit=1 / 8,
    ),
    Row(
        name="within_t_3",
        title="`--model fast --epochs 4`: 93.5 % within T/3, hoped for within T/8",
        options={"model_name": "fast", "epochs": 4},
        target=0.935,
        limit=1 / 3,
    ),
    Row(
        name="within_t_4",
        title="`--model fast --epochs 8`: 94.2 % hoped for within T/4",
        options={"model_name": "fast", "epochs": 8},
        target=0.942,
        limit=1 / 4,
    ),
    Row(
        name="within_0_8_t",
        title="`--model fast --width 48 --epochs 8`: 94.2 % within 0.8 T",
        options={"model_name": "fast", "width": 48, "epochs": 8},
        target=0.942,
        limit=0.8,
    ),
    Row(name="budget_10m", title="`--budget 10m`", options={"budget": "10m"}, target=0.946),
    Row(
        name="within_4_t",
        title="`--model fast --width 64 --epochs 14 --validation-split 0.02`: "
        "95.0 % within 4 T, hoped for within 1.5 T",
        options={"model_name": "fast", "width": 64, "epochs": 14, "validation_split": 0.02},
        target=0.95,
        limit=4,
    ),
    Row(
        name="within_12_t",
        title="`--model best --epochs 36 --validation-split 0.02`: 95.7 % within 12 T",
        options={"model_name": "best", "epochs": 36, "validation_split": 0.02},
        target=0.957,
        limit=12,
    ),
    Row(name="svm", title="scikit-learn SVC (RBF, C=10), 20,000 images", way="svm"),
    Row(
        name="gradient_boosting",
        title="scikit-learn HistGradientBoosting",
        way="gradient_boosting",
    ),
)


def measure_row(row: Row, path: Path, seeds: list[int], date: str) -> None:
    """Measure the seeds that a file of results lacks, and keep every result at once."""
    results = load(path, {"date": date, "rows": {}})
    entry = results["rows"].setdefault(row.name, {"runs": []})
    entry |= {**asdict(row), "command": f"python -m benchmarks {row.name}"}
    missing = [seed for seed in seeds if seed not in {run["seed"] for run in entry["runs"]}]
    machine = measure("machine") if missing else {}
    for seed in missing:
        options = [row.options] if row.way == "apparel" else []
        run = {"seed": seed, **measure(row.way, seed, *options), "machine": machine}
        entry["runs"].append(run)
        save(path, results)
        print(row.name, run, flush=True)
