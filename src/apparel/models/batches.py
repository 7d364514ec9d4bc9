"""Batches for Keras, without two faults that Keras's own have on TensorFlow.

Keras lets tf.data tune its datasets, in a thread that wakes up after 10 ms, 20 ms, 40 ms and so
on. Where an epoch ends, TensorFlow 2.21 wakes the thread before it has noted that all is over
(`CancellationManager::StartCancelWithStatus`), so that the thread often goes back to sleep
(`Model::OptimizeLoop`): the epoch then waits for the next waking, up to as long again as it has
lasted, with idle processors. Without tuning there is no such thread.

Nor is the order left to Keras 3.15, whose shuffle starts anew from the seed in every epoch once
`keras.utils.set_random_seed` was called, and so gives the same order in each.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.image_array import StoredImages

# Batches that are ready before they are needed, and how many bytes they may have together; one is
# always ready.
AHEAD, AHEAD_BYTES = 4, 1 << 26


def batched(*arrays: NDArray[Any] | StoredImages, batch_size: int) -> Any:
    """Cut arrays into batches, in order, for any number of passes.

    Args:
        arrays: all of n rows: images, or images and labels.
        batch_size: rows of a batch; the last one may have fewer.

    Returns:
        A dataset for Keras's `evaluate`, `predict` and `fit`'s `validation_data`.
    """
    if not backend.on_tensorflow():
        return _keras_dataset(arrays, batch_size)
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    batch_bytes = batch_size * sum(
        math.prod(array.shape[1:]) * array.dtype.itemsize for array in arrays
    )
    # A tuple of one array would be one of several inputs.
    rows = arrays if len(arrays) > 1 else arrays[0]
    if not any(isinstance(array, StoredImages) for array in arrays):
        return _prefetching(tf.data.Dataset.from_tensor_slices(rows).batch(batch_size), batch_bytes)
    parts = [slice(i, i + batch_size) for i in range(0, len(arrays[0]), batch_size)]
    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in arrays)

    def read() -> Iterator[Any]:
        for part in parts:
            batch = tuple(array[part] for array in arrays)
            yield batch if len(arrays) > 1 else batch[0]

    stored = tf.data.Dataset.from_generator(
        read, output_signature=signature if len(arrays) > 1 else signature[0]
    )
    counted = stored.apply(tf.data.experimental.assert_cardinality(len(parts)))
    return _prefetching(counted, batch_bytes)


def prefetched(batches: Iterator[tuple[NDArray[Any], ...]]) -> Any:
    """Draw batches in a thread beside the steps that they are for.

    Args:
        batches: without end, or until training has ended; tuples of arrays that keep their
            shapes, but for the number of rows.

    Returns:
        A dataset for Keras's `fit`, with `steps_per_epoch`.
    """
    if not backend.on_tensorflow():
        return (batch for batch in batches)
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    first = next(batches)
    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in first)
    again = chain([first], batches)
    dataset = tf.data.Dataset.from_generator(lambda: again, output_signature=signature)
    return _prefetching(dataset, sum(array.nbytes for array in first))


def _prefetching(dataset: Any, batch_bytes: int) -> Any:
    """A dataset that prefetches a few batches and has no tuning thread."""
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    options = tf.data.Options()
    options.autotune.enabled = False
    ahead = min(max(AHEAD_BYTES // max(batch_bytes, 1), 1), AHEAD)
    return dataset.prefetch(ahead).with_options(options)


def _keras_dataset(arrays: tuple[NDArray[Any] | StoredImages, ...], batch_size: int) -> Any:
    """The batches as a dataset of Keras's own, for other backends than TensorFlow."""
    keras = backend.load_keras()

    class Slices(keras.utils.PyDataset):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Consecutive rows."""

        def __len__(self) -> int:
            return math.ceil(len(arrays[0]) / batch_size)

        def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
            rows = slice(index * batch_size, (index + 1) * batch_size)
            return tuple(array[rows] for array in arrays)

    return Slices()
