"""Muon: steps of equal length in every direction, for the kernels of convolutions.

Plain gradients are dominated by a few directions. Muon replaces the momentum matrix of a kernel
by the orthogonal matrix nearest to it, so that rare directions are learnt as fast as common ones
(K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon/). Keras's own Muon leaves convolutions to Adam.
"""

from typing import Any

from apparel.core import backend

keras = backend.load_keras()
ops = keras.ops

# Of the quintic iteration; from the same source, which finds three iterations enough.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 3
MOMENTUM = 0.6
# Adam's, for everything but kernels; its second moment decays fast because training is short.
BETA_1, BETA_2, EPSILON = 0.9, 0.95, 1e-8


class Muon(keras.optimizers.Optimizer):  # type: ignore[misc, name-defined]  # Keras publishes no types
    """Muon for the kernels of convolutions, Adam for all other weights.

    Kernels keep the Frobenius norm √(output channels): their scale means nothing before a
    normalisation, and at a fixed norm the learning rate means the same throughout.

    Args:
        learning_rate: of the kernels; above 0.
        adam_lr_ratio: Adam's learning rate, as a share of `learning_rate`.
        exclude_layers: names of layers whose kernels Adam trains as well.
        dtype: of the large multiplications, "float32" or "bfloat16".
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        adam_lr_ratio: float,
        exclude_layers: tuple[str, ...],
        dtype: str,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name="muon")
        self._adam_lr_ratio, self._exclude_layers = adam_lr_ratio, exclude_layers
        self._multiplied_dtype = dtype

    def build(self, variables: list[Any]) -> None:
        """See `keras.optimizers.Optimizer`."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")
        self._velocities = [
            None if self._is_kernel(v) else self.add_variable_from_reference(v, "velocity")
            for v in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """See `keras.optimizers.Optimizer`."""
        gradient = ops.cast(gradient, "float32")
        learning_rate = ops.cast(learning_rate, "float32")
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        if velocity is None:
            self._muon(gradient, variable, learning_rate, momentum)
        else:
            rate = learning_rate * self._adam_lr_ratio
            self._adam(gradient, variable, rate, momentum, velocity)

    def _muon(self, gradient: Any, kernel: Any, rate: Any, momentum: Any) -> None:
        self.assign(momentum, momentum * MOMENTUM + gradient)
        ahead = gradient + momentum * MOMENTUM  # Nesterov's momentum
        channels = kernel.shape[-1]
        rows = ops.reshape(ahead, (-1, channels))
        step = ops.reshape(orthogonalize(rows, self._multiplied_dtype), kernel.shape)
        scale = channels**0.5 / ops.norm(ops.reshape(kernel, (-1, channels)))
        self.assign(kernel, kernel * scale - rate * step)

    def _adam(self, gradient: Any, variable: Any, rate: Any, momentum: Any, velocity: Any) -> None:
        count = ops.cast(self.iterations + 1, "float32")
        self.assign(momentum, BETA_1 * momentum + (1 - BETA_1) * gradient)
        self.assign(velocity, BETA_2 * velocity + (1 - BETA_2) * ops.square(gradient))
        mean = momentum / (1 - ops.power(BETA_1, count))
        square = velocity / (1 - ops.power(BETA_2, count))
        self.assign_sub(variable, rate * mean / (ops.sqrt(square) + EPSILON))

    def _is_kernel(self, variable: Any) -> bool:
        """True for the kernel of a convolution that Muon trains."""
        layer = variable.path.split("/")[-2]
        return len(variable.shape) == 4 and layer not in self._exclude_layers  # noqa: PLR2004  # h, w, in, out


def orthogonalize(matrix: Any, dtype: str) -> Any:
    """Bring all singular values of a matrix near 1, by Newton and Schulz's iteration.

    Args:
        matrix: float32, shape (m, n).
        dtype: of the multiplications, "float32" or "bfloat16".

    Returns:
        Float32, shape (m, n); singular values of about 0.5 to 1.5 where those of the matrix are
        not vanishingly small beside its largest.
    """
    a, b, c = COEFFICIENTS
    x = ops.cast(matrix / (ops.norm(matrix) + 1e-7), dtype)
    tall = matrix.shape[0] > matrix.shape[1]
    if tall:
        x = ops.transpose(x)
    for _ in range(ITERATIONS):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return ops.cast(ops.transpose(x) if tall else x, "float32")
