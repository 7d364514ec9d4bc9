"""Training on several workers, each a process of its own, against training alone."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from apparel.core.errors import UsageError
from apparel.training import distributed
from apparel.training.distributed import Worker
from tests.training import distributed_worker


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


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
def test_all_workers_have_the_same_weights_and_metrics_bit_for_bit(found):
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_array_equal(other[name], value, err_msg=name)


@pytest.mark.slow
def test_weights_and_metrics_are_those_of_training_alone(found):
    alone = distributed_worker.compiled(distributed_worker.model(normalised=False))
    metrics = distributed_worker.trained(alone)
    for i, weights in enumerate(alone.get_weights()):
        np.testing.assert_allclose(found[0][f"plain_{i}"], weights, atol=2e-6)
    np.testing.assert_allclose(found[0]["metrics"], metrics, rtol=1e-5)


@pytest.mark.slow
def test_moving_averages_are_the_mean_over_the_shares(found):
    images = distributed_worker.data()[0][: distributed_worker.BATCH]
    shares = images[:2], images[2:5], images[5:]  # 8 images by 3 workers
    mean = sum(len(share) / 8 * share.mean() for share in shares)
    variance = sum(len(share) / 8 * share.var() for share in shares)
    # Keras begins with a mean of 0 and a variance of 1; half of it stays.
    expected = [mean / 2, 0.5 + variance / 2]
    np.testing.assert_allclose(found[0]["moving"], expected, rtol=1e-5)


@pytest.mark.slow
def test_losses_of_single_images_are_those_of_the_whole_batch(found):
    images = distributed_worker.data()[0][: distributed_worker.BATCH]
    labels = distributed_worker.data()[1][: distributed_worker.BATCH]
    network = distributed_worker.model(normalised=False)
    expected = []
    for share in (slice(0, 2), slice(2, 5), slice(5, 8)):  # statistics are those of a share
        pixels = images[share]
        normal = (pixels - pixels.mean()) / np.sqrt(pixels.var() + 1e-3)
        probabilities = network(normal).numpy()
        expected.append(-np.log(probabilities[labels[share] == 1]))
    np.testing.assert_allclose(found[0]["losses"], np.concatenate(expected), rtol=1e-4)


@pytest.mark.slow
def test_workers_agree_if_all_do_and_know_the_steps_of_the_first(found):
    assert found[0]["agreed"].tolist() == [True, False]
    assert int(found[0]["steps"]) == 123_456_789


def test_a_single_worker_sums_nothing():
    alone = Worker(0, 1)
    assert alone.sum("anything", 1) == "anything"
    assert distributed.all_agree(alone, True)
    assert not distributed.all_agree(alone, False)


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
