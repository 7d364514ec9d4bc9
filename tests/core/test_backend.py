"""Keras is imported quietly, seeded and given the number format that suits the machine."""

import importlib
import itertools
import json
import os
import random
import re
import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.data import loading
from apparel.predict.model_file import read_model
from tests.conftest import ON_TENSORFLOW


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Give the machine a processor with these flags, and no GPU."""

    def make(flags):
        info = tmp_path / "cpuinfo"
        info.write_text(
            f"processor\t: 0\nmodel name\t: Made-up CPU @ 2.0: GHz\nflags\t\t: {flags}\n\n"
            "processor\t: 1\nmodel name\t: Another\nflags\t\t: fpu\n"
        )
        monkeypatch.setattr(backend, "CPU_INFO", info)
        monkeypatch.setattr(backend, "_compute_capabilities", list)

    return make


# -- number format ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "speedup", "policy"),
    [("amx_bf16", 1.94, "mixed_bfloat16"), ("avx512_bf16", 0.56, "float32")],
)
def test_a_processor_with_bfloat16_is_measured(cpu, monkeypatch, flag, speedup, policy):
    cpu(f"fpu {flag}")
    assert backend.processor_flags() == {"fpu", flag}
    assert backend.processor_name() == "Made-up CPU @ 2.0: GHz"
    monkeypatch.setattr(backend, "bfloat16_speedup", lambda: speedup)
    chosen = backend.choose_number_format("auto")
    assert chosen.policy == policy
    assert f"{speedup:.1f} times as fast in bfloat16" in chosen.reason


def test_a_processor_without_bfloat16_gets_float32_unmeasured(cpu, monkeypatch, tmp_path):
    monkeypatch.setattr(backend, "bfloat16_speedup", pytest.fail)
    cpu("fpu avx512f amx_tile")
    chosen = backend.choose_number_format("auto")
    assert chosen.policy == "float32"
    assert chosen.reason == "this processor has neither AMX nor AVX512-BF16"
    monkeypatch.setattr(backend, "CPU_INFO", tmp_path / "missing")
    assert backend.choose_number_format("auto") == chosen
    assert backend.processor_flags() == frozenset()
    assert backend.processor_name() != ""


@pytest.mark.parametrize("slow", ["float32", "bfloat16"])
def test_the_measured_speedup_is_of_the_fastest_convolution(monkeypatch, slow):
    convolve, clock = keras.ops.conv, itertools.count()
    calls = []

    def slowed(x, kernel, **options):
        dtype = keras.backend.standardize_dtype(x.dtype)
        calls.append(dtype)
        # One hiccup of either format must not decide.
        ticks = 50 if len(calls) < 3 else 4 if dtype == slow else 1
        for _ in range(ticks):
            next(clock)
        return convolve(x, kernel, **options)

    monkeypatch.setattr(keras.ops, "conv", slowed)
    monkeypatch.setattr(backend.time, "perf_counter", lambda: next(clock))
    speedup = backend.bfloat16_speedup.__wrapped__()
    # A reading of the clock is a tick, too.
    assert speedup == (5 / 2 if slow == "float32" else 2 / 5)
    assert calls.count("float32") == calls.count("bfloat16") == backend.MEASUREMENTS


@pytest.mark.parametrize(
    ("gpus", "policy"),
    [([(9, 0), (8, 0)], "mixed_bfloat16"), ([(8, 0), (7, 5)], "float32")],
)
def test_a_gpu_decides_instead_of_the_processor(cpu, monkeypatch, gpus, policy):
    cpu("fpu" if policy == "mixed_bfloat16" else "amx_bf16")
    monkeypatch.setattr(backend, "_compute_capabilities", lambda: gpus)
    chosen = backend.choose_number_format("auto")
    assert chosen.policy == policy
    assert "GPU" in chosen.reason


def test_a_number_format_that_was_asked_for_is_used_anywhere(cpu):
    for flags, dtype in (("fpu", "mixed_bfloat16"), ("amx_bf16", "float32")):
        cpu(flags)
        assert backend.choose_number_format(dtype) == backend.NumberFormat(dtype, "asked for")


@ON_TENSORFLOW
def test_the_compute_capability_of_each_gpu_is_asked_for(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    details = {"new": {"compute_capability": (9, 0)}, "unknown": {}}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    assert backend._compute_capabilities() == [(9, 0), (0, 0)]
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert backend._compute_capabilities() == []


# -- seeds -----------------------------------------------------------------------------


def draws():
    # The global generators are what is under test.
    return random.random(), np.random.random(), float(keras.random.uniform(()))  # noqa: NPY002, S311


def test_seeding_fixes_python_numpy_and_keras():
    first, again, other = (backend.seed_everything(seed) or draws() for seed in (5, 5, 6))
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


@ON_TENSORFLOW
def test_seeding_makes_tensorflow_deterministic():
    config = importlib.import_module("tensorflow.python.framework.config")
    config.disable_op_determinism()
    backend.seed_everything(0)
    assert config.is_op_determinism_enabled()


# -- a quiet import --------------------------------------------------------------------


def test_native_chatter_is_dropped_when_the_block_succeeds(capfd):
    with backend.native_stderr_held():
        os.write(2, b"native chatter\n")
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'child')"], check=True)
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("", "after\n")


@pytest.mark.parametrize("error", [ImportError("x"), KeyboardInterrupt()])
def test_native_chatter_is_shown_when_the_block_fails(capfd, error):
    def chatter_and_fail():
        with backend.native_stderr_held():
            os.write(2, b"native chatter\n")
            raise error

    with pytest.raises(type(error)):
        chatter_and_fail()
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("", "native chatter\nafter\n")


@pytest.mark.slow
def test_loading_keras_in_a_new_process_says_nothing():
    code = "from apparel.core import backend; print(backend.load_keras().__name__)"
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("keras\n", "")


def test_onednns_kernels_are_used_on_any_x86_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setattr(backend.platform, "machine", lambda: "AMD64")
    monkeypatch.setattr(importlib, "import_module", lambda _name: keras)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "")  # restored at the end
    for given, used in ((None, "1"), ("0", "0")):
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS")
        if given:
            os.environ["TF_ENABLE_ONEDNN_OPTS"] = given
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        assert backend.load_keras() is keras
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == used


def test_a_missing_or_unknown_backend_is_named_with_what_helps(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras")
    for name, error in (
        ("tensorflow", ModuleNotFoundError("No module named 'tensorflow'")),
        ("nonsense", ValueError("Unable to import backend : nonsense")),
    ):
        monkeypatch.setattr(importlib, "import_module", mock.Mock(side_effect=error))
        monkeypatch.setenv("KERAS_BACKEND", name)
        expected = f"with the backend {name}: {error}. Training needs"
        with pytest.raises(ApparelError, match=re.escape(expected)):
            backend.load_keras()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn", "fast --width 8 --batch-size 30"])
def test_models_train_on_torch(model, tmp_path):
    pytest.importorskip("torch")
    loading.load()  # the child finds it in Keras's cache
    options = f"run --limit 300 --epochs 2 --run-dir run --model {model}"
    done = subprocess.run(
        [sys.executable, "-m", "apparel", *options.split()],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["accuracy"]["value"] > 0.25  # chance is 0.1
    read_model(tmp_path / "run")  # PyTorch's exporter writes other operators
