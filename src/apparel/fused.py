"""TensorFlow's fused kernels where Keras composes the same function from many operations.

Each class computes what its Keras parent does, has the same variables under the same names, and
differs only in how often the data pass through memory. For training on TensorFlow; nothing here
is ever saved.
"""

from typing import Any

from apparel import backend

BYTE = 256


def batch_normalization() -> Any:
    """`keras.layers.BatchNormalization` with TensorFlow's fused kernel, which takes bfloat16.

    Returns:
        The class. The layer normalises the last axis of four.
    """
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    keras = backend.load_keras()
    kernel = tf.compat.v1.nn.fused_batch_norm

    class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Normalises in one pass each way."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002  # Keras's signature
            mean, variance = self.moving_mean.value, self.moving_variance.value
            scale = self.gamma.value if self.scale else tf.ones_like(mean)
            offset = self.beta.value if self.center else tf.zeros_like(mean)
            if not training:
                return kernel(
                    inputs, scale, offset, mean, variance, self.epsilon, is_training=False
                )[0]
            outputs, mean, variance = kernel(inputs, scale, offset, epsilon=self.epsilon)
            # The kernel gives the unbiased variance; Keras keeps the biased one.
            count = tf.cast(tf.size(inputs) / tf.size(mean), tf.float32)
            self._keep(self.moving_mean, mean)
            self._keep(self.moving_variance, variance * (count - 1) / count)
            return outputs

        def _keep(self, moving: Any, value: Any) -> None:
            moving.assign(moving.value * self.momentum + value * (1 - self.momentum))

    return FusedBatchNormalization


def dropout() -> Any:
    """`keras.layers.Dropout` that draws a byte for each value where Keras draws a float.

    The chance of dropping is a whole number of 256ths, so a rate such as 0.25 is met exactly.
    Other values are dropped than Keras would, as with another seed.

    Returns:
        The class.
    """
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    keras = backend.load_keras()

    class ByteDropout(keras.layers.Dropout):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Drops values in training, and scales up the others."""

        def call(self, inputs: Any, training: bool = False) -> Any:
            dropped = round(self.rate * BYTE)
            if not training or not dropped:
                return inputs
            count = tf.size(inputs)
            words = tf.random.stateless_uniform(
                [(count + 3) // 4], self.seed_generator.next(), None, None, tf.uint32
            )
            draws = tf.reshape(
                tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:count], tf.shape(inputs)
            )
            kept = tf.cast(draws >= dropped, inputs.dtype)
            return inputs * kept * (BYTE / (BYTE - dropped))

    return ByteDropout


def adam() -> Any:
    """`keras.optimizers.Adam` with TensorFlow's fused update, one pass instead of a dozen.

    Returns:
        The class.
    """
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    keras = backend.load_keras()

    class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Adam in one pass."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            step = tf.cast(self.iterations.value + 1, tf.float32)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                beta1_power=tf.pow(self.beta_1, step),
                beta2_power=tf.pow(self.beta_2, step),
                lr=tf.cast(learning_rate, tf.float32),
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=tf.cast(gradient, tf.float32),
            )

    return FusedAdam
