"""Static quantisation of an ONNX graph to int8.

As B. Jacob and others describe it ("Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018, arXiv 1712.05877): activations get 256 levels between the
least and the greatest value over the calibration images, and the weights of each channel levels of
their own.
"""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.core.inference_runtimes import load_onnxruntime
from apparel.core.model_formats import IMAGES

# Pixel values in a batch of calibration images.
CALIBRATION_VALUES = 1 << 18
DENSE = ("Gemm", "MatMul")


def quantized(proto: Any, images: NDArray[np.uint8], scratch: Path) -> Any:
    """Quantise a network.

    The last dense layer and what follows stay in float32: they take next to no time, and
    probabilities in 256 levels would often be tied.

    Args:
        proto: an `onnx.ModelProto` of one input, "images".
        images: shape (n, h, w, c), calibration images.
        scratch: empty folder for temporary files.

    Returns:
        An `onnx.ModelProto` with pairs of QuantizeLinear and DequantizeLinear (QDQ).

    Raises:
        ApparelError: ONNX Runtime gives operators that other runtimes lack.
    """
    load_onnxruntime()
    from onnxruntime import quantization  # noqa: PLC0415  # as above
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    step = max(CALIBRATION_VALUES // int(np.prod(images.shape[1:])), 1)
    batches = ({IMAGES: images[start : start + step]} for start in range(0, len(images), step))
    plain, folded, small = (scratch / f"{name}.onnx" for name in ("plain", "folded", "small"))
    onnx.save(proto, plain)
    with backend.native_stderr_held():
        # ONNX's own inference of shapes is enough here; the symbolic one needs another package.
        quant_pre_process(os.fspath(plain), os.fspath(folded), skip_symbolic_shape=True)
        quantization.quantize_static(
            os.fspath(folded),
            os.fspath(small),
            SimpleNamespace(get_next=lambda: next(batches, None)),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # Weights of seven bits: where a processor lacks VNNI, sums of two products of eight
            # bits would overflow, and the file would answer otherwise than where it was verified.
            reduce_range=True,
            nodes_to_exclude=_ending(onnx.load(folded).graph),
        )
    return _of_plain_operators(onnx.load(small))


def _ending(graph: Any) -> list[str]:
    """List the names of the last dense layer and the nodes after it."""
    dense = [index for index, node in enumerate(graph.node) if node.op_type in DENSE]
    return [node.name for node in graph.node[dense[-1] :]] if dense else []


def _of_plain_operators(proto: Any) -> Any:
    """Drop unused operator sets and the notes of ONNX Runtime.

    Raises:
        ApparelError: a node belongs to another set than ONNX's own.
    """
    foreign = {node.domain for node in proto.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise ApparelError(
            f"ONNX Runtime made operators of {', '.join(sorted(foreign))}, which other runtimes "
            "lack. Export without --int8, and report this with the output of `pip freeze`."
        )
    for entry in [entry for entry in proto.opset_import if entry.domain]:
        proto.opset_import.remove(entry)
    del proto.metadata_props[:]  # ONNX Runtime's notes to itself
    return proto
