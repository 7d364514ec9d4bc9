"""Training on several workers at once, each of which takes its share of every batch.

All workers draw the same batches and hold the same weights. Each computes the gradients of its
share; their sum, weighted by the size of the shares, is the gradient of the whole batch
(synchronous data parallelism). The probabilities of all workers are gathered as well, so that loss,
metrics and the losses of single images are those of the whole batch on every worker: the state of
one is the state of all.

Two things differ from training with one worker: batch statistics are those of a share, and their
moving averages the mean over all; and floating-point sums are taken in another order.

TensorFlow's collective operations exchange the numbers: one sum per step for all of them.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

from apparel.core import backend
from apparel.core.errors import UsageError

keras = backend.load_keras()
if backend.on_tensorflow():
    import tensorflow as tf

# For TensorFlow's collective operations: each kind of sum has a number, and always one shape.
# TensorFlow's own strategies count theirs from 1.
_GROUP, _STEPS, _AGREEMENT = 7_000, 7_001, 7_002
_models = count(7_010, 2)  # two kinds for each model; workers make the same ones, in order


@dataclass(frozen=True)
class Worker:
    """One of several workers.

    Attributes:
        rank: its number, from 0; worker 0 writes checkpoints.
        size: number of workers.
    """

    rank: int
    size: int

    def sum(self, values: Any, kind: int) -> Any:
        """Add up the values of all workers.

        Args:
            values: a float32 tensor, always of the same shape for one kind.
            kind: a number, the same on all workers.

        Returns:
            The same on every worker, bit for bit.
        """
        if self.size == 1:
            return values
        return tf.raw_ops.CollectiveReduceV2(
            input=values,
            group_size=self.size,
            group_key=_GROUP,
            instance_key=kind,
            ordering_token=[],
            merge_op="Add",
            final_op="Id",
            communication_hint="ring",
        )


def join(rank: int, size: int) -> Worker:
    """Make this process one of several workers, which TF_CONFIG names.

    To be called before TensorFlow computes anything.

    Raises:
        UsageError: the backend is not TensorFlow.
    """
    if not backend.on_tensorflow():
        raise UsageError(
            "training on several workers needs the backend tensorflow. Leave KERAS_BACKEND out, "
            "or --workers."
        )
    if size > 1:
        # Starts the server of this process for collective operations, and watches the others.
        tf.distribute.MultiWorkerMirroredStrategy()
    return Worker(rank, size)


def steps_of_first(worker: Worker, steps: int) -> int:
    """Give the number of steps that worker 0 has done; waits until all workers ask."""
    # In two halves, each of which float32 holds exactly.
    halves = divmod(steps if worker.rank == 0 else 0, 1 << 20)
    high, low = worker.sum(tf.constant(halves, tf.float32), _STEPS).numpy()
    return (int(high) << 20) + int(low)


def all_agree(worker: Worker, agrees: bool) -> bool:
    """Tell whether all workers agree; waits until all have answered."""
    total = worker.sum(tf.constant([float(agrees)]), _AGREEMENT)
    return bool(total.numpy()[0] == worker.size)


def parallel_model(model: Any, worker: Worker, batch_size: int) -> Any:
    """Make a model that computes its share of each batch, and knows the results of the others.

    Args:
        model: a built `keras.Model` with one input, whose outputs are probabilities in float32.
        worker: this one.
        batch_size: of the largest batch.

    Returns:
        A `keras.Model` of the same layers.
    """
    training = next(_models)
    testing = training + 1

    class Parallel(type(model)):  # type: ignore[misc]  # Keras publishes no types
        """Trains and tests together with others."""

        def train_step(self, data: Any) -> Any:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            start, stop, weight = _share(x, worker)
            with tf.GradientTape() as tape:
                found = self(x[start:stop], training=True)
                # Not that of a subclass, which needs whole batches.
                loss = weight * super().compute_loss(
                    y=y[start:stop],
                    y_pred=found,
                    sample_weight=None if sample_weight is None else sample_weight[start:stop],
                )
            gradients = tape.gradient(loss, self.trainable_weights)
            averages = self._moving_averages()
            rows = _in_place(found, start, weight, batch_size)
            summed = _summed_together(
                [*gradients, *(weight * v.value for v in averages), rows], worker, training
            )
            self.optimizer.apply(summed[: len(gradients)], self.trainable_weights)
            for variable, mean in zip(averages, summed[len(gradients) : -1], strict=True):
                variable.assign(mean)
            return self._metrics_of(x, y, summed[-1], sample_weight, is_training=True)

        def test_step(self, data: Any) -> Any:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            start, stop, weight = _share(x, worker)
            found = self(x[start:stop], training=False)
            rows = worker.sum(_in_place(found, start, weight, batch_size), testing)
            return self._metrics_of(x, y, rows, sample_weight, is_training=False)

        def _metrics_of(
            self, x: Any, y: Any, rows: Any, sample_weight: Any, *, is_training: bool
        ) -> Any:
            """Loss and metrics of a whole batch, whose probabilities come first in `rows`."""
            n = tf.shape(x)[0]
            y_pred = rows[:n]
            loss = self.compute_loss(x, y, y_pred, sample_weight, is_training)
            self.metrics[0].update_state(loss, sample_weight=n)
            return self.compute_metrics(x, y, y_pred, sample_weight)

        def _moving_averages(self) -> list[Any]:
            """The statistics that layers keep of earlier batches."""
            normalization = keras.layers.BatchNormalization
            layers = [layer for layer in self.layers if isinstance(layer, normalization)]
            return [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]

    if isinstance(model, keras.Sequential):
        return Parallel([keras.Input(model.input_shape[1:]), *model.layers], name=model.name)
    return Parallel(inputs=model.inputs, outputs=model.outputs, name=model.name)


def _share(batch: Any, worker: Worker) -> tuple[Any, Any, Any]:
    """Start, end and weight, 0 to 1, of the share that a worker has of a batch."""
    n = tf.shape(batch)[0]
    start, stop = n * worker.rank // worker.size, n * (worker.rank + 1) // worker.size
    weight = tf.cast(stop - start, tf.float32) / tf.cast(n, tf.float32)
    # Of a batch that is too small for all, some compute an image that does not count.
    return start, tf.maximum(stop, start + 1), weight


def _in_place(rows: Any, start: Any, weight: Any, batch_size: int) -> Any:
    """The rows of a share among zeros for the other shares; the sum of all has every row."""
    counted = tf.where(weight > 0, rows, tf.zeros_like(rows))
    after = batch_size - start - tf.shape(rows)[0]
    return tf.pad(counted, [[start, after], [0, 0]])


def _summed_together(tensors: list[Any], worker: Worker, kind: int) -> list[Any]:
    """Add up several tensors over all workers, at once."""
    flat = worker.sum(tf.concat([tf.reshape(t, [-1]) for t in tensors], 0), kind)
    parts = tf.split(flat, [tf.size(t) for t in tensors], num=len(tensors))
    return [tf.reshape(part, tf.shape(t)) for part, t in zip(parts, tensors, strict=True)]
