"""Results → the table in docs/performance.md."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from scipy.stats import t as student

from apparel.core.atomic_files import write_text
from benchmarks.record import RESULTS, Measured

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
# Its time is T.
PEER = "plain_keras"
BEGIN, END = "<!-- the table, made by `make bench` -->", "<!-- end of the table -->"
HEADER = (
    "| row | accuracy, mean (95 % interval) | flip-averaged | view-averaged | each seed | seconds "
    "| in T | to reach | images a second (times plain Keras) | memory | weights | MFLOP an image "
    "| of the ceiling | processor, day |"
)


def write_table(names: Sequence[str]) -> None:
    """Replace the table in the page by the newest results of each row.

    Args:
        names: of the rows, in the table's order.
    """
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, tail = rest.split(END)
    newest = _newest_rows()
    rows = [newest[name] for name in names if name in newest]
    machines = {_described(run["machine"]): None for row in rows for run in row["runs"]}
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1), *map(_line, rows)]
    lines += ["", "Measured with:", "", *machines]
    write_text(PAGE, "\n".join([head + BEGIN, "", *lines, "", END + tail]))


def _newest_rows() -> dict[str, Measured]:
    """Each row's results in the newest file that has any, with the day of that file.

    Every run gets `peers`: plain Keras's runs on the same machine.
    """
    newest: dict[str, Measured] = {}
    peers = []
    for path in sorted(RESULTS.glob("2*.json")):  # others hold other benchmarks
        results = json.loads(path.read_text(encoding="utf-8"))
        peers += results["rows"].get(PEER, {"runs": []})["runs"]
        for name, row in results["rows"].items():
            if row["runs"]:
                newest[name] = {**row, "date": results["date"]}
    for row in newest.values():
        for run in row["runs"]:
            run["peers"] = [peer for peer in peers if _machine(peer) == _machine(run)]
    return newest


def _machine(run: Measured) -> Measured:
    """The machine and versions of a run; the ceiling is measured anew for every row."""
    return {key: value for key, value in run["machine"].items() if key != "ceiling"}


def _described(machine: Measured) -> str:
    """A machine and its versions, for people."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"- {machine['processor']}, {machine['cores']} virtual cores, "
        f"{' '.join(machine['instruction_sets'])}, {machine['platform']}; {versions}"
    )


def _line(row: Measured) -> str:
    """One row of the table."""
    runs = sorted(row["runs"], key=lambda run: int(run["seed"]))
    first = runs[0]
    accuracies = [run["accuracy"] for run in runs]
    in_t, speedup = _to_peers(runs, "seconds"), _to_peers(runs, "images_per_second")
    within = f" in {row['limit']:.3g} T" if row["limit"] else ""
    speed = f"{_mean(runs, 'images_per_second'):,.0f}" if "images_per_second" in first else ""
    cells = [
        f"{row['title']} (`{row['name']}`)",
        _mean_and_interval(accuracies),
        _averaged(runs, "flip_averaged"),
        _averaged(runs, "view_averaged"),
        " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies),
        f"{_mean(runs, 'seconds'):.0f}",
        f"{in_t:.3f}" if in_t else "",
        f"{100 * row['target']:.1f} %{within}" if row["target"] else "",
        f"{speed} ({speedup:.2g} x)" if speedup else speed,
        f"{max(run['peak_memory_mb'] for run in runs):,.0f} MB",
        f"{first['parameters']:,}" if "parameters" in first else "",
        f"{first['flops_per_image'] / 1e6:.1f}" if "flops_per_image" in first else "",
        _share_of_ceiling(runs) if "flops_per_image" in first else "",
        f"{', '.join({run['machine']['processor']: None for run in runs})}, {row['date']}",
    ]
    return "| " + " | ".join(cells) + " |"


def _averaged(runs: list[Measured], name: str) -> str:
    """The accuracy of averaged probabilities, where all runs have it."""
    values = [run.get(name) for run in runs]
    return _mean_and_interval(values) if all(values) else ""


def _mean_and_interval(values: list[float]) -> str:
    """Mean in percent and Student's 95 % interval of it."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{100 * mean:.2f} % (one seed)"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"**{100 * mean:.2f} %** ({100 * (mean - half):.2f} to {100 * (mean + half):.2f})"


def _to_peers(runs: list[Measured], name: str) -> float | None:
    """A figure as a multiple of plain Keras's on the same machine, if that was measured."""
    if not all(run["peers"] and name in run for run in runs):
        return None
    return statistics.mean(run[name] / _mean(run["peers"], name) for run in runs)


def _mean(runs: list[Measured], name: str) -> float:
    """The mean of a figure over runs."""
    return statistics.mean(run[name] for run in runs)


def _share_of_ceiling(runs: list[Measured]) -> str:
    """Operations a second as a share of the fastest convolution in the number format used."""
    name = "float32" if runs[0]["dtype"] == "float32" else "bfloat16"
    shares = [
        # A training step takes three times the operations of a forward pass.
        3 * run["flops_per_image"] * run["images_per_second"] / 1e12
        / run["machine"]["ceiling"][f"{name}_conv_tflops"]
        for run in runs
    ]  # fmt: skip
    return f"{100 * statistics.mean(shares):.0f} % ({name})"
