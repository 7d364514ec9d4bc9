"""Runs on a real Ray cluster of two nodes: the same results, whatever is lost on the way."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from apparel.cli import main
from apparel.core.errors import ApparelError
from apparel.scale import training
from apparel.scale.seeds import run_in_worker
from tests.scale.cluster import RAY_WARNS, processes_named, two_nodes

pytestmark = RAY_WARNS

# A small run; float32, as which format is faster is measured.
SMALL = ["--limit", "600", "--dtype", "float32"]


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def on_one_core(*arguments):
    """Run the plain command as a worker with one CPU does."""
    subprocess.run(
        [sys.executable, "-m", "apparel", "run", *SMALL, *arguments],
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
        check=True,
        capture_output=True,
    )


def weights(run):
    return json.loads((run / "settings.json").read_text())["weights_sha256"]


def history(run):
    """`history.csv` without the seconds."""
    return [line.rpartition(",")[0] for line in (run / "history.csv").read_text().splitlines()]


def checkpoints(run):
    return sorted(path.name for path in (run / "checkpoints").glob("*.safetensors"))


def until(condition, seconds=120.0):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, condition
        time.sleep(0.05)
    return found


def beside(*arguments):
    """Run the command beside the test, whose thread starts nodes; give what waits for its code.

    Ray starts nodes from the main thread alone.
    """
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main.main(["run", *arguments])))
    thread.start()

    def code():
        thread.join()
        return codes[0]

    return code


def test_one_worker_gives_what_the_plain_run_gives(cluster, folder, capsys):
    run, plain = folder / "one", folder / "one-plain"
    arguments = ["--model", "fast", "--epochs", "2"]
    to_cluster = ["--workers", "1", "--ray", cluster.address, "--run-dir", str(run)]
    assert main.main(["run", *SMALL, *arguments, *to_cluster]) == 0
    assert "epoch 2/2" in capsys.readouterr().err
    on_one_core(*arguments, "--run-dir", str(plain))
    assert weights(run) == weights(plain)
    assert history(run) == history(plain)
    assert (run / "metrics.json").read_text() == (plain / "metrics.json").read_text()


def test_a_lost_worker_and_a_lost_node_change_nothing(cluster, folder):
    arguments = [*SMALL, "--model", "fast", "--epochs", "16", "--batch-size", "128",
                 "--workers", "2", "--ray", cluster.address, "--run-dir"]  # fmt: skip
    calm, troubled = folder / "calm", folder / "troubled"
    assert main.main(["run", *arguments, str(calm)]) == 0
    code = beside(*arguments, str(troubled))
    until(lambda: len(checkpoints(troubled)) == 2)
    os.kill(processes_named("ray::RayTrainWorker")[0], signal.SIGKILL)
    first = checkpoints(troubled)[-1]
    until(lambda: checkpoints(troubled)[-1] > first)
    cluster.kill_node()
    assert not (troubled / "metrics.json").exists()
    cluster.add_node()
    assert code() == 0
    assert weights(troubled) == weights(calm)
    assert history(troubled) == history(calm)
    assert (troubled / "metrics.json").read_text() == (calm / "metrics.json").read_text()


def test_seeds_are_the_plain_runs_although_a_worker_and_a_node_are_lost(cluster, folder, capsys):
    runs = folder / "seeds"

    arguments = [*SMALL, "--epochs", "2", "--seeds", "2", "--seed", "3"]
    code = beside(*arguments, "--ray", cluster.address, "--run-dir", str(runs))
    until(lambda: any(checkpoints(runs / f"seed-{seed}") for seed in (3, 4)))
    os.kill(processes_named("ray::run_in_worker")[0], signal.SIGKILL)
    until(lambda: any((runs / f"seed-{seed}" / "history.csv").exists() for seed in (3, 4)))
    cluster.kill_node()
    cluster.add_node()
    assert code() == 0
    shown = capsys.readouterr().out
    record = json.loads((runs / "seeds.json").read_text())
    for k, seed in enumerate((3, 4)):
        plain = folder / f"plain-{seed}"
        on_one_core("--epochs", "2", "--seed", str(seed), "--run-dir", str(plain))
        assert weights(runs / f"seed-{seed}") == weights(plain)
        metrics = json.loads((plain / "metrics.json").read_text())
        assert json.loads((runs / f"seed-{seed}" / "metrics.json").read_text()) == metrics
        assert (
            record["results"]["measures"]["accuracy"]["values"][k] == metrics["accuracy"]["value"]
        )
        assert f"seed {seed:<13} {metrics['accuracy']['value']:.4f}" in shown
    assert record["status"] == "complete"


def test_more_workers_than_processors_are_refused(cluster, folder, capsys):
    run = folder / "many"
    arguments = ["--epochs", "1", "--workers", "5", "--ray", cluster.address]
    assert main.main(["run", *SMALL, *arguments, "--run-dir", str(run)]) == 1
    assert "--workers 5 needs as many processors, and the Ray cluster has" in (
        capsys.readouterr().err
    )


def test_a_folder_that_a_node_does_not_see_is_named(tmp_path):
    with pytest.raises(ApparelError, match="does not see the folder"):
        run_in_worker(lambda: None, tmp_path / "not" / "there", 1)


def test_worker_reads_how_a_run_began(folder, cluster):
    """What Ray's workers do, here: the run that the first test left is at its end."""
    job = {"run": str(folder / "one"), "source": "fashion-mnist", "data_dir": None}
    prepared = training._prepared(job)
    model, splits, *_ = prepared.args
    assert len(splits.training) == 540
    assert model.count_params() > 0
    with pytest.raises(ApparelError, match="does not see the run directory"):
        training._prepared({**job, "run": str(Path(job["run"]) / "nowhere")})
