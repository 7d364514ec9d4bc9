"""Results → the table in docs/performance.md."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import t as student

from apparel.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
# Its time is T.
PEER = "plain_keras"
RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- the table, made by `make bench` -->", "<!-- end of the table -->"
HEADER = (
    "| row | accuracy, mean (95 % interval) | with flip averaging | each seed | seconds | in T "
    "| to reach | images a second (times plain Keras) | memory | weights | MFLOP an image "
    "| of the ceiling | processor, day |"
)


def write_table(names: Sequence[str]) -> None:
    """Replace the table in the page by the newest results of each row.

    Args:
        names: of the rows, in the table's order.
    """
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    newest = _newest_rows()
    rows = [newest[name] for name in names if name in newest]
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1), *map(_line, rows), ""]
    lines += ["Measured with:", "", *_machines(rows)]
    write_text(PAGE, "\n".join([head + BEGIN, "", *lines, "", END + tail]))


def _newest_rows() -> dict[str, dict[str, Any]]:
    """Each row's results in the newest file that has any, with the day of that file."""
    newest: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        for name, row in results["rows"].items():
            if row["runs"]:
                peers = results["rows"].get(PEER, {"runs": []})["runs"]
                newest[name] = {**row, "date": results["date"], "peers": peers}
    return newest


def _peers(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of plain Keras on the same machine on the same day."""
    machines = [_machine(run) for run in row["runs"]]
    return [run for run in row["peers"] if all(_machine(run) == m for m in machines)]


def _machine(run: dict[str, Any]) -> dict[str, Any]:
    """What tells machines and versions apart; the ceiling is measured anew for every row."""
    return {key: value for key, value in run["machine"].items() if key != "ceiling"}


def _machines(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each machine and set of versions."""
    lines = {}
    for row in rows:
        for run in row["runs"]:
            machine = run["machine"]
            versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
            lines[
                f"- {machine['processor']}, {machine['cores']} virtual cores, "
                f"{' '.join(machine['instruction_sets'])}, {machine['platform']}; {versions}"
            ] = None
    return list(lines)


def _line(row: dict[str, Any]) -> str:
    """One row of the table."""
    runs = sorted(row["runs"], key=lambda run: int(run["seed"]))
    accuracies = [run["accuracy"] for run in runs]
    flipped = [run["flip_averaged"] for run in runs if run.get("flip_averaged")]
    cells = [
        f"{row['title']} (`{row['name']}`)",
        _mean_and_interval(accuracies),
        _mean_and_interval(flipped) if flipped else "",
        " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies),
        f"{_mean(runs, 'seconds'):.0f}",
        _in_t(row),
        _promise(row),
        _speed(row),
        f"{max(run['peak_memory_mb'] for run in runs):,.0f} MB",
        f"{runs[0]['parameters']:,}" if "parameters" in runs[0] else "",
        f"{runs[0]['flops_per_image'] / 1e6:.1f}" if "flops_per_image" in runs[0] else "",
        _share_of_ceiling(runs),
        f"{', '.join({run['machine']['processor']: None for run in runs})}, {row['date']}",
    ]
    return "| " + " | ".join(cells) + " |"


def _mean_and_interval(values: list[float]) -> str:
    """Mean in percent and Student's 95 % interval of it."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{100 * mean:.2f} % (one seed)"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"**{100 * mean:.2f} %** ({100 * (mean - half):.2f} to {100 * (mean + half):.2f})"


def _promise(row: dict[str, Any]) -> str:
    """The accuracy to reach, and the time to reach it in."""
    if row["target"] is None:
        return ""
    within = f" in {row['limit']:.3g} T" if row["limit"] else ""
    return f"{100 * row['target']:.1f} %{within}"


def _in_t(row: dict[str, Any]) -> str:
    """The mean time as a multiple of plain Keras's."""
    peers = _peers(row)
    if not peers:
        return ""
    return f"{_mean(row['runs'], 'seconds') / _mean(peers, 'seconds'):.3f}"


def _speed(row: dict[str, Any]) -> str:
    """Images trained on a second, and the same as a multiple of plain Keras's."""
    if "images_per_second" not in row["runs"][0]:
        return ""
    speed, peers = _mean(row["runs"], "images_per_second"), _peers(row)
    ratio = f" ({speed / _mean(peers, 'images_per_second'):.1f} x)" if peers else ""
    return f"{speed:,.0f}{ratio}"


def _mean(runs: list[dict[str, Any]], name: str) -> float:
    """The mean of a figure over runs."""
    return statistics.mean(run[name] for run in runs)


def _share_of_ceiling(runs: list[dict[str, Any]]) -> str:
    """Operations a second as a share of the fastest convolution in the number format used."""
    if "flops_per_image" not in runs[0]:
        return ""
    name = "float32" if runs[0]["dtype"] == "float32" else "bfloat16"
    shares = [
        3
        * run["flops_per_image"]
        * run["images_per_second"]
        / 1e12
        / run["machine"]["ceiling"][f"{name}_conv_tflops"]
        for run in runs
    ]
    return f"{100 * statistics.mean(shares):.0f} % ({name})"
