"""One measured training in a process of its own: what the rows of the benchmark are made of.

    python -m benchmarks.measure plain SEED            the first program in plain Keras, not seeded
    python -m benchmarks.measure apparel SEED OPTIONS  apparel, OPTIONS as JSON
    python -m benchmarks.measure gradient_boosting|svm SEED   scikit-learn
    python -m benchmarks.measure machine               the processor and its TFLOP/s

Prints one line of JSON. The test images are scored once, after the clock has stopped.
"""

import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import SVC

from apparel import ApparelClassifier
from apparel.core import backend
from apparel.data import loading
from benchmarks.record import Measured

BATCH_SIZE = 128
EPOCHS = 15
PACKAGES = ("apparel", "keras", "tensorflow-cpu", "numpy", "scikit-learn")


def plain_model() -> Any:
    """The first program's network, compiled as it compiles it."""
    keras = backend.load_keras()
    layers = keras.layers
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
    return model


def plain(seed: int) -> Measured:  # noqa: ARG001  # numbers the run
    """Plain Keras: float32, 15 epochs, a tenth held out.

    Not seeded, as the first program is not, and because Keras 3.15 on TensorFlow shows the images
    in the same order in every epoch once `keras.utils.set_random_seed` was called.
    """
    # As a user gets it, without the settings that apparel makes before the import.
    keras = importlib.import_module("keras")
    loading.load()  # so that Keras finds the files in its cache
    (images, labels), (test_images, test_labels) = keras.datasets.fashion_mnist.load_data()
    images, test_images = (x[..., None].astype("float32") / 255 for x in (images, test_images))
    labels = keras.utils.to_categorical(labels, 10)
    model = plain_model()
    start = time.perf_counter()
    model.fit(images, labels, batch_size=BATCH_SIZE, epochs=EPOCHS, validation_split=0.1, verbose=0)
    seconds = time.perf_counter() - start
    memory = peak_memory()
    right = model.predict(test_images, verbose=0).argmax(axis=1) == test_labels
    return {
        "accuracy": float(right.mean()),
        "seconds": seconds,
        "images_per_second": EPOCHS * 0.9 * len(images) / seconds,
        "peak_memory_mb": memory,
        "dtype": "float32",
        **size_of(model),
    }


def apparel(seed: int, options: dict[str, Any]) -> Measured:
    """A classifier with these options, from its first layer to its last step."""
    classifier = ApparelClassifier(seed=seed, **options)
    classifier.import_data().prepare_data()
    start = time.perf_counter()
    classifier.create_model().setup_model()
    history = classifier.run_training()
    seconds = time.perf_counter() - start
    memory = peak_memory()
    metrics = classifier.test_model().metrics
    shown = (1 - classifier.validation_split) * len(classifier.train_images)
    return {
        "accuracy": metrics["accuracy"].value,
        "flip_averaged": getattr(metrics.get("accuracy_flip_averaged"), "value", None),
        "view_averaged": getattr(metrics.get("accuracy_view_averaged"), "value", None),
        "seconds": seconds,
        # Time may end the last epoch early.
        "images_per_second": shown / statistics.mean(history.seconds[:-1] or history.seconds),
        "epochs": history.epochs,
        "peak_memory_mb": memory,
        "dtype": history.dtype,
        "validation_accuracy": history.history["val_accuracy"][-1],
        **size_of(classifier.model),
    }


def gradient_boosting(seed: int) -> Measured:
    """Histogram gradient boosting, as scikit-learn sets it up, on all training images."""
    return sklearn_measured(HistGradientBoostingClassifier(random_state=seed), seed, 60_000)


def svm(seed: int) -> Measured:
    """A support vector machine with an RBF kernel, on a third of the images, drawn at random."""
    return sklearn_measured(SVC(C=10), seed, 20_000)


def sklearn_measured(estimator: Any, seed: int, n_images: int) -> Measured:
    """Fit on so many training images, score on all test images."""
    dataset = loading.load()
    order = np.random.default_rng(seed).permutation(len(dataset.train_images))[:n_images]
    images = dataset.train_images.reshape(len(dataset.train_images), -1)[order] / 255
    start = time.perf_counter()
    estimator.fit(images, dataset.train_labels[order])
    seconds = time.perf_counter() - start
    memory = peak_memory()
    test_images = dataset.test_images.reshape(len(dataset.test_images), -1) / 255
    return {
        "accuracy": float(estimator.score(test_images, dataset.test_labels)),
        "seconds": seconds,
        "peak_memory_mb": memory,
        "training_images": n_images,
    }


def machine() -> Measured:
    """The machine and the versions, and what it reaches on a matrix product and a convolution."""
    return {
        "processor": backend.processor_name(),
        "instruction_sets": sorted(
            {"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & backend.processor_flags()
        ),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "ceiling": ceiling(),
    }


def ceiling() -> dict[str, float]:
    """TFLOP/s of a large matrix product and a wide convolution, in both number formats."""
    backend.load_keras()  # first, as it chooses TensorFlow's kernels
    import tensorflow as tf  # noqa: PLC0415  # seconds, and only here

    found: dict[str, float] = {}
    for dtype in (tf.float32, tf.bfloat16):
        matrix = tf.cast(tf.random.normal((2048, 2048)), dtype)
        product = tf.function(lambda a: tf.matmul(a, a))
        images = tf.cast(tf.random.normal((256, 14, 14, 256)), dtype)
        kernel = tf.cast(tf.random.normal((3, 3, 256, 256)), dtype)
        convolution = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
        found[f"{dtype.name}_matmul_tflops"] = 2 * 2048**3 / fastest(product, matrix) / 1e12
        flops = 2 * 9 * 256 * 256 * 14 * 14 * 256
        found[f"{dtype.name}_conv_tflops"] = flops / fastest(convolution, images, kernel) / 1e12
    return found


def fastest(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of the fastest of ten calls."""
    times = []
    for _ in range(11):
        start = time.perf_counter()
        function(*arguments).numpy()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def size_of(model: Any) -> Measured:
    """Weights, and floating-point operations of a forward pass of one image.

    A multiplication and an addition are two operations; only convolutions and dense layers
    count. Training takes three times as many: a step back costs two forward ones.
    """
    layers = backend.load_keras().layers
    flops = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            flops += 2 * int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:3]))
        elif isinstance(layer, layers.Dense):
            flops += 2 * int(np.prod(layer.kernel.shape))
    return {"parameters": model.count_params(), "flops_per_image": flops}


def peak_memory() -> float:
    """Highest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


WAYS: dict[str, Callable[..., Measured]] = {
    "plain": plain,
    "apparel": apparel,
    "gradient_boosting": gradient_boosting,
    "svm": svm,
    "machine": machine,
}

if __name__ == "__main__":
    way, *arguments = sys.argv[1:]
    with contextlib.redirect_stdout(io.StringIO()):
        measured = WAYS[way](*map(json.loads, arguments))
    print(json.dumps(measured))
