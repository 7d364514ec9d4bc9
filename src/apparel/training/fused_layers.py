"""Faster forms of Keras layers and optimisers on TensorFlow.

Each class computes what its Keras parent does, has the same variables under the same names, and
differs only in how the data pass through memory. For training on TensorFlow; nothing here
is ever saved. Import this module once `backend.load_keras` has configured TensorFlow.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

BYTE = 256
# The largest width of images for which oneDNN's own gradient of a kernel is slow in bfloat16.
SMALL_WIDTH = 7
# Pixels of a row that oneDNN's kernel gradient for AMX processes at once, however short the row is.
AMX_ROW = 32
# Parts of a batch, so that the images of each fit the processor's cache.
PARTS = 4


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras publishes no types
    """Batch normalisation with TensorFlow's fused kernel, which takes bfloat16.

    One pass in each direction. It normalises the last axis of four.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """See `keras.layers.BatchNormalization`."""
        kernel = tf.compat.v1.nn.fused_batch_norm
        mean, variance = self.moving_mean.value, self.moving_variance.value
        scale = self.gamma.value if self.scale else tf.ones_like(mean)
        offset = self.beta.value if self.center else tf.zeros_like(mean)
        if not training:
            return kernel(inputs, scale, offset, mean, variance, self.epsilon, is_training=False)[0]
        outputs, mean, variance = kernel(inputs, scale, offset, epsilon=self.epsilon)
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        count = tf.cast(tf.size(inputs) / tf.size(mean), tf.float32)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * (count - 1) / count)
        return outputs

    def _move(self, moving: Any, value: Any) -> None:
        moving.assign(moving.value * self.momentum + value * (1 - self.momentum))


class ByteDropout(keras.layers.Dropout):  # type: ignore[misc]  # Keras publishes no types
    """Dropout that draws a byte for each value where Keras draws a float.

    The probability of dropping is a multiple of 1/256, so a rate such as 0.25 is met exactly.
    Other values are dropped than Keras would drop, as with another seed.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """See `keras.layers.Dropout`."""
        dropped = round(self.rate * BYTE)
        if not training or not dropped:
            return inputs
        count = tf.size(inputs)
        words = tf.random.stateless_uniform(
            [(count + 3) // 4], self.seed_generator.next(), None, None, tf.uint32
        )
        draws = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:count], tf.shape(inputs))
        kept = tf.cast(draws >= dropped, inputs.dtype)
        return inputs * kept * (BYTE / (BYTE - dropped))


class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras publishes no types
    """Adam with TensorFlow's fused update, one pass instead of a dozen."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """See `keras.optimizers.Adam`."""
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


def _with_kernel_gradient(kernel_gradient: Callable[[Any, Any], Any]) -> Any:
    """A 3 x 3 convolution whose kernel has its gradient from a function of inputs and upstream."""
    same = {"strides": [1, 1, 1, 1], "padding": "SAME"}

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow publishes no types
    def convolve(images: Any, kernel: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            back = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(images), filter=kernel, out_backprop=upstream, **same
            )
            return back, kernel_gradient(images, upstream)

        return tf.raw_ops.Conv2D(input=images, filter=kernel, **same), gradients

    return convolve


def _joined_gradient(images: Any, upstream: Any) -> Any:
    """The gradient of a kernel over several images side by side, with a column of zeros between.

    With AMX, oneDNN fills each row up to 32 pixels, so that rows of 3 cost as much as rows of 32.
    """
    # A power of two, as batch sizes mostly are: others are filled up with empty images.
    count = 1 << (AMX_ROW // (images.shape[2] + 1)).bit_length() - 1

    def side_by_side(maps: Any) -> Any:
        n, (height, width, channels) = tf.shape(maps)[0], maps.shape[1:]
        maps = tf.pad(maps, [[0, -n % count], [0, 0], [0, 1], [0, 0]])
        maps = tf.reshape(maps, [-1, count, height, width + 1, channels])
        maps = tf.transpose(maps, [0, 2, 1, 3, 4])
        return tf.reshape(maps, [-1, height, count * (width + 1), channels])

    return tf.raw_ops.Conv2DBackpropFilter(
        input=side_by_side(images),
        filter_sizes=[3, 3, images.shape[-1], upstream.shape[-1]],
        out_backprop=side_by_side(upstream),
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def _transposed_gradient(images: Any, upstream: Any) -> Any:
    """The gradient of a kernel as a convolution of the images with the upstream gradient.

    Channels take the place of images, and images that of channels: oneDNN convolves at twice the
    speed at which it computes gradients of kernels.
    """

    def in_parts(maps: Any) -> Any:
        filled = tf.pad(maps, [[0, -tf.shape(maps)[0] % PARTS], [0, 0], [0, 0], [0, 0]])
        return tf.split(filled, PARTS)

    gradients = [
        tf.raw_ops.Conv2D(
            input=tf.transpose(maps, [3, 1, 2, 0]),
            filter=tf.transpose(back, [1, 2, 0, 3]),
            strides=[1, 1, 1, 1],
            padding="EXPLICIT",
            explicit_paddings=[0, 0, 1, 1, 1, 1, 0, 0],
        )
        for maps, back in zip(in_parts(images), in_parts(upstream), strict=True)
    ]
    total = tf.add_n([tf.cast(gradient, tf.float32) for gradient in gradients])
    return tf.cast(tf.transpose(total, [1, 2, 0, 3]), images.dtype)


class JoinedConv2D(keras.layers.Conv2D):  # type: ignore[misc]  # Keras publishes no types
    """A convolution with a faster gradient of its kernel over small images, for AMX.

    The gradient is the same sum of the same products; docs/performance.md has figures. All but
    3 x 3 convolutions with stride 1 and "same" padding, without bias and activation, over at most
    `SMALL_WIDTH` pixels a row, are Keras's.
    """

    least_channels = 1
    convolve = staticmethod(_with_kernel_gradient(_joined_gradient))

    def call(self, inputs: Any) -> Any:
        """See `keras.layers.Conv2D`."""
        is_covered = (
            self.data_format == "channels_last"
            and self.kernel_size == (3, 3)
            and self.strides == self.dilation_rate == (1, 1)
            and self.padding == "same"
            and self.groups == 1
            and not self.use_bias
            and self.activation is keras.activations.linear
            and inputs.shape[2] <= SMALL_WIDTH
            and self.filters >= self.least_channels
        )
        if not is_covered:
            return super().call(inputs)
        return self.convolve(inputs, tf.convert_to_tensor(self.kernel))


class TransposedConv2D(JoinedConv2D):
    """The same without AMX, where fewer than 64 channels gain nothing."""

    least_channels = 64
    convolve = staticmethod(_with_kernel_gradient(_transposed_gradient))
