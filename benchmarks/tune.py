"""Compare the result of a search with the default, on validation, at the same training time.

    python -m benchmarks.tune --budget 15m --seeds 0 1 2 3 4

Each seed is an `apparel tune` of its own, with its own random choices. The figure of merit is the
validation accuracy of the best setting less that of the default, both trained in full; the mean
over the seeds comes with its 95 % interval by Student's t. The test accuracies stand beside them.
If no trial was better than the default, the difference is 0. An interrupted search is resumed.
Results go to a JSON file after every seed.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import stats

from apparel.runs.files import read_history
from apparel.runs.search_folder import read_trials
from benchmarks.record import RESULTS, Measured, command, load, measure, save, today


def main() -> None:
    """Run the missing searches, and write each result at once."""
    parser = argparse.ArgumentParser(description="Compare the result of searches with the default.")
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--folder", type=Path, default=Path("runs/tune-benchmark"))
    parser.add_argument("--results", type=Path, default=RESULTS / f"tune-{today()}.json")
    asked = parser.parse_args()
    found = load(asked.results, {"seeds": {}})
    found |= {"machine": measure("machine"), "command": command(), "limit": asked.limit}
    for seed in asked.seeds:
        if str(seed) not in found["seeds"]:
            found["seeds"][str(seed)] = searched(asked.folder / f"seed-{seed}", seed, asked)
            found["summary"] = summary(list(found["seeds"].values()))
            save(asked.results, found)
    print(json.dumps(found["summary"], indent=2))


def searched(folder: Path, seed: int, asked: argparse.Namespace) -> Measured:
    """Search with a seed, or resume its search, and read the result."""
    apparel = [sys.executable, "-m", "apparel"]
    if not (folder / "tune.json").exists():
        apparel += ["tune", "--budget", asked.budget, "--seed", str(seed), "--run-dir", str(folder)]
        apparel += ["--limit", str(asked.limit)] if asked.limit else []
        subprocess.run(apparel, check=True, stdout=subprocess.DEVNULL)
    elif json.loads((folder / "tune.json").read_text(encoding="utf-8"))["status"] != "complete":
        subprocess.run([*apparel, "resume", str(folder)], check=True, stdout=subprocess.DEVNULL)
    trials = read_trials(folder)
    default = outcome(folder / "default")
    best = outcome(folder / "best") if (folder / "best").exists() else default
    return {
        "trials": len(trials),
        "stopped": sum(trial.state == "stopped" for trial in trials),
        "found_better_trial": best is not default,
        "default": default,
        "best": best,
    }


def outcome(run: Path) -> Measured:
    """The accuracies and the recipe of a full training."""
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    history = read_history(run, settings)
    return {
        "val_accuracy": history.history["val_accuracy"][-1],
        "test_accuracy": metrics["accuracy"]["value"],
        "seconds": round(sum(history.seconds), 1),
        "recipe": settings["recipe"],
    }


def summary(seeds: list[Measured]) -> Measured:
    """The mean difference of each accuracy, with its interval."""
    found: Measured = {"n": len(seeds)}
    for name in ("val_accuracy", "test_accuracy"):
        differences = np.array([s["best"][name] - s["default"][name] for s in seeds])
        found[name] = {"mean": float(differences.mean()), "differences": differences.tolist()}
        if len(seeds) > 1 and differences.std() > 0:
            low, high = stats.t.interval(
                0.95, len(seeds) - 1, differences.mean(), stats.sem(differences)
            )
            found[name] |= {"low": float(low), "high": float(high)}
    return found


if __name__ == "__main__":
    main()
