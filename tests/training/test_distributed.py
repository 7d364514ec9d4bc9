"""Training on several workers, each a process of its own, against training alone."""

import json
import os
import socket
from contextlib import ExitStack
from multiprocessing import get_context

import numpy as np
import pytest

from apparel.core import backend
from apparel.core.errors import UsageError
from apparel.training import distributed, infobatch
from apparel.training.distributed import Worker

keras = backend.load_keras()
BATCH, CLASSES = 8, 3


def data():
    """27 images: the last batch has 3, and of the second half one image more than of the first."""
    random = np.random.default_rng(0)
    images = random.random((27, 4, 4, 1), dtype=np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, 27)]
    return images, labels, random.random(27).astype(np.float32) + 0.5


def model(*, normalised):
    """A network of two dense layers, after batch normalisation if asked."""
    keras.utils.set_random_seed(1)
    inner = [keras.layers.BatchNormalization(momentum=0.5)] if normalised else []
    return keras.Sequential(
        [keras.Input((4, 4, 1)), *inner, keras.layers.Flatten(), keras.layers.Dense(5, "relu"),
         keras.layers.Dense(CLASSES, "softmax")]
    )  # fmt: skip


def compiled(network):
    """Compile with an optimiser whose steps depend on the gradient alone."""
    network.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", metrics=["accuracy"])
    return network


def trained(network):
    """Train for two epochs; gives the metrics of both, of a test, and the weights."""
    images, labels, weights = data()
    history = compiled(network).fit(
        images, labels, sample_weight=weights, batch_size=BATCH, epochs=2, shuffle=False, verbose=0
    )
    tested = network.evaluate(images, labels, batch_size=BATCH, verbose=0)
    metrics = np.array([*history.history["loss"], *history.history["accuracy"], *tested])
    return metrics, network.get_weights()


def work(addresses, rank, results):
    """Train as one of several workers, and put the results into a queue."""
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
    os.environ |= {"TF_CONFIG": json.dumps(task), "TF_NUM_INTRAOP_THREADS": "1"}
    worker = distributed.join(rank, len(addresses))
    agreed = [distributed.all_agree(worker, True), distributed.all_agree(worker, rank == 0)]
    steps = distributed.steps_of_first(worker, 123_456_789 if rank == 0 else 5)
    metrics, weights = trained(distributed.parallel_model(model(normalised=False), worker, BATCH))
    source = model(normalised=True)
    functional = keras.Model(source.inputs, source.outputs)
    normalised = infobatch.recording(
        distributed.parallel_model(functional, worker, BATCH), BATCH, label_smoothing=0.0
    )
    images, labels, _ = data()
    compiled(normalised).fit(
        images[:BATCH], labels[:BATCH], batch_size=BATCH, shuffle=False, verbose=0
    )
    statistics = source.layers[0]
    moving = [float(statistics.moving_mean[0]), float(statistics.moving_variance[0])]
    losses = np.array(normalised.step_losses)
    results.put((agreed, steps, moving, losses, metrics, *weights))


@pytest.mark.slow
def test_workers_train_as_one_and_all_have_the_same_results_bit_for_bit():
    with ExitStack() as stack:
        made = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [stack.enter_context(each).getsockname()[1] for each in made]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    context = get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=work, args=(addresses, rank, results)) for rank in range(3)]
    try:
        for worker in workers:
            worker.start()
        found, *others = [results.get(timeout=180) for _ in workers]
    finally:
        for worker in workers:
            worker.kill()
    for other in others:
        np.testing.assert_equal(other, found)
    agreed, steps, moving, losses, metrics, *weights = found
    assert (agreed, steps) == ([True, False], 123_456_789)
    alone_metrics, alone_weights = trained(model(normalised=False))
    np.testing.assert_allclose(metrics, alone_metrics, rtol=1e-5)
    for one, other in zip(weights, alone_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)

    # Batch statistics are those of a share, of 8 images by 3 workers.
    images, labels, _ = data()
    network = model(normalised=False)
    mean = variance = 0
    expected = []
    for share in (slice(0, 2), slice(2, 5), slice(5, 8)):
        pixels = images[share]
        mean += len(pixels) / 8 * pixels.mean()
        variance += len(pixels) / 8 * pixels.var()
        normal = (pixels - pixels.mean()) / np.sqrt(pixels.var() + 1e-3)
        expected.append(-np.log(network(normal).numpy()[labels[share] == 1]))
    # Keras begins with a mean of 0 and a variance of 1; half of it stays.
    np.testing.assert_allclose(moving, [mean / 2, 0.5 + variance / 2], rtol=1e-5)
    np.testing.assert_allclose(losses, np.concatenate(expected), rtol=1e-4)


def test_a_single_worker_trains_as_without_workers():
    metrics, weights = trained(model(normalised=False))
    shared = distributed.parallel_model(model(normalised=False), Worker(0, 1), BATCH)
    shared_metrics, shared_weights = trained(shared)
    np.testing.assert_allclose(shared_metrics, metrics, rtol=1e-5)
    for one, other in zip(shared_weights, weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(distributed.backend, "on_tensorflow", lambda: False)
    with pytest.raises(UsageError, match="needs the backend tensorflow"):
        distributed.join(0, 2)
