"""Model → files, each reloaded in its own runtime and compared before it is accepted."""

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from apparel import backend
from apparel.errors import ApparelError, ModelFileError
from apparel.files import atomic_path
from apparel.formats import format_of
from apparel.novelty import score
from apparel.novelty_graph import add_novelty
from apparel.records import Novelty

# Rounding differs between runtimes; probabilities of a faithful copy differ by about 1e-6.
TOLERANCE = 1e-4
# Novelty scores have no upper limit, so theirs is relative; they differ by about 1e-5.
NOVELTY_TOLERANCE = 1e-3
# Pixel values that an exported file is given at once: its layers need some hundred times as much.
VALUES_AT_ONCE = 1 << 20
# ONNX's named axis for "any number of images".
BATCH_AXIS = "batch"


def export(
    model: Any,
    path: str | os.PathLike[str],
    *,
    images: NDArray[np.float32],
    class_names: tuple[str, ...],
    metadata: Mapping[str, object],
    novelty: Novelty | None = None,
) -> Path:
    """Write a model in the format that the suffix names, and prove that it is the same model.

    Args:
        model: a float32 `keras.Model` taking images in [0, 1].
        path: where to; the suffix is one of `formats.SUFFIXES`. An existing file is replaced.
        images: shape (n, h, w, c), in [0, 1], to compare the copy on.
        class_names: one a class.
        metadata: further facts for the file, each written as JSON (ONNX only).
        novelty: what the training images look like. With it, an ONNX file also gives each image's
            novelty score, and has its threshold as the fact "novelty_threshold"; one without a
            threshold is left out.

    Returns:
        The path.

    Raises:
        UsageError: no format has this suffix.
        ApparelError: the written file gives other probabilities or scores and was not kept, or
            Keras lacks a package to write it.
        OSError: the file cannot be written.
    """
    kind = format_of(path)
    pixels = np.rint(images * 255).astype(np.uint8)
    scaled = np.asarray(pixels / np.float32(255), np.float32)
    expected = np.asarray(model.predict(scaled, verbose=0))
    with atomic_path(path) as temporary:
        if kind == "keras":
            model.save(temporary)
            copy = load_keras_model(temporary).predict(scaled, verbose=0)
        else:
            facts = {"class_names": class_names, "img_shape": pixels.shape[1:], **metadata}
            _write_onnx(model, temporary, facts, novelty)
            copy = _run_onnx(temporary, pixels, "probabilities")
        _check_same(expected, np.asarray(copy), path)
        if kind == "onnx" and _is_told(novelty):
            _check_same_scores(
                score(novelty, scaled), _run_onnx(temporary, pixels, "novelty"), path
            )
    return Path(path)


def load_keras_model(path: str | os.PathLike[str]) -> Any:
    """Open a `.keras` file in Keras's safe mode.

    Returns:
        The `keras.Model`.

    Raises:
        ModelFileError: it is missing, broken, or no Keras model.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}. Give a .keras file of a run.")
    keras = backend.load_keras()
    try:
        return keras.models.load_model(path, safe_mode=True)
    except Exception as error:  # a broken file fails anywhere inside Keras
        reason = str(error).partition("\n")[0]
        raise ModelFileError(
            f"{path} is not a model that Keras can open ({reason}). "
            "Give a .keras file that apparel or Keras 3 saved."
        ) from error


def _write_onnx(
    model: Any, path: Path, facts: Mapping[str, object], novelty: Novelty | None
) -> None:
    """Write raw uint8 images → named probabilities, scaling included, facts as metadata."""
    import onnx  # noqa: PLC0415  # only where a file is written

    keras = backend.load_keras()
    images = keras.layers.Input(model.input_shape[1:], dtype="uint8", name="images")
    probabilities = model(keras.layers.Rescaling(1 / 255, dtype="float32")(images))
    deployed = keras.Model(images, probabilities)
    deployed(np.zeros((1, *model.input_shape[1:]), np.uint8))  # Keras exports called models only
    with warnings.catch_warnings():
        # Keras's patch for tf2onnx touches NumPy names that warn.
        warnings.simplefilter("ignore")
        try:
            deployed.export(path, format="onnx", verbose=False)
        except ImportError as error:
            raise ApparelError(
                f"Keras cannot write ONNX on the backend {keras.backend.backend()}: {error} "
                "Or set KERAS_BACKEND=tensorflow and use: apparel export RUN --format onnx"
            ) from error
    proto = onnx.load(path)
    _name_output(proto.graph, "probabilities")
    for tensor in (*proto.graph.input, *proto.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    if _is_told(novelty):
        add_novelty(proto.graph, novelty, images="images", output="novelty", axis=BATCH_AXIS)
        facts = {**facts, "novelty_threshold": novelty.threshold}
    for key, value in facts.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def _name_output(graph: Any, name: str) -> None:
    """Rename the only output of an ONNX graph, and whatever refers to it."""
    old = graph.output[0].name
    graph.output[0].name = name
    for node in graph.node:
        node.input[:] = [name if tensor == old else tensor for tensor in node.input]
        node.output[:] = [name if tensor == old else tensor for tensor in node.output]


def _is_told(novelty: Novelty | None) -> TypeGuard[Novelty]:
    """Whether a file can tell which images are unlike the training images."""
    return novelty is not None and novelty.threshold is not None


def _run_onnx(path: Path, images: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
    """One of a file's outputs, by ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415  # only where a file is written

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    step = max(VALUES_AT_ONCE // math.prod(images.shape[1:]), 1)
    return np.concatenate(
        [
            session.run([output], {"images": images[start : start + step]})[0]
            for start in range(0, len(images), step)
        ]
    )


def _check_same(
    expected: NDArray[np.float32], copy: NDArray[np.float32], path: str | os.PathLike[str]
) -> None:
    """Refuse a copy that is not the model.

    Raises:
        ApparelError: a probability differs by more than `TOLERANCE`.
    """
    if not np.isfinite(expected).all():
        raise ApparelError(
            f"{path} was not written: the model gives probabilities that are not finite numbers, "
            "because training diverged. Train again with a smaller learning rate."
        )
    difference = (
        float(np.abs(expected - copy).max()) if expected.shape == copy.shape else float("inf")
    )
    if not difference <= TOLERANCE:  # also true for NaN
        raise ApparelError(
            f"{path} was not written: read back, its probabilities differ from the model's by "
            f"up to {difference:.2g}, and at most {TOLERANCE:g} is allowed. Please report this, "
            "with the model's summary and the output of `pip freeze`."
        )


def _check_same_scores(
    expected: NDArray[np.float32], copy: NDArray[np.float32], path: str | os.PathLike[str]
) -> None:
    """Refuse a copy that gives other novelty scores.

    Raises:
        ApparelError: a score differs by more than `NOVELTY_TOLERANCE` of it.
    """
    if expected.shape != copy.shape or not np.allclose(copy, expected, rtol=NOVELTY_TOLERANCE):
        raise ApparelError(
            f"{path} was not written: read back, its novelty scores differ from those of the "
            f"training images' statistics by more than {NOVELTY_TOLERANCE:g} of them. Please "
            "report this, with the output of `pip freeze`."
        )
