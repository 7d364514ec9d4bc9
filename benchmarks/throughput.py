"""Training throughput of apparel's default model against plain Keras, side by side.

Three ways to train the same network on the same Fashion-MNIST images take turns, each in a
process of its own, round by round, so that a machine whose speed drifts treats them alike:

plain     Keras as its documentation shows it: float32, `fit` with a validation split
apparel   `ApparelClassifier.run_training` as it is
unseeded  the same without the backend's deterministic operations: what determinism costs

A process trains two epochs and reports the second, so that start-up is not counted. The result
is the ratio within each round; its median is what to quote.

    python benchmarks/throughput.py [--rounds N] [--images N]
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from apparel import ApparelClassifier, backend

RESULT = Path(__file__).parent / "results" / "throughput.json"
EPOCHS = 2
BATCH_SIZE = 128


def plain_keras(n_images: int) -> float:
    """Images per second of plain Keras, in the second epoch."""
    keras = backend.load_keras()
    layers = keras.layers
    keras.utils.set_random_seed(0)
    (images, labels), _ = keras.datasets.fashion_mnist.load_data()
    images = images[:n_images, ..., None].astype("float32") / 255
    labels = keras.utils.to_categorical(labels[:n_images], 10)
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", kernel_initializer="he_normal"),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    metrics = ["accuracy", keras.metrics.Precision(), keras.metrics.Recall()]
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", metrics=metrics)
    starts: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda _epoch, _logs: starts.append(time.perf_counter())
    )
    model.fit(
        images,
        labels,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_split=0.1,
        verbose=0,
        callbacks=[clock],
    )
    return 0.9 * n_images / (time.perf_counter() - starts[-1])


def apparel(n_images: int) -> float:
    """Images per second of `ApparelClassifier`, in the second epoch."""
    classifier = ApparelClassifier(limit=n_images, epochs=EPOCHS, batch_size=BATCH_SIZE)
    classifier.import_data().prepare_data().create_model().setup_model()
    return 0.9 * n_images / classifier.run_training().seconds[-1]


def unseeded(n_images: int) -> float:
    """Images per second of `ApparelClassifier` without deterministic operations."""
    backend.seed_everything = backend.load_keras().utils.set_random_seed
    return apparel(n_images)


WAYS = {"plain": plain_keras, "apparel": apparel, "unseeded": unseeded}


def measure(way: str, n_images: int) -> float:
    """Run one way in a process of its own and give its images per second."""
    result = subprocess.run(
        [sys.executable, __file__, "--way", way, "--images", str(n_images)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(result.stdout)


def summary(rounds: list[dict[str, float]], n_images: int) -> dict[str, object]:
    """Lay out what was measured, with hardware, versions and command."""
    ratios = {
        "apparel / plain": [r["apparel"] / r["plain"] for r in rounds],
        "apparel / unseeded": [r["apparel"] / r["unseeded"] for r in rounds],
    }
    packages = ("apparel", "keras", "tensorflow-cpu", "numpy")
    return {
        "command": f"python benchmarks/throughput.py --rounds {len(rounds)} --images {n_images}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": backend.processor_name(),
        "instruction_sets": sorted(
            {"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & backend.processor_flags()
        ),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "number_format": backend.choose_number_format("auto").policy,
        "ratios": {
            name: {
                "median": round(statistics.median(values), 2),
                "low": round(min(values), 2),
                "high": round(max(values), 2),
            }
            for name, values in ratios.items()
        },
        "images_per_second": {
            way: {
                "median": round(statistics.median(r[way] for r in rounds)),
                "rounds": [round(r[way]) for r in rounds],
            }
            for way in WAYS
        },
    }


def main() -> None:
    """Measure all ways in turn, print the ratios and keep the result."""
    parser = argparse.ArgumentParser(description="Measure training throughput.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--way", choices=WAYS, help="measure this way alone, in this process")
    asked = parser.parse_args()
    if asked.way:
        with contextlib.redirect_stdout(io.StringIO()):
            speed = WAYS[asked.way](asked.images)
        print(speed)
        return
    rounds = []
    for number in range(asked.rounds):
        rounds.append({way: measure(way, asked.images) for way in WAYS})
        print(f"round {number + 1}/{asked.rounds}", {k: round(v) for k, v in rounds[-1].items()})
    result = summary(rounds, asked.images)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result["ratios"], indent=2))


if __name__ == "__main__":
    main()
