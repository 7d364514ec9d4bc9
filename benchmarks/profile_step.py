"""The time of each operation in a training step of the small CNN, batch 128.

    python -m benchmarks.profile_step

Prints a table of milliseconds in float32 and bfloat16, the median of 25 calls. In the step itself
TensorFlow overlaps some of them, so the sum is an upper bound.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from apparel.core import backend

N = 128
Operation = Callable[[], Any]


def operations(tf: Any, keras: Any, fused_layers: Any, dtype: Any) -> dict[str, Operation]:
    """The operations of a step, each with its arguments."""

    def draw(*shape: int) -> Any:
        return tf.cast(tf.random.normal(shape), dtype)

    images, first, second, pooled = (
        draw(N, 28, 28, 1),
        draw(N, 26, 26, 32),
        draw(N, 24, 24, 64),
        draw(N, 12, 12, 64),
    )
    kernel1, kernel2 = draw(3, 3, 1, 32), draw(3, 3, 32, 64)
    flat, weights, hidden = draw(N, 9216), draw(9216, 128), draw(N, 128)
    keras_dropout = keras.layers.Dropout(0.25, dtype=dtype.name)
    byte_dropout = fused_layers.ByteDropout(0.25, dtype=dtype.name)
    adam = [tf.Variable(tf.zeros((9216, 128))) for _ in range(3)]

    def filter_gradient(x: Any, g: Any, kernel: Any) -> Any:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel.shape, out_backprop=g, strides=[1] * 4, padding="VALID"
        )

    def pool_both_ways() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(second)
            y = tf.nn.max_pool2d(second, 2, 2, "VALID")
        return tape.gradient(y, second, output_gradients=y)

    def adam_update() -> Any:
        tf.raw_ops.ResourceApplyAdam(
            var=adam[0].handle, m=adam[1].handle, v=adam[2].handle, beta1_power=0.9,
            beta2_power=0.999, lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-7,
            grad=tf.cast(weights, tf.float32),
        )  # fmt: skip
        return adam[0]

    return {
        "first convolution": lambda: tf.nn.conv2d(images, kernel1, 1, "VALID"),
        "first convolution, kernel's gradient": lambda: filter_gradient(images, first, kernel1),
        "bias and ReLU, 26 x 26 x 32": lambda: tf.nn.relu(tf.nn.bias_add(first, first[0, 0, 0])),
        "ReLU's gradient, 26 x 26 x 32": lambda: tf.raw_ops.ReluGrad(
            gradients=first, features=first
        ),
        "bias's gradient, 26 x 26 x 32": lambda: tf.raw_ops.BiasAddGrad(out_backprop=first),
        "second convolution": lambda: tf.nn.conv2d(first, kernel2, 1, "VALID"),
        "second convolution, kernel's gradient": lambda: filter_gradient(first, second, kernel2),
        "second convolution, input's gradient": lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=first.shape,
            filter=kernel2,
            out_backprop=second,
            strides=[1] * 4,
            padding="VALID",
        ),
        "bias and ReLU before pooling, 24 x 24 x 64": lambda: tf.nn.relu(
            tf.nn.bias_add(second, second[0, 0, 0])
        ),
        "their gradients": lambda: tf.raw_ops.BiasAddGrad(
            out_backprop=tf.raw_ops.ReluGrad(gradients=second, features=second)
        ),
        "max pooling, both ways": pool_both_ways,
        "bias and ReLU after pooling, 12 x 12 x 64": lambda: tf.nn.relu(
            tf.nn.bias_add(pooled, pooled[0, 0, 0])
        ),
        "their gradients, after pooling": lambda: tf.raw_ops.BiasAddGrad(
            out_backprop=tf.raw_ops.ReluGrad(gradients=pooled, features=pooled)
        ),
        "dropout, Keras's": lambda: keras_dropout(pooled, training=True),
        "dropout, by bytes": lambda: byte_dropout(pooled, training=True),
        "large dense layer": lambda: tf.matmul(flat, weights),
        "large dense layer, both gradients": lambda: (
            tf.matmul(flat, hidden, transpose_a=True)[0, 0]
            + tf.matmul(hidden, weights, transpose_b=True)[0, 0]
        ),
        "Adam for its weights, fused": adam_update,
    }


def milliseconds(tf: Any, operation: Operation) -> float:
    """Median time of a call; its result is used, so that nothing is optimised away."""
    graph = tf.function(lambda: tf.reshape(operation(), [-1])[0])
    times = []
    for _ in range(26):
        start = time.perf_counter()
        graph().numpy()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    keras = backend.load_keras()
    import tensorflow as tf  # noqa: PLC0415  # after Keras's quiet import

    from apparel.training import fused_layers  # noqa: PLC0415  # as above

    backend.seed_everything(0)
    columns = [operations(tf, keras, fused_layers, d) for d in (tf.float32, tf.bfloat16)]
    print("| operation | float32 | bfloat16 |\n|---|---|---|")
    for name in columns[0]:
        single, half = (milliseconds(tf, column[name]) for column in columns)
        print(f"| {name} | {single:.2f} | {half:.2f} |", flush=True)


if __name__ == "__main__":
    main()
