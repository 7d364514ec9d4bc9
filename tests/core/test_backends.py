"""A small run on another backend than TensorFlow, and in float32."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apparel.data import loading


@pytest.mark.parametrize("model", ["cnn", "fast", "best"])
def test_every_model_trains_on_torch(model: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    loading.load()  # the child finds it in Keras's cache
    arguments = ["run", "--model", model, "--limit", "300", "--epochs", "2", "--run-dir", "run"]
    if model != "cnn":
        arguments += ["--width", "8", "--batch-size", "30"]
    done = subprocess.run(
        [sys.executable, "-m", "apparel", *arguments],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["accuracy"]["value"] > 0.25  # chance is 0.1
