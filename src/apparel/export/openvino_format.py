"""`.xml` and `.bin`: for OpenVINO; the facts as runtime information in the `.xml`."""

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.inference_runtimes import load_openvino
from apparel.core.model_formats import IMAGES, OPENVINO_WEIGHTS
from apparel.export.format import FACTS, Format, Network, Run, extra_imported
from apparel.export.onnx_format import onnx_proto


class OpenVinoFormat(Format):
    """See `Format`.

    OpenVINO reads the ONNX file: so int8 needs no further package, and every backend that writes
    ONNX writes this. Such a file gives no novelty score: where a processor multiplies bfloat16,
    OpenVINO computes in it unless told otherwise, and the score would be wrong without notice.
    """

    runtime = "OpenVINO"

    def version(self) -> str:
        return str(_openvino().__version__).partition("-")[0]

    def write(self, network: Network, path: Path) -> None:
        openvino = _openvino()
        proto = onnx_proto(replace(network, novelty=None), path.parent)
        model = openvino.Core().read_model(io.BytesIO(proto.SerializeToString()))
        openvino.save_model(model, path, compress_to_fp16=False)

    def open(self, path: Path) -> Run:
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = _openvino().Core().compile_model(path, "CPU", options)

        def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            outputs = compiled({IMAGES: pixels})
            return {output.any_name: array.copy() for output, array in outputs.items()}

        return run

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:
        openvino = _openvino()
        model = openvino.Core().read_model(path)
        model.set_rt_info(json.dumps(facts), [FACTS])
        # Elsewhere at first: the model's weights are still read from the .bin file.
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            described = Path(folder, path.name)
            openvino.save_model(model, described, compress_to_fp16=False)
            for suffix in (OPENVINO_WEIGHTS, path.suffix):
                described.with_suffix(suffix).replace(path.with_suffix(suffix))

    def read_facts(self, path: Path) -> dict[str, object]:
        facts = _openvino().Core().read_model(path).get_rt_info(FACTS)
        return dict(json.loads(facts.astype(str)))


FORMAT = OpenVinoFormat()


def _openvino() -> Any:
    with extra_imported("openvino", "openvino"):
        return load_openvino()
