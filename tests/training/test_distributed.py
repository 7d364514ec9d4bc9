"""Training on several workers, each a process of its own, against training alone."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest

from apparel.core.errors import UsageError
from apparel.training import distributed
from apparel.training.distributed import Worker
from tests.training import distributed_worker


def free_ports(count):
    with ExitStack() as stack:
        made = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        return [stack.enter_context(each).getsockname()[1] for each in made]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results of each of three workers."""
    folder = tmp_path_factory.mktemp("workers")
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    workers = []
    for rank in range(3):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        workers.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.training.distributed_worker", str(rank), "3",
                 str(folder / f"{rank}.npz")],
                env={**os.environ, "TF_CONFIG": json.dumps(task), "TF_NUM_INTRAOP_THREADS": "1"},
                stderr=subprocess.PIPE,
            )
        )  # fmt: skip
    errors = [worker.communicate(timeout=180)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], errors
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(3)]


@pytest.mark.slow
def test_all_workers_have_the_same_weights_and_metrics_as_training_alone(found):
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_array_equal(other[name], value, err_msg=name)
    alone = distributed_worker.compiled(distributed_worker.model(normalised=False))
    metrics = distributed_worker.trained(alone)
    for i, weights in enumerate(alone.get_weights()):
        np.testing.assert_allclose(found[0][f"plain_{i}"], weights, atol=2e-6)
    np.testing.assert_allclose(found[0]["metrics"], metrics, rtol=1e-5)
    assert found[0]["agreed"].tolist() == [True, False]
    assert int(found[0]["steps"]) == 123_456_789


@pytest.mark.slow
def test_batch_statistics_are_those_of_a_share_and_losses_those_of_the_whole_batch(found):
    images, labels, _ = distributed_worker.data()
    shares = [slice(0, 2), slice(2, 5), slice(5, 8)]  # 8 images by 3 workers
    network = distributed_worker.model(normalised=False)
    mean = variance = 0
    losses = []
    for share in shares:
        pixels = images[share]
        mean += len(pixels) / 8 * pixels.mean()
        variance += len(pixels) / 8 * pixels.var()
        normal = (pixels - pixels.mean()) / np.sqrt(pixels.var() + 1e-3)
        losses.append(-np.log(network(normal).numpy()[labels[share] == 1]))
    # Keras begins with a mean of 0 and a variance of 1; half of it stays.
    np.testing.assert_allclose(found[0]["moving"], [mean / 2, 0.5 + variance / 2], rtol=1e-5)
    np.testing.assert_allclose(found[0]["losses"], np.concatenate(losses), rtol=1e-4)


def test_a_single_worker_trains_as_without_workers():
    alone, shared = (distributed_worker.model(normalised=False) for _ in range(2))
    shared = distributed.parallel_model(shared, Worker(0, 1), distributed_worker.BATCH)
    metrics = [
        distributed_worker.trained(distributed_worker.compiled(model)) for model in (alone, shared)
    ]
    np.testing.assert_allclose(metrics[1], metrics[0], rtol=1e-5)
    for one, other in zip(shared.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(distributed.backend, "on_tensorflow", lambda: False)
    with pytest.raises(UsageError, match="needs the backend tensorflow"):
        distributed.join(0, 2)
