"""The operators that may occur, and the shape that each gives.

How the list came about: `EXPORTED` is every operator in exports of the models cnn, fast and best,
grey and in colour, with novelty, as Keras's converter (tf2onnx 1.17) and `novelty_graph` write
them, in float32 and as int8 by ONNX Runtime's static quantisation in the QDQ format. Added are
close relatives that give one output, no larger than their inputs together by broadcasting, and
without branches, loops, randomness or strings: what another version of the converter may write.
Operators that make large tensors of small constants (ConstantOfShape, Expand, Tile, Range, Resize,
Pad, ...) are not among them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from apparel.predict.onnx_check import layers, shaping
from apparel.predict.onnx_check.calls import Call
from apparel.predict.onnx_check.tensors import Tensor

_FLOAT, _INT, _TEXT, _TENSOR, _INTS = 1, 2, 3, 4, 7


class Operator(NamedTuple):
    """An operator of the default domain.

    Attributes:
        rule: gives what the output is like, or raises a ProblemError.
        least, most: how many inputs it takes.
        attributes: those it may have, and ONNX's number of each one's type.
    """

    rule: Callable[[Call], Tensor]
    least: int = 1
    most: int = 1
    attributes: Mapping[str, int] = {}


_ALPHA = {"alpha": _FLOAT}
_AXIS = {"axis": _INT}
_WINDOW = {"auto_pad": _TEXT, "dilations": _INTS, "kernel_shape": _INTS, "pads": _INTS,
           "strides": _INTS}  # fmt: skip
_POOL = _WINDOW | {"ceil_mode": _INT}
_GEMM = {"alpha": _FLOAT, "beta": _FLOAT, "transA": _INT, "transB": _INT}
_DEQUANTIZE = _AXIS | {"block_size": _INT, "output_dtype": _INT}
_QUANTIZE = _DEQUANTIZE | {"precision": _INT, "saturate": _INT}
_REDUCE = {"axes": _INTS, "keepdims": _INT, "noop_with_empty_axes": _INT}

EXPORTED = {
    "Abs": Operator(layers.same),
    "Add": Operator(layers.broadcast, 2, 2),
    "AveragePool": Operator(layers.pool, 1, 1, _POOL | {"count_include_pad": _INT}),
    "Cast": Operator(shaping.cast, 1, 1, {"to": _INT, "saturate": _INT, "round_mode": _TEXT}),
    "Concat": Operator(shaping.concat, 1, 1 << 10, _AXIS),
    "Conv": Operator(layers.conv, 2, 3, _WINDOW | {"group": _INT}),
    "DequantizeLinear": Operator(layers.dequantize, 2, 3, _DEQUANTIZE),
    "Flatten": Operator(shaping.flatten, 1, 1, _AXIS),
    "Gather": Operator(shaping.gather, 2, 2, _AXIS),
    "Gemm": Operator(layers.gemm, 2, 3, _GEMM),
    "GlobalAveragePool": Operator(layers.global_pool),
    "GlobalMaxPool": Operator(layers.global_pool),
    "LeakyRelu": Operator(layers.same, 1, 1, _ALPHA),
    "Log": Operator(layers.same),
    "MatMul": Operator(layers.matmul, 2, 2),
    "MaxPool": Operator(layers.pool, 1, 1, _POOL | {"storage_order": _INT}),
    "Mul": Operator(layers.broadcast, 2, 2),
    "QuantizeLinear": Operator(layers.quantize, 2, 3, _QUANTIZE),
    "ReduceSum": Operator(shaping.reduce, 1, 2, _REDUCE),
    "Relu": Operator(layers.same),
    "Reshape": Operator(shaping.reshape, 2, 2, {"allowzero": _INT}),
    "Shape": Operator(shaping.shape, 1, 1, {"start": _INT, "end": _INT}),
    "Slice": Operator(shaping.slice_, 3, 5),
    "Softmax": Operator(layers.along_axis, 1, 1, _AXIS),
    "Squeeze": Operator(shaping.squeeze, 1, 2),
    "Sub": Operator(layers.broadcast, 2, 2),
    "Transpose": Operator(shaping.transpose, 1, 1, {"perm": _INTS}),
}
NEIGHBOURS = {
    "BatchNormalization": Operator(
        layers.batch_normalization, 5, 5, {"epsilon": _FLOAT, "momentum": _FLOAT}
    ),
    "Clip": Operator(layers.clip, 1, 3),
    "Constant": Operator(shaping.constant_node, 0, 0, {"value": _TENSOR}),
    "Div": Operator(layers.broadcast, 2, 2),
    "Elu": Operator(layers.same, 1, 1, _ALPHA),
    "Erf": Operator(layers.same),
    "Exp": Operator(layers.same),
    "Identity": Operator(shaping.identity),
    "LogSoftmax": Operator(layers.along_axis, 1, 1, _AXIS),
    "Max": Operator(layers.broadcast, 1, 8),
    "Min": Operator(layers.broadcast, 1, 8),
    "Neg": Operator(layers.same),
    "Pow": Operator(layers.broadcast, 2, 2),
    "Reciprocal": Operator(layers.same),
    "ReduceMax": Operator(shaping.reduce, 1, 2, _REDUCE),
    "ReduceMean": Operator(shaping.reduce, 1, 2, _REDUCE),
    "Sigmoid": Operator(layers.same),
    "Softplus": Operator(layers.same),
    "Sqrt": Operator(layers.same),
    "Tanh": Operator(layers.same),
    "Unsqueeze": Operator(shaping.unsqueeze, 2, 2),
}
OPERATORS: Mapping[str, Operator] = EXPORTED | NEIGHBOURS
