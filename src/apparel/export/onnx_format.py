"""`.onnx`: for ONNX Runtime; with a novelty score, and the facts as metadata."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.core.inference_runtimes import load_onnxruntime
from apparel.core.model_formats import IMAGES, NOVELTY, PROBABILITIES
from apparel.export.format import Format, Network, Run, write_by_keras
from apparel.export.novelty_onnx import add_novelty
from apparel.export.quantisation import quantized

# ONNX's named axis for "any number of images".
BATCH_AXIS = "batch"
# ONNX Runtime's releases, each with the operator set and file version (IR) that it was the first
# to read: https://onnxruntime.ai/docs/reference/compatibility.html
RELEASES = (
    ("1.6", 13, 7),
    ("1.8", 14, 7),
    ("1.9", 15, 8),
    ("1.11", 16, 8),
    ("1.12", 17, 8),
    ("1.14", 18, 8),
    ("1.15", 19, 8),
    ("1.16", 19, 9),
    ("1.17", 20, 9),
    ("1.18", 21, 10),
)


class OnnxFormat(Format):
    """See `Format`."""

    runtime = "ONNX Runtime"

    def version(self) -> str:
        onnxruntime = load_onnxruntime()
        return str(onnxruntime.__version__)

    def write(self, network: Network, path: Path) -> None:
        proto = onnx_proto(network, path.parent)
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, path)

    def open(self, path: Path) -> Run:
        onnxruntime = load_onnxruntime()
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            return dict(zip(names, session.run(names, {IMAGES: pixels}), strict=True))

        return run

    def needs(self, path: Path) -> dict[str, object]:
        proto = onnx.load(path, load_external_data=False)
        opset = next(entry.version for entry in proto.opset_import if not entry.domain)
        return {
            "onnx_opset": opset,
            "ir_version": proto.ir_version,
            "onnxruntime": oldest_release(opset, proto.ir_version) or self.version(),
        }

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:
        proto = onnx.load(path)
        for key, value in facts.items():
            proto.metadata_props.add(key=key, value=json.dumps(value))
        onnx.save(proto, path)

    def read_facts(self, path: Path) -> dict[str, object]:
        proto = onnx.load(path, load_external_data=False)
        return {entry.key: json.loads(entry.value) for entry in proto.metadata_props}


FORMAT = OnnxFormat()


def onnx_proto(network: Network, folder: Path) -> Any:
    """Convert a network to an `onnx.ModelProto`.

    Args:
        network: the model, and what else the file computes.
        folder: folder for temporary files.

    Raises:
        ApparelError: Keras lacks a package to write it.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        written = Path(scratch, "network.onnx")
        try:
            write_by_keras(network.model, written, "onnx")
        except ImportError as error:
            raise ApparelError(
                f"Keras cannot write ONNX on the backend {backend.load_keras().backend.backend()}: "
                f"{error} Or set KERAS_BACKEND=tensorflow and use: apparel export RUN --format onnx"
            ) from error
        proto = onnx.load(written)
        _name_output(proto.graph, PROBABILITIES)
        for tensor in (*proto.graph.input, *proto.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
        if network.calibration is not None:
            proto = quantized(proto, network.calibration, Path(scratch))
    if network.novelty:
        # In float32 also beside layers in int8: distances lose their meaning in few steps.
        add_novelty(proto.graph, network.novelty, images=IMAGES, output=NOVELTY, axis=BATCH_AXIS)
    return proto


def oldest_release(opset: int, ir_version: int) -> str | None:
    """Give the first ONNX Runtime that reads an operator set and file version; None if unknown."""
    reads = (name for name, most, newest in RELEASES if most >= opset and newest >= ir_version)
    return next(reads, None)


def _name_output(graph: Any, name: str) -> None:
    """Rename the only output of an ONNX graph, and all references to it."""
    old = graph.output[0].name
    graph.output[0].name = name
    for node in graph.node:
        node.input[:] = [name if tensor == old else tensor for tensor in node.input]
        node.output[:] = [name if tensor == old else tensor for tensor in node.output]
