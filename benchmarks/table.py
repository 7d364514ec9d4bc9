"""Results → the table in docs/performance.md."""

import json
import statistics
from pathlib import Path
from typing import Any

from scipy.stats import t as student

from apparel.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- the table, made by `make bench` -->", "<!-- end of the table -->"
HEADER = (
    "| row | accuracy, mean (95 % interval) | with flip averaging | each seed | seconds | in T "
    "| to reach | memory | weights | MFLOP an image | of the ceiling |"
)


def write_table(results_file: str) -> None:
    """Replace the table in the page by that of a results file."""
    results = json.loads(Path(results_file).read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1)]
    lines += [_line(row, results["ceiling"]) for row in results["rows"].values() if row["runs"]]
    write_text(PAGE, "\n".join([head + BEGIN, "", *lines, "", END + tail]))


def _line(row: dict[str, Any], ceiling: dict[str, float]) -> str:
    """One row of the table."""
    runs = sorted(row["runs"], key=lambda run: int(run["seed"]))
    accuracies = [run["accuracy"] for run in runs]
    flipped = [run["flip_averaged"] for run in runs if run.get("flip_averaged")]
    cells = [
        row["title"],
        _mean_and_interval(accuracies),
        _mean_and_interval(flipped) if flipped else "",
        " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies),
        f"{statistics.mean(run['seconds'] for run in runs):.0f}",
        f"{statistics.mean(run['ratio_to_t'] for run in runs):.3f}",
        _promise(row),
        f"{max(run['peak_memory_mb'] for run in runs):,.0f} MB",
        f"{runs[0]['parameters']:,}" if "parameters" in runs[0] else "",
        f"{runs[0]['flops_per_image'] / 1e6:.1f}" if "flops_per_image" in runs[0] else "",
        _share_of_ceiling(runs, ceiling),
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
    return f"{100 * row['target']:.1f} % in {row['limit']:.3g} T"


def _share_of_ceiling(runs: list[dict[str, Any]], ceiling: dict[str, float]) -> str:
    """Operations a second as a share of the fastest convolution in the number format used."""
    if "flops_per_image" not in runs[0]:
        return ""
    speed = statistics.mean(run["images_per_second"] for run in runs)
    tflops = 3 * runs[0]["flops_per_image"] * speed / 1e12
    name = "float32" if runs[0].get("dtype") == "float32" else "bfloat16"
    return f"{100 * tflops / ceiling[f'{name}_conv_tflops']:.0f} % ({name})"
