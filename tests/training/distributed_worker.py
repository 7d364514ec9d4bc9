"""One of several workers of `test_distributed`.

Usage: `python -m tests.training.distributed_worker RANK SIZE FILE`.

Trains a model without randomness, and writes its weights and metrics to a file.
"""

import sys

import numpy as np

from apparel.core import backend
from apparel.training import distributed, infobatch

BATCH, CLASSES = 8, 3


def data():
    """27 images: the last batch has 3, and of the second half one image more than of the first."""
    random = np.random.default_rng(0)
    images = random.random((27, 4, 4, 1), dtype=np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, 27)]
    return images, labels, random.random(27).astype(np.float32) + 0.5


def model(*, normalised):
    """A network of two dense layers, after batch normalisation if asked."""
    keras = backend.load_keras()
    keras.utils.set_random_seed(1)
    inner = [keras.layers.BatchNormalization(momentum=0.5)] if normalised else []
    return keras.Sequential(
        [keras.Input((4, 4, 1)), *inner, keras.layers.Flatten(), keras.layers.Dense(5, "relu"),
         keras.layers.Dense(CLASSES, "softmax")]
    )  # fmt: skip


def compiled(network):
    """Compile with an optimiser whose steps depend on the gradient alone."""
    keras = backend.load_keras()
    network.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", metrics=["accuracy"])
    return network


def trained(network):
    """Train for two epochs; gives the metrics of both, and of a test."""
    images, labels, weights = data()
    history = network.fit(
        images, labels, sample_weight=weights, batch_size=BATCH, epochs=2, shuffle=False, verbose=0
    )
    tested = network.evaluate(images, labels, batch_size=BATCH, verbose=0)
    return np.array([*history.history["loss"], *history.history["accuracy"], *tested])


def main():
    """Train as the worker that the arguments name."""
    rank, size = int(sys.argv[1]), int(sys.argv[2])
    worker = distributed.join(rank, size)
    agreed = [distributed.all_agree(worker, True), distributed.all_agree(worker, rank == 0)]
    steps = distributed.steps_of_first(worker, 123_456_789 if rank == 0 else 5)
    plain = compiled(distributed.parallel_model(model(normalised=False), worker, BATCH))
    metrics = trained(plain)
    keras = backend.load_keras()
    source = model(normalised=True)
    functional = keras.Model(source.inputs, source.outputs)
    normalised = infobatch.recording(
        distributed.parallel_model(functional, worker, BATCH), BATCH, label_smoothing=0.0
    )
    compiled(normalised)
    images, labels, _ = data()
    normalised.fit(images[:BATCH], labels[:BATCH], batch_size=BATCH, shuffle=False, verbose=0)
    statistics = source.layers[0]
    np.savez(
        sys.argv[3],
        agreed=agreed,
        steps=steps,
        metrics=metrics,
        losses=np.array(normalised.step_losses),
        moving=np.array([statistics.moving_mean[0], statistics.moving_variance[0]]),
        **{f"plain_{i}": w for i, w in enumerate(plain.get_weights())},
    )


if __name__ == "__main__":
    main()
