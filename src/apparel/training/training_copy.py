"""The training copy: the same function as a model, in the form that trains fastest.

It has the weights of the model, layer for layer. It may

- compute in another number format;
- add the bias and apply the ReLU after max pooling instead of before it, which is the same
  function, as both keep order, at a quarter of the memory traffic;
- normalise batches and apply Adam with TensorFlow's fused kernels, draw dropout's random numbers
  as bytes, and compute the gradient of a kernel over small images in another order.

The model itself keeps its standard Keras layers, float32 throughout.
"""

from collections.abc import Callable
from typing import Any

from apparel.core import backend

keras = backend.load_keras()
if backend.on_tensorflow():
    from apparel.training import fused_layers


def training_copy(model: Any, policy: str) -> Any:
    """Copy a Sequential or functional model, weights included, for training.

    The last layer stays float32: softmax and loss need its precision.

    Args:
        model: a built `keras.Model` of standard layers.
        policy: a Keras dtype policy, "float32" or "mixed_bfloat16".

    Returns:
        A new model, uncompiled, with the same weights.
    """
    faster = _faster_layers(policy)
    pools = _pools_after_convolutions(model)
    biases: dict[str, Callable[[], Any]] = {}

    def clone(layer: Any) -> Any:
        kind, config = type(layer), layer.get_config()
        if layer is not model.layers[-1]:
            config["dtype"] = policy
        if layer.name in pools:
            convolution = BareConv2D.from_config(config)
            biases[pools[layer.name]] = lambda: convolution.bias
            return convolution
        if layer.name in biases:
            return _pool_with_bias(biases[layer.name]).from_config(config)
        return faster.get(kind, kind).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy_variables(model, copy)
    return copy


def copy_variables(source: Any, target: Any) -> None:
    """Give a model the weights of another of the same layers, and its random state.

    Dropout draws from a state of its own, which `set_weights` leaves out.
    """
    for one, other in zip(source.layers, target.layers, strict=True):
        for variable, copied in zip(one.variables, other.variables, strict=True):
            copied.assign(variable)


def training_optimizer(optimizer: Any) -> Any:
    """Copy the settings of a Keras optimiser, with the fused kernel where there is one."""
    kind = type(optimizer)
    if kind is keras.optimizers.Adam and not optimizer.amsgrad and backend.on_tensorflow():
        kind = fused_layers.FusedAdam
    return kind.from_config(optimizer.get_config())


def copy_optimizer(optimizer: Any, model: Any) -> None:
    """Give the optimiser of a model the state of another of the same kind."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    state: dict[str, Any] = {}
    optimizer.save_own_variables(state)
    model.optimizer.load_own_variables(state)


def _faster_layers(policy: str) -> dict[Any, Any]:
    """The faster form of each layer that has one on this backend and processor."""
    if not backend.on_tensorflow():
        return {}
    faster = {
        keras.layers.BatchNormalization: fused_layers.FusedBatchNormalization,
        keras.layers.Dropout: fused_layers.ByteDropout,
    }
    if policy == "mixed_bfloat16" and backend.multiplies_bfloat16():
        has_amx = "amx_bf16" in backend.processor_flags()
        faster[keras.layers.Conv2D] = (
            fused_layers.JoinedConv2D if has_amx else fused_layers.TransposedConv2D
        )
    return faster


def _pools_after_convolutions(model: Any) -> dict[str, str]:
    """Convolutions with bias and ReLU straight before a max pooling, and the name of that."""
    if not isinstance(model, keras.Sequential):
        return {}
    return {
        first.name: second.name
        for first, second in zip(model.layers, model.layers[1:], strict=False)
        if type(first) is keras.layers.Conv2D
        and first.use_bias
        and first.activation is keras.activations.relu
        and type(second) is keras.layers.MaxPooling2D
    }


class BareConv2D(keras.layers.Conv2D):  # type: ignore[misc, name-defined]  # Keras publishes no types
    """A convolution that leaves bias and activation to the pooling after it."""

    def call(self, inputs: Any) -> Any:
        """See `keras.layers.Conv2D`."""
        return self.convolution_op(inputs, self.kernel)


def _pool_with_bias(bias: Callable[[], Any]) -> Any:
    """The class of a max pooling that is followed by the bias of a convolution and ReLU.

    The bias comes from a function: an attribute would make it a weight of two layers.
    """

    class BiasedMaxPooling2D(keras.layers.MaxPooling2D):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Pools, adds the bias, applies ReLU."""

        def call(self, inputs: Any) -> Any:
            return keras.ops.relu(super().call(inputs) + bias())

    return BiasedMaxPooling2D
