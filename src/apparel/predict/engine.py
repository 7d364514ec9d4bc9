"""Inference engines: ONNX Runtime, or OpenVINO where it is faster."""

import functools
import io
import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import ModelFileError
from apparel.core.inference_runtimes import load_onnxruntime, load_openvino
from apparel.core.model_formats import IMAGES, PROBABILITIES
from apparel.data.decode.tasks import n_processors

# OpenVINO keeps buffers for each batch size, a megabyte or two: larger batches are multiples of
# this.
SIZE_STEP = 8


def open_engine(
    content: bytes,
    *,
    name: str,
    exact: bool,
    batch_size: int,
    n_threads: int | None,
    beside_server: bool,
) -> "OnnxRuntime | OpenVino":
    """Open a model with the fastest runtime that is installed, for use by several threads at once.

    Args:
        content: of an ONNX file that was examined.
        name: of the file, for messages.
        exact: compute in float32, even where bfloat16 is faster.
        batch_size: number of images in a full batch.
        n_threads: number of threads that compute; None for one a processor.
        beside_server: leave a processor to a server's event loop in this process.

    Raises:
        ModelFileError: the runtime cannot open it.
    """
    try:
        if not exact and _openvino_is_faster():
            return OpenVino(content, batch_size, n_threads)
        if n_threads is None and beside_server:
            # ONNX Runtime's threads wake each other for each operator, and take turns with the
            # event loop: a fifth fewer answers on two processors.
            n_threads = max(n_processors() - 1, 1)
        return OnnxRuntime(content, n_threads)
    except Exception as error:  # the runtimes' errors share no base class
        reason = str(error).partition("\n")[0]
        raise ModelFileError(
            f"{name} is not a model that can be run here ({reason}). "
            "Write one with: apparel export RUN --format onnx"
        ) from error


class OnnxRuntime:
    """ONNX Runtime on the processor, in float32.

    Attributes:
        name: of the runtime, with its version and number format.
    """

    def __init__(self, content: bytes, n_threads: int | None) -> None:
        onnxruntime = load_onnxruntime()
        self.name = f"ONNX Runtime {onnxruntime.__version__}, float32"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # failures arrive as exceptions
        # Threads that spin take time from a server or a decoder beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.intra_op_num_threads = n_threads or 0
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(content, options, providers=providers)

    def run(self, images: NDArray[np.uint8], outputs: list[str]) -> list[NDArray[np.float32]]:
        """Compute some of the outputs.

        Args:
            images: shape (n, h, w, c), n of at least 1.
            outputs: "probabilities", shape (n, k), or "novelty", shape (n,), or both.
        """
        found: list[NDArray[np.float32]] = self._session.run(outputs, {IMAGES: images})
        return found


class OpenVino:
    """OpenVINO on the processor: the network in bfloat16, novelty scores in float32."""

    def __init__(self, content: bytes, batch_size: int, n_threads: int | None) -> None:
        openvino = load_openvino()
        self.name = f"OpenVINO {openvino.__version__.partition('-')[0]}, bfloat16"
        self._openvino, self._core = openvino, openvino.Core()
        self._batch_size = batch_size
        # Pinned threads wait for each other on one processor while another idles.
        self._options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        if n_threads:
            self._options["INFERENCE_NUM_THREADS"] = n_threads
        self._model = self._core.read_model(io.BytesIO(content))
        self._compiled: dict[tuple[str, int | None], Any] = {}
        self._compiling = threading.Lock()
        self._of_thread = threading.local()
        for output in self._model.outputs:
            self._compile(output.any_name, None)

    def run(self, images: NDArray[np.uint8], outputs: list[str]) -> list[NDArray[np.float32]]:
        """Compute some of the outputs, as in `OnnxRuntime`."""
        n_images = size = len(images)
        if n_images > SIZE_STEP:  # round up, so that there are few batch sizes
            size = min(math.ceil(n_images / SIZE_STEP) * SIZE_STEP, self._batch_size)
        padding = np.zeros((size - n_images, *images.shape[1:]), np.uint8)
        padded = np.concatenate([images, padding]) if len(padding) else images
        # A model that is compiled for one batch size is faster, with the same answers.
        fixed_size = size if size == self._batch_size else None
        return [
            self._request(name, fixed_size).infer([padded])[0][:n_images].copy() for name in outputs
        ]

    def _request(self, output: str, batch_size: int | None) -> Any:
        """Give this thread's inference request for an output."""
        requests = self._of_thread.__dict__
        key = f"{output} of {batch_size}"
        if key not in requests:
            with self._compiling:
                requests[key] = self._compile(output, batch_size).create_infer_request()
        return requests[key]

    def _compile(self, output: str, batch_size: int | None) -> Any:
        """Compile an output for one batch size or, if None, for any."""
        key = output, batch_size
        if key not in self._compiled:
            model = self._model.clone()
            part = self._openvino.Model([model.output(output)], model.get_parameters())
            if batch_size is not None:
                part.reshape({IMAGES: [batch_size, *list(part.input(0).partial_shape)[1:]]})
            # Distances between statistics lose their meaning in bfloat16.
            precision = "bf16" if output == PROBABILITIES else "f32"
            options = {**self._options, "INFERENCE_PRECISION_HINT": precision}
            self._compiled[key] = self._core.compile_model(part, "CPU", options)
        return self._compiled[key]


@functools.cache
def _openvino_is_faster() -> bool:
    """Tell whether OpenVINO works, and takes half the time: this processor multiplies bfloat16."""
    if not backend.BFLOAT16_FLAGS & backend.processor_flags():
        return False
    try:
        load_openvino()
    except (ImportError, OSError):
        return False
    return True
