"""Write a model in a format, check that it is the same model, and add facts about it."""

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel._version import __version__
from apparel.core.errors import ApparelError, UsageError
from apparel.core.model_formats import INT8_FORMATS, NOVELTY, PROBABILITIES, format_of
from apparel.core.records import Exported, Novelty, Precision
from apparel.export.atomic_outputs import fingerprint, placed
from apparel.export.comparison import (
    check_finite,
    check_same,
    check_same_scores,
    compare,
    images_at_once,
    run_in_parts,
)
from apparel.export.format import Format, Network
from apparel.export.keras_format import model_run
from apparel.export.metadata import examples, file_facts
from apparel.models.novelty import score


def export(
    model: Any,
    path: str | os.PathLike[str],
    *,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    metadata: Mapping[str, object],
    novelty: Novelty | None = None,
    calibration: NDArray[np.float32] | None = None,
    show_examples: bool = False,
) -> Exported:
    """Write a model in the format that the suffix names, and check that it is the same model.

    Args:
        model: a float32 `keras.Model` taking images in [0, 1].
        path: where to; the suffix is one of `model_formats.SUFFIXES`. An earlier model is replaced.
        images: shape (n, h, w, c), in [0, 1], to compare the copy on; at least one.
        labels: shape (n,), their classes.
        class_names: one name per class.
        metadata: further facts for the file, in values that JSON knows; `.keras` holds none.
        novelty: a fitted novelty score. With it, an ONNX file also gives each image's score, and
            has its threshold as the fact "novelty_threshold"; one without a threshold is left
            out.
        calibration: shape (m, h, w, c), in [0, 1], training images, for layers in int8; None for
            float32.
        show_examples: whether the file may hold an image of each class to try.

    Returns:
        What was written.

    Raises:
        UsageError: no format has this suffix, or it knows no int8.
        ApparelError: the written file gives other probabilities or scores and was not kept, or
            a package to write or read it is missing.
        OSError: the file cannot be written.
    """
    kind = format_of(path)
    precision: Precision = "float32" if calibration is None else "int8"
    check_precision(kind, int8=precision == "int8")
    form = _format(kind)
    form.version()  # fails before any work where the runtime is missing
    pixels = _pixels(images)
    expected = run_in_parts(model_run(model), pixels)[PROBABILITIES]
    check_finite(expected, path)
    network = Network(
        model=model,
        novelty=novelty if kind == "onnx" and novelty and novelty.threshold is not None else None,
        calibration=None if calibration is None else _pixels(calibration),
    )
    shown = (
        {"examples": examples(pixels, labels, expected, class_names, metadata.get("threshold"))}
        if show_examples
        else {}
    )
    with placed(path, kind) as temporary:
        form.write(network, temporary)
        given = run_in_parts(form.open(temporary), pixels)
        found = compare(
            expected,
            given[PROBABILITIES],
            labels,
            runtime=form.runtime,
            runtime_version=form.version(),
        )
        check_same(found, precision, path)
        first = slice(images_at_once(pixels))
        if network.novelty:
            check_same_scores(
                score(network.novelty, _unit(pixels[first])), given[NOVELTY][first], path
            )
        exported = Exported(
            path=Path(path),
            format=kind,
            precision=precision,
            comparison=found,
            needs=form.needs(temporary),
            written=datetime.now().astimezone().isoformat(timespec="seconds"),
            apparel=__version__,
        )
        facts = {**file_facts(exported, class_names, pixels.shape[1:]), **metadata, **shown}
        if network.novelty:
            facts["novelty_threshold"] = network.novelty.threshold
        form.add_facts(temporary, facts)
        stated, again = form.read_facts(temporary), form.open(temporary)(pixels[first])
        same = all(np.allclose(again[key], given[key][first], rtol=1e-5) for key in given)
        if not same or (stated is not None and stated != json.loads(json.dumps(facts))):
            raise ApparelError(
                f"{path} was not written: with its facts added, it reads back as something else. "
                "Please report this, with the output of `pip freeze`."
            )
        sha256, size = fingerprint(temporary, kind)
    return replace(exported, sha256=sha256, size=size)


def _format(kind: str) -> Format:
    """Give a format of `model_formats.SUFFIXES`, from the module that is named after it."""
    form: Format = importlib.import_module(f"apparel.export.{kind}_format").FORMAT
    return form


def check_precision(kind: str, *, int8: bool) -> None:
    """Check that a format has the precision asked for.

    Raises:
        UsageError: it knows no int8.
    """
    if int8 and kind not in INT8_FORMATS:
        raise UsageError(
            f"the format {kind} has no int8. Leave out --int8, or take one of: "
            f"{', '.join(INT8_FORMATS)}."
        )


def _pixels(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale images of [0, 1] to whole numbers of 0 to 255."""
    return np.rint(images * 255).astype(np.uint8)


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale whole numbers of 0 to 255 to [0, 1]."""
    return np.asarray(pixels / np.float32(255), np.float32)
