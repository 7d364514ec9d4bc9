"""`apparel run --seeds`, without a cluster, and what `apparel run` takes together."""

import json
import statistics

import pytest
from scipy import stats

from apparel.cli import main
from apparel.evaluation import intervals
from apparel.runs.seed_folder import SEEDS_FILE

SMALL = ["--limit", "300", "--epochs", "1", "--dtype", "float32", "--model", "fast"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds, as the command leaves them."""
    folder = tmp_path_factory.mktemp("seeds") / "runs"
    assert main.main(["run", *SMALL, "--seeds", "2", "--seed", "7", "--run-dir", str(folder)]) == 0
    return folder


def read(path):
    return json.loads(path.read_text())


def test_each_run_is_the_plain_run_with_that_seed(folder, tmp_path):
    for seed in (7, 8):
        plain = tmp_path / f"{seed}"
        assert main.main(["run", *SMALL, "--seed", str(seed), "--run-dir", str(plain)]) == 0
        run = folder / f"seed-{seed}"
        hashes = [read(path / "settings.json")["weights_sha256"] for path in (plain, run)]
        assert hashes[0] == hashes[1]
        assert read(run / "metrics.json") == read(plain / "metrics.json")


def test_the_means_are_those_of_the_runs(folder):
    record = read(folder / SEEDS_FILE)
    assert record["status"] == "complete"
    assert record["results"]["seeds"] == [7, 8]
    metrics = [read(folder / f"seed-{seed}" / "metrics.json") for seed in (7, 8)]
    for name, found in record["results"]["measures"].items():
        values = [each[name]["value"] for each in metrics]
        assert found["values"] == values
        assert found["value"] == pytest.approx(statistics.mean(values))
        assert found["deviation"] == pytest.approx(statistics.stdev(values))
    assert {"accuracy", "f1", "log_loss"} <= set(record["results"]["measures"])


def test_intervals_of_a_mean_are_students():
    values = [0.91, 0.92, 0.9, 0.925]
    found = intervals.spread(values, most=1.0)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=statistics.mean(values), scale=stats.sem(values)
    )
    assert (found.mean.low, found.mean.high) == pytest.approx((low, high))
    wide = intervals.spread([0.1, 0.9], most=1.0)
    assert (wide.mean.low, wide.mean.high) == (0.0, 1.0)


def test_the_folder_stands_for_its_runs_in_a_comparison(folder, capsys):
    # With --limit, each seed draws test images of its own.
    assert main.main(["compare", str(folder)]) == 3
    assert "seed-7 and seed-8 were tested on different images" in capsys.readouterr().err


def test_runs_that_are_complete_are_not_repeated(folder, capsys):
    before = read(folder / "seed-7" / "settings.json")["started"]
    stamp = (folder / "seed-8" / "metrics.json").stat().st_mtime_ns
    assert main.main(["resume", str(folder)]) == 0
    assert read(folder / "seed-7" / "settings.json")["started"] == before
    assert (folder / "seed-8" / "metrics.json").stat().st_mtime_ns == stamp
    assert "Means over the seeds" in capsys.readouterr().out


def test_a_run_that_is_missing_is_run_by_resume(folder, capsys):
    hashes = read(folder / "seed-8" / "settings.json")["weights_sha256"]
    for path in sorted((folder / "seed-8").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert main.main(["compare", str(folder)]) == 4
    capsys.readouterr()
    assert main.main(["resume", str(folder)]) == 0
    assert read(folder / "seed-8" / "settings.json")["weights_sha256"] == hashes
    assert "seed-7" not in capsys.readouterr().out.partition("Accuracy of each")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "1"], "--seeds must be a whole number of at least 2"),
        (["--seeds", "2", "--seed", "4294967295"], "seed must be below 2**32"),
        (["--seeds", "2", "--workers", "2", "--ray"], "--seeds and --workers were both given"),
        (["--seeds", "2", "--overwrite"], "goes with neither --save nor --overwrite"),
        (["--workers", "2"], "--workers needs a Ray cluster"),
        (["--workers", "0", "--ray"], "--workers must be a whole number of at least 1"),
        (["--workers", "2", "--ray", "--budget", "60s"], "--workers cannot keep a --budget"),
        (["--ray"], "--ray has no effect without --seeds or --workers"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, said, tmp_path, capsys):
    folder = tmp_path / "runs"
    assert main.main(["run", *arguments, "--run-dir", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert not folder.exists()
