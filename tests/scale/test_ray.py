"""Every command on a real Ray cluster of two nodes: the same results, whatever is lost on the way.

All tests of Ray are in this file, so that one process starts one cluster for them.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from apparel.classifier import ApparelClassifier
from apparel.cli import main
from apparel.core.atomic_files import PARTIAL
from apparel.core.errors import ApparelError
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.inputs import shards
from apparel.runs.run_directory import RunDirectory
from apparel.scale import training
from apparel.scale import tuning as on_ray
from apparel.scale.cluster import connected, load_ray
from apparel.training.tuning.search import open_study
from apparel.training.tuning.space import DEFAULT
from apparel.training.tuning.trial import trial_images
from tests.scale.images import encoded, plain_rows, rows_of, write_table
from tests.scale.test_cluster_docs import FILES
from tests.training import trials
from tests.training.trials import POOR, Counting, MadeUp, log

pytestmark = [
    pytest.mark.ray,
    # Ray's parts warn of each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

# float32, as which format is faster is measured.
SMALL = ["--limit", "600", "--dtype", "float32", "--model", "fast"]


class TwoNodes:
    """A real cluster on this machine, of two nodes with one core each.

    Attributes:
        address: of the head, as `--ray` takes it.
    """

    def __init__(self):
        from ray.cluster_utils import Cluster  # noqa: PLC0415  # an extra

        self._node = {"num_cpus": 1, "object_store_memory": 150 << 20, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=self._node)
        self._other = self._cluster.add_node(**self._node)
        self._cluster.wait_for_nodes()
        self.address = self._cluster.address

    def replace_node(self):
        """End the node that is not the head, at once, with all that runs there; bring another."""
        self._cluster.remove_node(self._other, allow_graceful=False)
        self._other = self._cluster.add_node(**self._node)

    def close(self):
        """End all nodes."""
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def two_nodes():
    """The cluster, started once."""
    load_ray()
    for left in (2, 1, 0):
        try:
            nodes = TwoNodes()
            break
        except Exception as error:  # Ray raises no other; it waits 30 s, whatever else is running
            if not left or "timed out during startup" not in str(error):
                raise
    yield nodes
    nodes.close()


def processes_named(start):
    """The ids of the cluster's processes whose command begins like this, oldest first."""
    import psutil  # noqa: PLC0415  # comes with an extra

    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if (process.cmdline() or [""])[0].startswith(start):
                found.append((process.create_time(), process.pid))
    return [pid for _, pid in sorted(found)]


def until(condition, seconds=300.0):
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
    thread = threading.Thread(target=lambda: codes.append(main.main(list(map(str, arguments)))))
    thread.start()

    def code():
        thread.join()
        return codes[0]

    return code


# -- predict ---------------------------------------------------------------------------------


def test_predicting_loses_nothing(two_nodes, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shards, "FILES", 300)
    source = write_table(tmp_path / "t.parquet", encoded(600) * 30, group_rows=300)
    output = tmp_path / "o.parquet"
    code = beside("predict", model, source, "--output", output, "--ray", two_nodes.address)

    def done():
        return {path: path.stat().st_mtime_ns for path in output.glob("part-*")}

    until(lambda: len(done()) >= 2)
    os.kill(until(lambda: processes_named("ray::answer_shard"))[0], signal.SIGKILL)
    until(lambda: len(done()) >= 6)
    stamps = done()
    two_nodes.replace_node()
    assert code() == 3
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert rows_of(output) == plain_rows(model, [source], tmp_path)
    assert not [path for path in output.iterdir() if path.name.endswith(PARTIAL)]
    printed = capsys.readouterr()
    assert f"Written: {output}, 18,000 images in 60 shards\n" in printed.out
    assert "raylet" not in printed.out + printed.err


# -- run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The run directory of the plain command with as many threads as a worker has."""
    run = tmp_path_factory.mktemp("plain") / "run"
    subprocess.run(
        [sys.executable, "-m", "apparel", "run", *SMALL, "--epochs", "2", "--seed", "3",
         "--run-dir", run],
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
        check=True,
        capture_output=True,
    )  # fmt: skip
    return run


def checkpoints(run):
    return sorted(path.name for path in (run / "checkpoints").glob("*.safetensors"))


def trained(run):
    """The weights of a run and its history without the seconds."""
    history = (run / "history.csv").read_text().splitlines()
    record = json.loads((run / "settings.json").read_text())
    return record["weights_sha256"], [line.rpartition(",")[0] for line in history]


def results(run):
    """Everything about a run that its settings decide."""
    return *trained(run), json.loads((run / "metrics.json").read_text())


def test_one_worker_gives_what_the_plain_run_gives(two_nodes, plain, tmp_path, capsys):
    run = tmp_path / "one"
    arguments = [*SMALL, "--epochs", "2", "--seed", "3", "--workers", "1"]
    on = ["--ray", two_nodes.address, "--run-dir", str(run)]
    assert main.main(["run", *arguments, *on]) == 0
    assert "epoch 2/2" in capsys.readouterr().err
    assert results(run) == results(plain)

    # What Ray's workers do, here: the run is at its end.
    model, splits, *_ = training._prepared(run, "fashion-mnist", None).args
    counts = RunDirectory.open(run).settings()["dataset"]["images_per_class"]
    assert len(splits.training) == sum(counts["training"])
    assert model.count_params() > 0


def test_a_lost_worker_and_a_lost_node_change_nothing_in_training(two_nodes, tmp_path, monkeypatch):
    def end(classifier):
        raise ApparelError("what follows is as without a cluster")

    monkeypatch.setattr(ApparelClassifier, "test_model", end)
    arguments = ["run", *SMALL, "--epochs", "20", "--batch-size", "128",
                 "--workers", "2", "--ray", two_nodes.address, "--run-dir"]  # fmt: skip
    calm, troubled = tmp_path / "calm", tmp_path / "troubled"
    assert main.main([*arguments, str(calm)]) == 1
    code = beside(*arguments, troubled)
    until(lambda: len(checkpoints(troubled)) == 2)
    os.kill(processes_named("ray::RayTrainWorker")[0], signal.SIGKILL)
    first = checkpoints(troubled)[-1]
    until(lambda: checkpoints(troubled)[-1] > first)
    assert not (troubled / "history.csv").exists()  # it is not at its end
    two_nodes.replace_node()
    assert code() == 1
    assert trained(troubled) == trained(calm)


def test_seeds_are_the_plain_runs_although_workers_and_a_node_are_lost(
    two_nodes, plain, tmp_path, capsys
):
    runs = tmp_path / "seeds"
    arguments = [*SMALL, "--epochs", "2", "--seeds", "2", "--seed", "3"]
    code = beside("run", *arguments, "--ray", two_nodes.address, "--run-dir", runs)
    until(lambda: checkpoints(runs / "seed-3") or (runs / "seed-3" / "history.csv").exists())
    for pid in processes_named("ray::run_in_worker"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: any((runs / f"seed-{seed}" / "history.csv").exists() for seed in (3, 4)))
    two_nodes.replace_node()
    assert code() == 0
    printed = capsys.readouterr().out
    assert results(runs / "seed-3") == results(plain)
    record = json.loads((runs / "seeds.json").read_text())
    assert record["status"] == "complete"
    accuracies = record["results"]["measures"]["accuracy"]["values"]
    for seed, accuracy in zip((3, 4), accuracies, strict=True):
        metrics = json.loads((runs / f"seed-{seed}" / "metrics.json").read_text())
        assert accuracy == metrics["accuracy"]["value"]
        assert f"seed {seed:<13} {accuracy:.4f}" in printed


# -- tune -------------------------------------------------------------------------------------


def test_a_search_loses_nothing(two_nodes, tmp_path, capsys):
    from ray import cloudpickle  # noqa: PLC0415  # an extra

    cloudpickle.register_pickle_by_value(trials)  # workers need not find that file

    def search():
        with connected(two_nodes.address) as cluster:
            clock = Counting(tmp_path, 7)
            on_ray.search(cluster, seed=3, clock=clock, trials=MadeUp(tmp_path))

    (tmp_path / "hold").touch()
    thread = threading.Thread(target=search)
    thread.start()
    until(lambda: log(tmp_path, "begin"))
    _, killed, _, parameters, pid = log(tmp_path, "begin")[0]
    until((tmp_path / f"state-{killed}").exists)  # within the trial
    os.kill(pid, signal.SIGKILL)
    until(lambda: len([entry for entry in log(tmp_path, "begin") if entry[1] == killed]) == 2)
    two_nodes.replace_node()  # each of the two trials is at a node
    (tmp_path / "hold").unlink()
    thread.join()
    study = open_study(tmp_path)
    assert all(trial.state.is_finished() for trial in study.get_trials())
    ended = [number for _, number, *_ in log(tmp_path, "end")]
    assert sorted(ended) == list(range(7))  # no finished trial is repeated
    first, again, *_ = [entry for entry in log(tmp_path, "begin") if entry[1] == killed]
    assert (first[2], again[2] > 0) == (0, True)  # it goes on where it was
    assert again[3] == parameters
    assert study.trials[0].params == dict(DEFAULT)
    assert study.trials[POOR].state.name == "PRUNED"
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert all(line.startswith("trial ") for line in lines)
    assert sorted(int(line.split()[1][:-1]) for line in lines) == list(range(7))


def test_real_images_reach_a_worker_that_measures(two_nodes):
    settings = Settings(budget=300.0, limit=200)
    dataset = loading.load("fashion-mnist", **settings.of_data)
    images = trial_images(dataset, settings, source="fashion-mnist", data_dir=None)
    with connected(two_nodes.address) as cluster:
        plan = on_ray.plan(cluster, images, settings)
    assert plan.passes > 0


# -- files for clusters -----------------------------------------------------------------------


def test_the_cluster_file_of_the_docs_is_one_that_ray_takes():
    from ray.autoscaler._private.util import prepare_config, validate_config  # noqa: PLC0415

    cluster = FILES[0]
    validate_config(prepare_config(cluster))
    assert cluster["available_node_types"]["head"]["resources"] == {"CPU": 0}
