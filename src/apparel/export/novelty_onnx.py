"""The novelty score as nodes of an ONNX graph, so that the exported file computes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from apparel.core.records import Novelty

MAX_PIXEL = 255


class _Nodes:
    """Adds nodes and constants to a graph, under names of their own."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._count = 0

    def constant(self, value: object) -> str:
        """Add an array, and return its name."""
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        output = output or self._name()
        self._graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _name(self) -> str:
        self._count += 1
        return f"novelty/{self._count}"


def add_novelty(graph: Any, novelty: Novelty, *, images: str, output: str, axis: str) -> None:
    """Add the novelty score of its images to the outputs of an ONNX graph.

    Args:
        graph: an `onnx.GraphProto` of operator set 13 or later.
        novelty: a fitted novelty score.
        images: name of its input, uint8, shape (n, h, w, c).
        output: name of the new output, float32, shape (n,).
        axis: name of n in the graph.
    """
    nodes = _Nodes(graph)
    pixels = nodes.add("Cast", images, to=TensorProto.FLOAT)
    statistics = _statistics(nodes, novelty, pixels)
    centred = nodes.add("Sub", statistics, nodes.constant(novelty.location))
    whitened = nodes.add("MatMul", centred, nodes.constant(novelty.whitening))
    squared = nodes.add("Mul", whitened, whitened)
    axes = nodes.constant(np.array([1], np.int64))
    nodes.add("ReduceSum", squared, axes, output=output, keepdims=0)
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [axis]))


def _statistics(nodes: _Nodes, novelty: Novelty, pixels: str) -> str:
    """Add the statistics, shape (n, d), of float32 images of 0 to 255."""
    height, width, channels = novelty.img_shape
    planes = _channels_first(nodes, pixels, novelty.img_shape)
    parts = [_means(nodes, novelty, _shrunk(nodes, planes, scale)) for scale in novelty.scales]
    means = nodes.add("Flatten", nodes.add("Concat", *parts, axis=1))
    flat = _reshape(nodes, pixels, (-1, height * width * channels))
    rings = nodes.add("MatMul", flat, nodes.constant(novelty.weights / np.float32(MAX_PIXEL)))
    both = nodes.add("Concat", means, rings, axis=1)
    return nodes.add("Log", nodes.add("Add", both, nodes.constant(np.float32(novelty.offset))))


def _channels_first(nodes: _Nodes, pixels: str, img_shape: tuple[int, int, int]) -> str:
    """Lay images out as ONNX's filters take them, shape (n, c, h, w)."""
    height, width, channels = img_shape
    if channels == 1:  # the same numbers in the same order: nothing to copy
        return _reshape(nodes, pixels, (-1, 1, height, width))
    return nodes.add("Transpose", pixels, perm=[0, 3, 1, 2])


def _reshape(nodes: _Nodes, tensor: str, shape: Sequence[int]) -> str:
    return nodes.add("Reshape", tensor, nodes.constant(np.array(shape, np.int64)))


def _shrunk(nodes: _Nodes, planes: str, scale: int) -> str:
    if scale == 1:
        return planes
    return nodes.add("AveragePool", planes, kernel_shape=[scale] * 2, strides=[scale] * 2)


def _means(nodes: _Nodes, novelty: Novelty, planes: str) -> str:
    """Add each filter's mean excess over each level, shape (n, f·t, 1, 1)."""
    n_filters, n_levels = len(novelty.kernels), len(novelty.levels)
    kernels = nodes.constant(novelty.kernels / np.float32(MAX_PIXEL))
    responses = nodes.add("Abs", nodes.add("Conv", planes, kernels))
    # One copy of each response a level, less the level.
    copies = nodes.constant(np.ones((n_filters * n_levels, 1, 1, 1), np.float32))
    less = nodes.constant(np.tile(-novelty.levels, n_filters))
    above = nodes.add("Relu", nodes.add("Conv", responses, copies, less, group=n_filters))
    return nodes.add("GlobalAveragePool", above)
