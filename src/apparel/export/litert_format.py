"""`.tflite`: for LiteRT, on phones and boards; the facts as a metadata buffer."""

import importlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.model_formats import IMAGES
from apparel.export.format import (
    FACTS,
    Format,
    Network,
    Run,
    extra_imported,
    need_tensorflow,
    write_by_keras,
)

IDENTIFIER = b"TFL3"
PACKAGE = "ai-edge-litert"


class LiteRTFormat(Format):
    """See `Format`."""

    runtime = "LiteRT"

    def version(self) -> str:
        _litert("interpreter")
        return importlib.metadata.version(PACKAGE)

    def write(self, network: Network, path: Path) -> None:
        need_tensorflow("litert")
        options: dict[str, Any] = {}
        if network.calibration is not None:
            import tensorflow as tf  # noqa: PLC0415  # only where a file is written

            one_by_one = [[image[None]] for image in network.calibration]
            options["optimizations"] = [tf.lite.Optimize.DEFAULT]
            options["representative_dataset"] = lambda: iter(one_by_one)
        write_by_keras(network.model, path, "litert", **options)

    def open(self, path: Path) -> Run:
        with backend.native_stderr_held():  # it logs its delegates
            interpreter = _litert("interpreter").Interpreter(model_path=str(path))
            runner = interpreter.get_signature_runner()

        def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            with backend.native_stderr_held():
                return dict(runner(**{IMAGES: pixels}))

        return run

    def add_facts(self, path: Path, facts: Mapping[str, object]) -> None:
        import flatbuffers  # type: ignore[import-untyped]  # noqa: PLC0415  # comes with LiteRT

        schema = _litert("schema_py_generated")
        model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        entry.name, entry.buffer = FACTS, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
        builder = flatbuffers.Builder(path.stat().st_size)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        path.write_bytes(builder.Output())

    def read_facts(self, path: Path) -> dict[str, object]:
        schema = _litert("schema_py_generated")
        model = schema.Model.GetRootAs(path.read_bytes(), 0)
        entries = (model.Metadata(index) for index in range(model.MetadataLength()))
        entry = next(entry for entry in entries if entry.Name() == FACTS.encode())
        return dict(json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()))


FORMAT = LiteRTFormat()


def _litert(module: str) -> Any:
    with extra_imported(PACKAGE, "litert"):
        return importlib.import_module(f"ai_edge_litert.{module}")
