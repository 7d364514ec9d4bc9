"""The training twin: the same function as a model, in the form that trains fastest.

A twin has the model's weights, layer for layer. What it may do differently:

- compute in another number format;
- add the bias and take the ReLU after max pooling instead of before it, which is the same
  function, as both keep order, at a quarter of the traffic;
- normalise batches and apply Adam with TensorFlow's fused kernels, draw dropout's random numbers
  as bytes, and take the gradient of a kernel over small images in another order.

The model itself keeps its standard Keras layers, float32 throughout.
"""

from collections.abc import Callable
from typing import Any

from apparel.core import backend
from apparel.training import fused_layers


def training_twin(model: Any, policy: str) -> Any:
    """Copy a Sequential or functional model, weights included, for training.

    The last layer stays float32: softmax and loss need its precision.

    Args:
        model: a built `keras.Model` of standard layers.
        policy: a Keras dtype policy, "float32" or "mixed_bfloat16".

    Returns:
        A new model, uncompiled, with the same weights.
    """
    keras = backend.load_keras()
    kinds = _training_kinds(policy)
    delayed = _activations_to_delay(model)
    biases: dict[str, Callable[[], Any]] = {}

    def clone(layer: Any) -> Any:
        kind, config = type(layer), layer.get_config()
        if layer is not model.layers[-1]:
            config["dtype"] = policy
        if layer.name in delayed:
            convolution = _bare_convolution().from_config(config)
            biases[delayed[layer.name]] = lambda: convolution.bias
            return convolution
        if layer.name in biases:
            return _finishing_pool(biases[layer.name]).from_config(config)
        return kinds.get(kind, kind).from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    copy_variables(model, twin)
    return twin


def copy_variables(source: Any, target: Any) -> None:
    """Give a model the weights of another of the same layers, and its random state.

    Dropout draws from a state of its own, which `set_weights` leaves out.
    """
    for giver, taker in zip(source.layers, target.layers, strict=True):
        for given, taken in zip(giver.variables, taker.variables, strict=True):
            taken.assign(given)


def training_optimizer(optimizer: Any) -> Any:
    """Copy a Keras optimiser's settings, with the fused kernel where there is one."""
    keras = backend.load_keras()
    kind = type(optimizer)
    if kind is keras.optimizers.Adam and not optimizer.amsgrad and backend.on_tensorflow():
        kind = fused_layers.adam()
    return kind.from_config(optimizer.get_config())


def copy_optimizer(optimizer: Any, model: Any) -> None:
    """Give a model's optimiser the state of another of the same kind."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    state: dict[str, Any] = {}
    optimizer.save_own_variables(state)
    model.optimizer.load_own_variables(state)


def _training_kinds(policy: str) -> dict[Any, Any]:
    """The layers that have a faster form on this backend and processor, and that form."""
    if not backend.on_tensorflow():
        return {}
    layers = backend.load_keras().layers
    kinds = {
        layers.BatchNormalization: fused_layers.batch_normalization(),
        layers.Dropout: fused_layers.dropout(),
    }
    if policy == "mixed_bfloat16" and backend.multiplies_bfloat16():
        kinds[layers.Conv2D] = fused_layers.convolution(amx="amx_bf16" in backend.processor_flags())
    return kinds


def _activations_to_delay(model: Any) -> dict[str, str]:
    """Convolutions with bias and ReLU straight before a max pooling, and that pooling's name."""
    keras = backend.load_keras()
    layers = keras.layers
    if not isinstance(model, keras.Sequential):
        return {}
    return {
        first.name: second.name
        for first, second in zip(model.layers, model.layers[1:], strict=False)
        if type(first) is layers.Conv2D
        and first.use_bias
        and first.activation is keras.activations.relu
        and type(second) is layers.MaxPooling2D
    }


def _bare_convolution() -> Any:
    """`keras.layers.Conv2D` that leaves bias and activation to somebody else."""
    keras = backend.load_keras()

    class BareConv2D(keras.layers.Conv2D):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Convolves."""

        def call(self, inputs: Any) -> Any:
            return self.convolution_op(inputs, self.kernel)

    return BareConv2D


def _finishing_pool(bias: Callable[[], Any]) -> Any:
    """`keras.layers.MaxPooling2D`, followed by a convolution's bias and ReLU.

    The bias comes from a function: an attribute would make it a weight of two layers.
    """
    keras = backend.load_keras()

    class FinishingMaxPooling2D(keras.layers.MaxPooling2D):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Pools, adds the bias, drops what is below 0."""

        def call(self, inputs: Any) -> Any:
            return keras.ops.relu(super().call(inputs) + bias())

    return FinishingMaxPooling2D
