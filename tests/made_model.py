"""A model file whose answers NumPy can compute: one dense layer and softmax."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

NAMES = ("ant", "bee", "cät")
OPSET, IR = 15, 8


def made_proto(
    img_shape: tuple[int, int, int] = (8, 9, 1),
    *,
    class_names: Sequence[str] = NAMES,
    novelty_threshold: float | None = None,
    beside: Sequence[onnx.NodeProto] = (),
    held: Mapping[str, object] | None = None,
    opset: int = OPSET,
    **facts: Any,
) -> onnx.ModelProto:
    """A small model like apparel's: images → probabilities and perhaps novelty, the mean pixel.

    Args:
        img_shape: height, width and channels.
        class_names: k of them.
        novelty_threshold: None for no novelty.
        beside: further nodes, which the outputs do not need. They may take `x`, the images as
            float32, and `flattened`, the same divided by 255, of shape (n, h·w·c).
        held: further constants by name.
        opset: of the operators.
        facts: further metadata.
    """
    size, k = int(np.prod(img_shape)), len(class_names)
    weights = np.random.default_rng(0).normal(0, 4 / size**0.5, (size, k)).astype(np.float32)
    arrays = {
        "scale": np.float32(1 / 255),
        "flat": np.array([-1, size], np.int64),
        "weights": weights,
        "axes": np.array([1], np.int64),
        **(held or {}),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "scale"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "flat"], ["flattened"]),
        *beside,
        helper.make_node("MatMul", ["flattened", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    of = helper.make_tensor_value_info
    outputs = [of("probabilities", TensorProto.FLOAT, ["batch", k])]
    described = {"class_names": class_names, "img_shape": img_shape, **facts}
    if novelty_threshold is not None:
        described["novelty_threshold"] = novelty_threshold
        nodes.append(helper.make_node("ReduceSum", ["flattened", "axes"], ["novelty"], keepdims=0))
        outputs.append(of("novelty", TensorProto.FLOAT, ["batch"]))
    graph = helper.make_graph(
        nodes,
        "made",
        [of("images", TensorProto.UINT8, ["batch", *img_shape])],
        outputs,
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR)
    helper.set_model_props(model, {key: json.dumps(value) for key, value in described.items()})
    return model


class MadeModel:
    """Weights, the file that holds them, and what it should answer."""

    def __init__(
        self,
        path: Path,
        img_shape: tuple[int, int, int] = (8, 9, 1),
        *,
        novelty_threshold: float | None = None,
        **options: Any,
    ) -> None:
        self.path, self.img_shape, self.novelty_threshold = path, img_shape, novelty_threshold
        model = made_proto(img_shape, novelty_threshold=novelty_threshold, **options)
        checker.check_model(model, full_check=True)
        onnx.save(model, path)
        self.weights = numpy_helper.to_array(model.graph.initializer[2])

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the file should answer, shape (n, k)."""
        logits = self._flat(images) @ self.weights.astype(np.float64)
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))

    def novelty(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the file should say of how unlike images are, as multiples of the threshold."""
        return np.asarray(self._flat(images).sum(axis=1) / (self.novelty_threshold or 1))

    def images(self, n: int, seed: int = 1) -> NDArray[np.uint8]:
        """Images to ask about, shape (n, *img_shape)."""
        random = np.random.default_rng(seed)
        return random.integers(0, 256, (n, *self.img_shape), dtype=np.uint8)

    def _flat(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return images.reshape(len(images), -1) / 255


def node(kind: str, *inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A node."""
    return helper.make_node(kind, inputs, [output], **attributes)


# -- operators ---------------------------------------------------------------------------

F32 = np.float32
ROW = np.arange(1, 10, dtype=F32).reshape(1, 9, 1)
# Each operator at least once, on `x`, float32 (n, 8, 9, 1), `flattened`, or `s`, the sizes of `x`.
EVERY_OPERATOR: list[tuple[onnx.NodeProto, dict[str, object], int]] = [
    (node("Add", "x", "a"), {"a": ROW}, 15),
    (node("Sub", "a", "x"), {"a": ROW}, 15),
    (node("Mul", "x", "a"), {"a": np.ones((1, 1, 9, 5), F32)}, 15),
    *[(node(kind, "x"), {}, 15) for kind in ("Abs", "Identity", "Log", "Relu")],
    (node("LeakyRelu", "x", alpha=0.3), {}, 16),
    (node("Softmax", "x", axis=2), {}, 13),
    (node("Conv", "x", "w"), {"w": np.ones((4, 8, 3, 1), F32)}, 15),
    (node("Conv", "x", "w", "b", group=4, strides=[2, 1], pads=[3, 0, 1, 0], dilations=[4, 1]),
     {"w": np.ones((4, 2, 2, 1), F32), "b": np.ones(4, F32)}, 22),
    (node("MaxPool", "x", kernel_shape=[4, 1], strides=[3, 2], pads=[1, 0, 2, 0]), {}, 13),
    (node("AveragePool", "x", kernel_shape=[2, 1]), {}, 13),
    (node("AveragePool", "x", kernel_shape=[2, 1], dilations=[3, 1], ceil_mode=0), {}, 19),
    (node("GlobalAveragePool", "x"), {}, 15),
    (node("GlobalMaxPool", "x"), {}, 15),
    (node("MatMul", "x", "w"), {"w": np.ones((1, 7), F32)}, 15),
    (node("MatMul", "w", "x"), {"w": np.ones((1, 1, 5, 9), F32)}, 15),
    (node("Gemm", "flattened", "w", "c"), {"w": np.ones((72, 7), F32), "c": np.ones(7, F32)}, 15),
    (node("Cast", "images", to=TensorProto.UINT8), {}, 15),
    (node("Cast", "s", to=TensorProto.INT32), {}, 15),
    (node("Concat", "x", "x", axis=-2), {}, 15),
    (node("Concat", "s", "k", "s", axis=0), {"k": np.array([5, 6])}, 15),
    (node("Constant", value=numpy_helper.from_array(np.array([[3, 4]]))), {}, 15),
    (node("Flatten", "x"), {}, 15),
    (node("Gather", "s", "k"), {"k": np.array(-3)}, 15),
    (node("Gather", "s", "k", axis=0), {"k": np.array([0, 3, -1])}, 15),
    (node("Identity", "s"), {}, 15),
    (node("Reshape", "x", "k"), {"k": np.array([0, 4, -1, 2])}, 15),
    (node("Reshape", "x", "s", allowzero=0), {}, 15),
    (node("ReduceSum", "x", "k"), {"k": np.array([-1, 1])}, 15),
    (node("ReduceMax", "x", "k", keepdims=0), {"k": np.array([1, 3])}, 18),
    (node("Shape", "x", start=0), {}, 15),
    (node("Slice", "s", "a", "b", "k"), {"a": np.array([-3]), "b": np.array([2**62]),
                                         "k": np.array([0])}, 15),
    (node("Squeeze", "x", "k"), {"k": np.array([-1])}, 15),
    (node("Transpose", "x", perm=[0, 3, 1, 2]), {}, 15),
    (node("Unsqueeze", "n", "k"), {"k": np.array([0])}, 15),
    (node("QuantizeLinear", "x", "a", "z"), {"a": F32(2), "z": np.uint8(3)}, 13),
    (node("QuantizeLinear", "x", "a", "z", axis=1),
     {"a": np.ones(8, F32), "z": np.zeros(8, np.int8)}, 15),
    (node("DequantizeLinear", "w", "a", "z", axis=0),
     {"w": np.ones((3, 4), np.int8), "a": np.ones(3, F32), "z": np.zeros(3, np.int8)}, 21),
    (node("DequantizeLinear", "images", "a", "z"), {"a": F32(2), "z": np.uint8(3)}, 21),
]  # fmt: skip


def with_operator(
    made: onnx.NodeProto, held: Mapping[str, object], opset: int = OPSET
) -> onnx.ModelProto:
    """A small model with one operator more."""
    sizes = [node("Shape", "x", output="s"), node("Gather", "s", "zero", output="n")]
    return made_proto(
        novelty_threshold=12.5,
        beside=[*sizes, made],
        held={"zero": np.array(0), **held},
        opset=opset,
    )
