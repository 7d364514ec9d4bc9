"""`apparel run --seeds`, without a cluster."""

import json
import shutil
import statistics
from dataclasses import asdict
from unittest import mock

import pytest
from scipy import stats

from apparel.evaluation import intervals
from apparel.runs.seed_folder import SEEDS_FILE
from tests.conftest import run_command


def read(path):
    return json.loads(path.read_text())


def accuracy_of(seed):
    return 0.7 + seed / 100


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Let each run end at once, with an accuracy for each seed; lists the seeds."""
    seeds = []

    def complete(settings, path, *, source, data_dir, part_of):
        assert part_of == path.parent.relative_to(tmp_path)
        path.mkdir()
        record = {"status": "complete", "settings": asdict(settings), "source": source}
        (path / "settings.json").write_text(json.dumps(record))
        metrics = {
            "n": 40,
            "accuracy": {"value": accuracy_of(settings.seed)},
            "log_loss": {"value": 1.5},
        }
        (path / "metrics.json").write_text(json.dumps(metrics))
        seeds.append(settings.seed)

    monkeypatch.setattr("apparel.cli.run.complete", complete)
    return seeds


def test_each_seed_is_run_once_and_the_means_are_those_of_the_runs(runs, tmp_path):
    arguments = ("run", "--seeds", 3, "--seed", 7, "--run-dir", "runs")
    done = run_command(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Means over the seeds" in done.stdout
    record = read(tmp_path / "runs" / SEEDS_FILE)
    assert record["status"] == "complete"
    assert record["results"]["seeds"] == runs == [7, 8, 9]
    found = record["results"]["measures"]["accuracy"]
    values = [accuracy_of(seed) for seed in (7, 8, 9)]
    assert found["values"] == values
    assert found["value"] == pytest.approx(statistics.mean(values))
    assert found["deviation"] == pytest.approx(statistics.stdev(values))
    assert set(record["results"]["measures"]) == {"accuracy", "log_loss"}
    # What is complete is not repeated, and what is missing is done.
    shutil.rmtree(tmp_path / "runs" / "seed-8")
    assert run_command("compare", "runs", cwd=tmp_path).returncode == 4
    again = run_command("resume", "runs", "--data", "elsewhere", cwd=tmp_path)
    assert (again.returncode, runs) == (0, [7, 8, 9, 8])
    assert read(tmp_path / "runs" / "seed-8" / "settings.json")["source"] == "elsewhere"
    assert "seed-7" not in again.stdout.partition("Accuracy of each")[0]


def test_a_run_that_fails_says_how_to_resume_all(monkeypatch, tmp_path):
    monkeypatch.setattr("apparel.cli.run.complete", mock.Mock(side_effect=KeyboardInterrupt))
    done = run_command("run", "--seeds", 2, "--run-dir", "runs", cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "Resume with: apparel resume runs\napparel: interrupted\n"
    again = run_command("run", "--seeds", 2, "--run-dir", "runs", cwd=tmp_path)
    assert again.returncode == 2
    assert "Resume with: apparel resume runs" in again.stderr


@pytest.mark.slow
def test_each_run_is_the_plain_run_with_that_seed(digits_file, tmp_path):
    small = ("run", "--data", digits_file, "--epochs", 1, "--dtype", "float32", "--model", "fast")
    done = run_command(*small, "--seeds", 2, "--seed", 7, "--run-dir", "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run_command(*small, "--seed", 8, "--run-dir", "8", cwd=tmp_path).returncode == 0
    for name in ("metrics.json", "weights.safetensors"):
        plain, one = (tmp_path / path / name for path in ("8", "runs/seed-8"))
        assert plain.read_bytes() == one.read_bytes()
    assert run_command("compare", "runs", cwd=tmp_path).returncode == 0


def test_intervals_of_a_mean_are_students():
    values = [0.91, 0.92, 0.9, 0.925]
    found = intervals.spread(values, most=1.0)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=statistics.mean(values), scale=stats.sem(values)
    )
    assert (found.mean.low, found.mean.high) == pytest.approx((low, high))
    wide = intervals.spread([0.1, 0.9], most=1.0)
    assert (wide.mean.low, wide.mean.high) == (0.0, 1.0)
