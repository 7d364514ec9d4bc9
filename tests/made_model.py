"""A model file whose answers NumPy can compute: one dense layer and softmax."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper, save

NAMES = ("ant", "bee", "cät")
OPSET, IR = 15, 8


class MadeModel:
    """Weights, the file that holds them, and what it should answer."""

    def __init__(
        self,
        path: Path,
        img_shape: tuple[int, int, int] = (8, 9, 1),
        *,
        class_names: Sequence[str] = NAMES,
        novelty_threshold: float | None = None,
        **facts: Any,
    ) -> None:
        self.path = path
        k = len(class_names)
        self.img_shape = img_shape
        self.novelty_threshold = novelty_threshold
        size = int(np.prod(img_shape))
        self.weights = (
            np.random.default_rng(0).normal(0, 4 / size**0.5, (size, k)).astype(np.float32)
        )
        nodes = [
            helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["float", "scale"], ["scaled"]),
            helper.make_node("Reshape", ["scaled", "flat"], ["flattened"]),
            helper.make_node("MatMul", ["flattened", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
        outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", k])]
        constants = [
            numpy_helper.from_array(np.float32(1 / 255), "scale"),
            numpy_helper.from_array(np.array([-1, size], np.int64), "flat"),
            numpy_helper.from_array(self.weights, "weights"),
        ]
        described = {"class_names": class_names, "img_shape": img_shape, **facts}
        if novelty_threshold is not None:
            described["novelty_threshold"] = novelty_threshold
            constants.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
            nodes.append(
                helper.make_node("ReduceSum", ["flattened", "axes"], ["novelty"], keepdims=0)
            )
            outputs.append(helper.make_tensor_value_info("novelty", TensorProto.FLOAT, ["batch"]))
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *img_shape])
        graph = helper.make_graph(nodes, "made", [images], outputs, constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
        )
        for key, value in described.items():
            model.metadata_props.add(key=key, value=json.dumps(value))
        checker.check_model(model, full_check=True)
        save(model, path)

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
