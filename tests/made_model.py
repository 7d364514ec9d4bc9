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
