"""The layers that a model may have, and what each may be told."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from apparel.keras_file import fields, objects, shapes
from apparel.keras_file.fields import Table

# Sides of kernels, windows, steps and margins.
MAX_WINDOW = 1 << 10
# Filters or units of a layer.
MAX_UNITS = 1 << 20


class Layer(NamedTuple):
    """A kind of layer.

    Attributes:
        table: arguments → checks.
        needed: arguments that Keras always writes, and on which its shapes depend.
        rule: gives what it holds and gives.
    """

    table: Table
    needed: frozenset[str]
    rule: Callable[[shapes.Call], shapes.Outcome]


_size = fields.whole(1, MAX_WINDOW)
_pair = fields.listed(_size, 2, 2)
_units = fields.whole(1, MAX_UNITS)
_axis = fields.whole(-8, 8)
_some_axes = fields.kinds(_axis, many=fields.listed(_axis, 1, 8))
_factors = fields.kinds(fields.real, many=fields.listed(fields.real, 1, 64))
_format = {"data_format": fields.choice("channels_last", "channels_first")}
_padding = {"padding": fields.choice("valid", "same")}
_seed = fields.optional(fields.any_whole)
_base: Table = {
    "name": fields.label,
    "trainable": fields.flag,
    "dtype": objects.policy,
    "activity_regularizer": objects.regularizer,
}


def _held(*names: str) -> Table:
    """What may be said of a layer's variables."""
    checks = {
        "initializer": objects.initializer,
        "regularizer": objects.regularizer,
        "constraint": objects.constraint,
    }
    return {f"{name}_{kind}": check for name in names for kind, check in checks.items()}


_bias: Table = {"use_bias": fields.flag, "activation": objects.activation, **_held("bias")}
_kernel: Table = {
    "kernel_size": _pair, "strides": _pair, "dilation_rate": _pair, **_padding, **_format, **_bias,
}  # fmt: skip
_conv: Table = {**_kernel, "filters": _units, "groups": _size, **_held("kernel")}
_depthwise: Table = {**_kernel, "depth_multiplier": _size, **_held("depthwise")}
_separable: Table = {**_depthwise, "filters": _units, **_held("pointwise")}
_dense: Table = {
    "units": _units, "quantization_config": fields.nothing, **_bias, **_held("kernel"),
}  # fmt: skip
_pool: Table = {"pool_size": _pair, "strides": fields.optional(_pair), **_padding, **_format}
_global_pool: Table = {"keepdims": fields.flag, **_format}
_normalized: Table = {
    "epsilon": fields.share, "center": fields.flag, "scale": fields.flag, **_held("beta", "gamma"),
}  # fmt: skip
_batch: Table = {
    **_normalized, "axis": _axis, "momentum": fields.share, "synchronized": fields.flag,
    "moving_mean_initializer": objects.initializer,
    "moving_variance_initializer": objects.initializer,
    # With these it would hold further variables.
    "renorm": fields.false, "renorm_clipping": fields.nothing, "renorm_momentum": fields.share,
}  # fmt: skip
_layered: Table = {**_normalized, "axis": _some_axes, "rms_scaling": fields.false}
_dropout: Table = {"rate": fields.share, "seed": _seed}
_margins = fields.listed(fields.listed(fields.whole(0, MAX_WINDOW), 2, 2), 2, 2)
_places = fields.optional(fields.listed(fields.optional(_units), 1, 5))


def _layer(rule: Callable[[shapes.Call], shapes.Outcome], table: Table, *needed: str) -> Layer:
    return Layer({**_base, **table}, frozenset(("name", "dtype", *needed)), rule)


_windowed = ("kernel_size", "strides", "dilation_rate", "padding", "data_format", "use_bias")
_pooled = ("pool_size", "strides", "padding", "data_format")
LAYERS: Mapping[str, Layer] = {
    "Conv2D": _layer(shapes.conv, _conv, "filters", "groups", *_windowed),
    "DepthwiseConv2D": _layer(shapes.depthwise, _depthwise, "depth_multiplier", *_windowed),
    "SeparableConv2D": _layer(
        shapes.separable, _separable, "filters", "depth_multiplier", *_windowed
    ),
    "Dense": _layer(shapes.dense, _dense, "units", "use_bias"),
    "MaxPooling2D": _layer(shapes.pool, _pool, *_pooled),
    "AveragePooling2D": _layer(shapes.pool, _pool, *_pooled),
    "GlobalMaxPooling2D": _layer(shapes.global_pool, _global_pool, *_global_pool),
    "GlobalAveragePooling2D": _layer(shapes.global_pool, _global_pool, *_global_pool),
    "BatchNormalization": _layer(
        shapes.batch_normalization, _batch, "axis", "center", "scale"
    ),
    "LayerNormalization": _layer(
        shapes.layer_normalization, _layered, "axis", "center", "scale"
    ),
    "Dropout": _layer(shapes.same, {**_dropout, "noise_shape": _places}),
    "SpatialDropout2D": _layer(shapes.same, {**_dropout, **_format}),
    "Flatten": _layer(shapes.flatten, _format),
    "Reshape": _layer(
        shapes.reshape,
        {"target_shape": fields.listed(fields.whole(-1, MAX_UNITS), 1, 5)},
        "target_shape",
    ),
    "ZeroPadding2D": _layer(
        shapes.pad,
        {"padding": _margins, **_format},
        "padding", "data_format",
    ),
    "Rescaling": _layer(
        shapes.rescale, {"scale": _factors, "offset": _factors}, "scale", "offset"
    ),
    "Activation": _layer(shapes.same, {"activation": objects.activation}, "activation"),
    "ReLU": _layer(
        shapes.same,
        {"max_value": fields.optional(fields.positive), "negative_slope": fields.positive,
         "threshold": fields.positive},
    ),
    "LeakyReLU": _layer(shapes.same, {"negative_slope": fields.positive}),
    "Softmax": _layer(shapes.same, {"axis": _some_axes}),
    "Add": _layer(shapes.merge, {}),
    "Multiply": _layer(shapes.merge, {}),
    "Concatenate": _layer(shapes.concatenate, {"axis": _axis}, "axis"),
}  # fmt: skip
