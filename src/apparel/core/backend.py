"""Keras and its backend: a quiet import, seeds, determinism and the number format.

The code of one backend alone is here, in `models/gradients`, `models/batches`, and in
`training/fused_layers` and `distributed`, so that `KERAS_BACKEND=torch` and `jax` work as well.
"""

import functools
import importlib
import logging
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apparel.core.errors import ApparelError
from apparel.core.settings import Dtype

# Instruction sets that multiply bfloat16.
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}
CPU_INFO = Path("/proc/cpuinfo")
# TensorFlow uses oneDNN's kernels by itself only where the processor has AVX512-VNNI or later.
# With AVX2 alone they are faster than Eigen's, too: docs/performance.md has the figures.
X86_64 = ("x86_64", "amd64")
# bfloat16 needs tensor cores of NVIDIA's Ampere generation (compute capability 8.0) or newer.
BFLOAT16_COMPUTE_CAPABILITY = (8, 0)
# Of each number format; the fastest counts, and the first one may have code to generate.
MEASUREMENTS = 5


@contextmanager
def native_stderr_held() -> Iterator[None]:
    """Hold back what native code writes to descriptor 2; show it only if the block fails.

    TensorFlow logs to the descriptor before its log level can be set (TF_CPP_MIN_LOG_LEVEL
    does not reach these lines), so `sys.stderr` is not enough.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def load_keras() -> Any:
    """Import Keras with its backend, without the backend's start-up chatter.

    Returns:
        The `keras` module.

    Raises:
        ApparelError: Keras's backend is missing, unknown or broken.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if platform.machine().lower() in X86_64:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        with native_stderr_held():
            keras = importlib.import_module("keras")
    except (ImportError, ValueError) as error:
        name = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise ApparelError(
            f"Keras could not be imported with the backend {name}: {error}. Training needs a "
            "backend. Install TensorFlow with the extra cpu (NVIDIA GPU: gpu), as the README "
            "says, or set KERAS_BACKEND to one that is installed: tensorflow, torch or jax."
        ) from error
    # TensorFlow remarks on every model that is compiled after the first few.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def on_tensorflow() -> bool:
    """Tell whether TensorFlow is the backend."""
    return bool(load_keras().backend.backend() == "tensorflow")


def use_threads(count: int) -> None:
    """Set the number of TensorFlow's threads, where it is not loaded yet.

    The last bits of what is trained depend on it, as they do on the number of processors.
    """
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(count)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and the backend, and make the backend's operations deterministic.

    The backend's determinism holds for the rest of the process.

    Args:
        seed: 0 to 2**32 - 1.
    """
    load_keras().utils.set_random_seed(seed)
    if on_tensorflow():
        import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

        tf.config.experimental.enable_op_determinism()


@dataclass(frozen=True)
class NumberFormat:
    """The number format of training, and why it was chosen.

    Attributes:
        policy: a Keras dtype policy, "float32" or "mixed_bfloat16".
        reason: half a sentence for people.
    """

    policy: str
    reason: str


def choose_number_format(dtype: Dtype) -> NumberFormat:
    """Choose the number format of training for this machine.

    Args:
        dtype: "float32" or "mixed_bfloat16" to have that; "auto" for bfloat16 where the
            hardware multiplies it faster than float32. A processor is measured, once a process:
            some with AVX512-BF16 need twice as long for bfloat16 as for float32.

    Returns:
        The Keras dtype policy and the reason.
    """
    if dtype != "auto":
        return NumberFormat(dtype, "asked for")
    gpus = _compute_capabilities()
    if gpus:
        if min(gpus) >= BFLOAT16_COMPUTE_CAPABILITY:
            return NumberFormat("mixed_bfloat16", "this GPU has bfloat16 tensor cores")
        return NumberFormat("float32", "this GPU has no bfloat16 tensor cores")
    if not BFLOAT16_FLAGS & processor_flags():
        return NumberFormat("float32", "this processor has neither AMX nor AVX512-BF16")
    speedup = bfloat16_speedup()
    return NumberFormat(
        "mixed_bfloat16" if speedup > 1 else "float32",
        f"this processor convolves {speedup:.1f} times as fast in bfloat16 as in float32",
    )


@functools.cache
def bfloat16_speedup() -> float:
    """Measure how many times as fast as in float32 a convolution is in bfloat16, here and now."""
    keras = load_keras()
    random = np.random.default_rng(0)
    images = random.random((64, 14, 14, 64), dtype=np.float32)
    kernel = random.random((3, 3, 64, 64), dtype=np.float32)
    seconds = {"float32": math.inf, "bfloat16": math.inf}
    # In turns, so that a slow moment of the machine meets both.
    for _ in range(MEASUREMENTS):
        for dtype, fastest in seconds.items():
            x, k = (keras.ops.cast(array, dtype) for array in (images, kernel))
            start = time.perf_counter()
            # Only the last value is fetched, which waits for all of them.
            float(keras.ops.conv(x, k, padding="same")[-1, -1, -1, -1])
            seconds[dtype] = min(fastest, time.perf_counter() - start)
    return seconds["float32"] / seconds["bfloat16"]


def multiplies_bfloat16() -> bool:
    """Tell whether a processor computes, and has instructions for bfloat16."""
    return bool(BFLOAT16_FLAGS & processor_flags()) and not _compute_capabilities()


def _compute_capabilities() -> list[tuple[int, int]]:
    """List the compute capability of each GPU that TensorFlow sees; empty on other backends."""
    if not on_tensorflow():
        return []
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only where it is the backend

    details = (
        tf.config.experimental.get_device_details(gpu)
        for gpu in tf.config.list_physical_devices("GPU")
    )
    return [detail.get("compute_capability", (0, 0)) for detail in details]


def processor_flags() -> frozenset[str]:
    """Read the instruction sets of the processor, in Linux's names; empty where unknown."""
    return frozenset(_cpu_info("flags").split())


def processor_name() -> str:
    """Give the processor's name."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_info(key: str) -> str:
    """Read the first value of `key` in Linux's processor description; empty where there is none."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
