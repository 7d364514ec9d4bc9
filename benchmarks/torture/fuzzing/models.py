"""Tiny ONNX models in the form of apparel's, with every operator that may occur."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

Shape = tuple[int, int, int]


@cache
def onnx() -> Mapping[str, bytes]:
    """Models as apparel writes them, small."""
    return {
        "dense.onnx": _model((3, 4, 1), _dense(), {}),
        "conv.onnx": _model((5, 4, 3), _convolution(), {}),
    }


def _node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def _dense() -> list[NodeProto]:
    return [
        _node("Reshape", "scaled flat", "f"),
        _node("MatMul", "f weights", "logits"),
    ]


def _convolution() -> list[NodeProto]:
    return [
        _node("Reshape", "scaled planes", "p"),
        _node("Conv", "p filters", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        _node("MaxPool", "c", "m", kernel_shape=[1, 1]),
        _node("Relu", "m", "r"),
        _node("Reshape", "r flat", "f"),
        _node("MatMul", "f weights", "logits"),
    ]


def _many() -> list[NodeProto]:
    one_by_one = ("Neg", "Exp", "Log", "Abs", "Sqrt", "Reciprocal", "Erf", "Sigmoid", "Tanh",
                  "Softplus", "Elu", "LeakyRelu", "Identity", "Relu")  # fmt: skip
    chain = [_node(kind, f"k{i}", f"k{i + 1}") for i, kind in enumerate(one_by_one)]
    return [
        _node("Shape", "scaled", "sizes"),
        _node("Gather", "sizes zero", "n", axis=0),
        _node("Unsqueeze", "n zero", "n1"),
        _node("Constant", "", "rest", value=numpy_helper.from_array(np.array([-1]))),
        _node("Concat", "n1 rest", "wanted", axis=0),
        _node("Reshape", "scaled wanted", "f"),
        _node("Slice", "f start middle one", "left"),
        _node("Slice", "f middle end one", "right"),
        _node("Add", "left right", "sum"),
        _node("Max", "sum left", "most"),
        _node("Min", "most right", "least"),
        _node("Pow", "least two", "power"),
        _node("Div", "power two", "half"),
        _node("Sub", "half left", "less"),
        _node("Clip", "less low high", "k0"),
        *chain,
        _node("Gemm", f"k{len(chain)} matrix bias", "first", transB=1),
        _node("Transpose", "scaled", "p", perm=[0, 3, 1, 2]),
        _node("QuantizeLinear", "p scale zero8", "q"),
        _node("DequantizeLinear", "q scale zero8", "d"),
        _node("BatchNormalization", "d ones nothing nothing ones", "normal"),
        _node("AveragePool", "normal", "average", kernel_shape=[2, 2], strides=[2, 2]),
        _node("GlobalAveragePool", "average", "single"),
        _node("Squeeze", "single planes2", "squeezed"),
        _node("Flatten", "squeezed", "flattened"),
        _node("ReduceMean", "flattened", "mean", axes=[1], keepdims=1),
        _node("ReduceMax", "mean", "greatest", axes=[1], keepdims=1),
        _node("Add", "first greatest", "both"),
        _node("LogSoftmax", "both", "logits", axis=1),
    ]


def _held_by_many() -> dict[str, Any]:
    return {
        "zero": np.array(0),
        "start": np.array([0]),
        "middle": np.array([8]),
        "end": np.array([16]),
        "one": np.array([1]),
        "two": np.float32(2),
        "low": np.float32(0.1),
        "high": np.float32(0.9),
        "matrix": np.ones((2, 8), np.float32),
        "bias": np.ones(2, np.float32),
        "zero8": np.int8(0),
        "ones": np.ones(1, np.float32),
        "nothing": np.zeros(1, np.float32),
        "planes2": np.array([2, 3]),
    }


def _model(shape: Shape, nodes: Sequence[NodeProto], more: Mapping[str, Any]) -> bytes:
    """A model of some nodes between the scaled images and the logits."""
    size = int(np.prod(shape))
    held = {
        "scale": np.float32(1 / 255),
        "flat": np.array([-1, size]),
        "weights": np.linspace(-1, 1, size * 2, dtype=np.float32).reshape(size, 2),
        "planes": np.array([-1, shape[2], *shape[:2]]),
        "filters": np.ones((shape[2], shape[2], 3, 3), np.float32),
        "axes": np.array([1]),
        **more,
    }
    whole = [
        _node("Cast", "images", "x", to=TensorProto.FLOAT),
        _node("Mul", "x scale", "scaled"),
        *nodes,
        _node("Softmax", "logits", "probabilities", axis=1),
        _node("ReduceSum", "f axes", "novelty", keepdims=0),
    ]
    used = {name for node in whole for name in node.input}
    info, float32 = helper.make_tensor_value_info, TensorProto.FLOAT
    graph = helper.make_graph(
        whole,
        "made",
        [info("images", TensorProto.UINT8, ["batch", *shape])],
        [info("probabilities", float32, ["b", 2]), info("novelty", float32, ["b"])],
        [numpy_helper.from_array(value, name) for name, value in held.items() if name in used],
        value_info=[info("scaled", float32, ["batch", *shape])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    told = {"class_names": ["a", "b"], "img_shape": shape, "threshold": 0.5}
    told["novelty_threshold"] = 2.5
    helper.set_model_props(model, {key: json.dumps(value) for key, value in told.items()})
    return bytes(model.SerializeToString())
