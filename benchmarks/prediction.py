"""How fast an exported model answers, against Keras on the same model and images.

    python -m benchmarks.prediction RUN

RUN is the directory of a run on Fashion-MNIST. Keras and each runtime take turns, so that a slow
moment of the machine meets both; the best of each counts. Keras's `predict` is measured with its
own batch size, 32, and with 256. Prints a line of JSON, and keeps it in benchmarks/results/.
"""

import argparse
import csv
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core import backend
from apparel.data.sources.fashion_mnist import load_part
from apparel.predict.predictor import Predictor
from benchmarks.read_folder import write_images
from benchmarks.record import Measured, keep

ROUNDS = 3
N_FILES = 70_000
# Images of the loop that asks Keras for each alone; all would take an hour.
N_ALONE = 500
KERAS_FILE, ONNX_FILE = "model.keras", "model.onnx"


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Time a call."""
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def run_silently(command: Sequence[str]) -> None:
    """Run a command in a process of its own."""
    subprocess.run(command, check=True, capture_output=True)


def apparel_predict(*arguments: object) -> list[str]:
    """The command `apparel predict`."""
    return [sys.executable, "-m", "apparel", "predict", *map(str, arguments)]


def from_memory(run: Path, images: NDArray[np.uint8]) -> Measured:
    """Images a second, of images in memory; and the share of images of Keras's class."""
    model = backend.load_keras().models.load_model(run / KERAS_FILE)
    scaled = (images / 255).astype(np.float32)
    ways: dict[str, Callable[[], Any]] = {
        "keras_32": partial(model.predict, scaled, verbose=0),
        "keras_256": partial(model.predict, scaled, batch_size=256, verbose=0),
    }
    for path in sorted(run.glob("model*.onnx")):
        for exact in (True, False):
            predictor = Predictor(path, exact=exact)
            ways[f"{path.name}, {predictor.runtime}"] = partial(predictor.predict_proba, images)
    classes = {name: way().argmax(axis=1) for name, way in ways.items()}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way))
    rates = {name: len(images) / took for name, took in best.items()}
    return {
        "images_per_second": {name: round(rate) for name, rate in rates.items()},
        "times_keras_32": {
            name: round(rate / rates["keras_32"], 2) for name, rate in rates.items()
        },
        "same_class": {
            name: float((found == classes["keras_256"]).mean()) for name, found in classes.items()
        },
    }


def one_image(run: Path, images: NDArray[np.uint8]) -> Measured:
    """Milliseconds for one image in a running process, median of 2,000."""
    found = {}
    for exact in (True, False):
        predictor = Predictor(run / ONNX_FILE, exact=exact)
        times = [seconds(predictor.predict_proba, images[i : i + 1]) for i in range(2000)]
        found[predictor.runtime] = round(float(np.median(times)) * 1000, 3)
    return found


def whole_process(run: Path, image: Path) -> Measured:
    """Seconds for `apparel predict model.onnx one.png`, and its memory."""
    found = {}
    for options in (["--exact"], []):
        command = apparel_predict(*options, run / ONNX_FILE, image)
        times = [seconds(run_silently, command) for _ in range(9)]
        found[" ".join(["apparel predict", *options])] = {
            "median_s": round(float(np.median(times)), 3),
            "best_s": round(min(times), 3),
            "peak_mb": peak_mb(command),
        }
    return found


def peak_mb(command: Sequence[str]) -> float:
    """The peak of a command's resident memory."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "capture_output=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, capture_output=True, text=True
    )
    return round(int(done.stdout) / 1024, 1)


def bare_loop(run: Path, paths: Sequence[str], output: Path, *, batch_size: int) -> None:
    """The loop of a first program: Pillow, Keras, a table."""
    model = backend.load_keras().models.load_model(run / KERAS_FILE)
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for start in range(0, len(paths), batch_size):
            some = paths[start : start + batch_size]
            pixels = np.stack([np.asarray(Image.open(path)) for path in some])
            scaled = (pixels[..., None] / 255).astype(np.float32)
            for path, row in zip(some, model.predict(scaled, verbose=0), strict=True):
                writer.writerow([path, row.argmax(), *row])


def folder(run: Path, files: Path, scratch: Path) -> Measured:
    """Seconds from a folder of PNG files to a CSV file, each in a process of its own."""
    n_files = len(list(files.iterdir()))
    found: Measured = {}
    for name, batch_size, n in (("one_by_one", 1, N_ALONE), ("by_256", 256, n_files)):
        code = (
            "import sys; from pathlib import Path; from benchmarks.prediction import bare_loop; "
            f"paths = sorted(str(p) for p in Path(sys.argv[2]).iterdir())[:{n}]; "
            f"bare_loop(Path(sys.argv[1]), paths, Path(sys.argv[3]), batch_size={batch_size})"
        )
        command = [sys.executable, "-c", code, str(run), str(files), str(scratch / "bare.csv")]
        found[f"bare_loop_{name}_s"] = round(seconds(run_silently, command) * n_files / n, 1)
    for path in sorted(run.glob("model*.onnx")):
        for options in (["--exact"], []):
            command = apparel_predict(*options, path, files, "--output", scratch / "out.csv")
            took = min(seconds(run_silently, command) for _ in range(2))
            found[" ".join([path.name, *options])] = {
                "seconds": round(took, 1),
                "times_one_by_one": round(found["bare_loop_one_by_one_s"] / took, 1),
                "times_by_256": round(found["bare_loop_by_256_s"] / took, 2),
                "peak_mb": peak_mb(command),
            }
    return found


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description="Time an exported model against Keras.")
    parser.add_argument("run", type=Path, help="a run directory on Fashion-MNIST")
    parser.add_argument("--files", type=int, default=N_FILES, help="in the folder")
    asked = parser.parse_args()
    _, images = load_part("fashion-mnist:test")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        files = scratch / "files"
        files.mkdir()
        for path in write_images(scratch, asked.files):
            Path(path).rename(files / Path(path).name)
        found = {
            "openvino": importlib.util.find_spec("openvino") is not None,
            "whole_process": whole_process(asked.run, files / "00000.png"),
            "one_image_ms": one_image(asked.run, images),
            "from_memory": from_memory(asked.run, images),
            "folder": {"files": asked.files, **folder(asked.run, files, scratch)},
            "own_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    keep("prediction", found)


if __name__ == "__main__":
    main()
