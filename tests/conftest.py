"""Fixtures that several test files share."""

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.datasets import load_digits

from apparel.cli.main import main
from apparel.core import backend
from apparel.core.records import UNCALIBRATED, Abstention, History, Interval, Reliability
from apparel.models import architectures

# Before any test imports it: TensorFlow's kernels are chosen at the import.
keras = backend.load_keras()

mpl.use("agg")  # a developer's screen must not fill with windows

# The fields of an Evaluation about confidences, where a test is about others.
NO_RELIABILITY = Reliability(bins=(), expected_calibration_error=Interval(0.0, 0.0, 1.0))
UNSURE = {
    "calibration": UNCALIBRATED,
    "reliability": NO_RELIABILITY,
    "reliability_before": NO_RELIABILITY,
    "abstention": Abstention(
        thresholds=np.zeros(0),
        coverages=np.zeros(0),
        accuracies=np.zeros(0),
        coverage=None,
        accuracy=None,
    ),
}

SMALL = (8, 9, 1)  # sides of different length, so that no swap goes unseen

ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="is about the TensorFlow backend"
)


class Result(NamedTuple):
    """How a command ended, as `subprocess.CompletedProcess` names it."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Result]


def run_command(*arguments: object, cwd: Path) -> Result:
    """Run the command in this process, in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's
            code = int(end.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def without_dropout(model: keras.Model) -> keras.Model:
    """The same model, weights included, with dropout that drops nothing: a training copy draws
    other random numbers."""

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Dropout):
            config["rate"] = 0.0
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep decoded images out of the user's cache, in commands that tests run as well."""
    os.environ["APPAREL_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def model() -> Any:
    """An untrained model of three classes."""
    return architectures.create("cnn", n_classes=3, img_shape=SMALL, seed=0)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """Seven images for `model`."""
    return np.random.default_rng(0).integers(0, 256, (7, *SMALL), dtype=np.uint8)


@pytest.fixture(scope="session")
def expected(model: Any, pixels: np.ndarray) -> np.ndarray:
    """What `model` says of `pixels`."""
    return np.asarray(model(pixels / np.float32(255)))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in an empty folder."""
    return lambda *arguments: run_command(*arguments, cwd=tmp_path)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The run directory and output of one small run on real data; tests never change it."""
    folder = tmp_path_factory.mktemp("finished")
    result = run_command(
        "run", "--limit", 1000, "--epochs", 1, "--seed", 3, "--batch-size", 100, "--dtype",
        "float32", "--weight-averaging", 0.5, "--run-dir", "run", "--save", "copy.keras",
        cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder / "run", result


@pytest.fixture
def run_copy(finished_run: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of the finished run, for tests that change it."""
    return Path(shutil.copytree(finished_run[0], tmp_path / "run"))


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of 400 handwritten digits, uint8 (n, 64), and their labels."""
    x, y = load_digits(return_X_y=True)
    return (x[:400] * 15).astype(np.uint8), y[:400]


@pytest.fixture(scope="session")
def digits_file(
    digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """These digits as a data set, 8 x 8, a fifth of them for testing."""
    x, y = digits[0].reshape(-1, 8, 8), digits[1]
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x_train=x[:320], y_train=y[:320], x_test=x[320:], y_test=y[320:])
    return path


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[History]:
    """Let training end at once, with fresh weights; gives the histories, which tests may change."""
    made = History(
        history={"loss": (2.3,), "accuracy": (0.1,), "val_loss": (2.3,), "val_accuracy": (0.1,)},
        seconds=(0.1,),
        dtype="float32",
    )
    histories = [made]
    monkeypatch.setattr("apparel.training.fit.fit", lambda *_, **__: histories[-1])
    return histories
