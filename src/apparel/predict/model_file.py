"""A model file, or a run that has one → its examined content and its description."""

import json
import math
import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apparel.core.errors import ModelFileError
from apparel.core.messages import fits_one_line, shown
from apparel.core.model_formats import (
    FACTS_FORMAT,
    FASHION_MNIST,
    IMAGES,
    NOVELTY,
    ONNX_FILE,
    PROBABILITIES,
)
from apparel.data import fashion_photo
from apparel.predict import onnx_check
from apparel.predict.onnx_check import wire
from apparel.predict.onnx_check.operators import FLOAT, N_IMAGES, UINT8, Tensor
from apparel.predict.onnx_check.wire import REMEDY, ProblemError

MAX_FILE = 512 << 20
CHANNELS = (1, 3)
MAX_SIDE = 1 << 10
MAX_CLASSES = 10_000
# Letters of a class name, which is the name of a folder.
MAX_NAME = 1_000
# Numbers that are neither 0 nor infinite in float32.
MIN_FLOAT, MAX_FLOAT = 2.0**-126, 2.0**127
# Characters of JSON that are read; at worst Python takes some twenty times as many bytes.
MAX_JSON = 1 << 20
# Metadata by which ONNX Runtime may take settings from the file, such as files to write.
COMMANDS = {"ort_config"}

_ONE_MODEL = "Give an .onnx file or a run."


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The description in an exported file.

    Attributes:
        class_names: one name a class, k of them.
        img_shape: height, width and channels of the input images.
        takes_photos: whether photos are brought into the form of the training images, which is
            known for Fashion-MNIST.
        threshold: the confidence below which an answer should not count, chosen on validation
            images; 0 for none, None where it is unknown.
        novelty_threshold: the score above which an image is unlike the training images; None if
            the file gives no such score.
        dataset: the name of the training data, "" where it is unknown.
        accuracy: on test images, with its interval: value, low, high and n; None where it is
            unknown.
        examples: images to try, as class name and PNG file in base64.
    """

    class_names: tuple[str, ...]
    img_shape: tuple[int, int, int]
    takes_photos: bool
    threshold: float | None
    novelty_threshold: float | None
    dataset: str
    accuracy: Mapping[str, float] | None
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file that was read, and found to be as apparel writes them.

    Attributes:
        path: of the file.
        content: the bytes that were examined, for a runtime, which must not read the file again.
        facts: the description in the file.
    """

    path: Path
    content: bytes
    facts: ModelFacts


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file and examine it.

    Args:
        path: an `.onnx` file of at most `MAX_FILE` bytes that `apparel export` wrote, or a run
            directory that has one.

    Raises:
        ModelFileError: the file is missing, broken, unsafe, or was not written by apparel.
    """
    file = _model_file(Path(path))
    content = _read(file)
    try:
        return ModelFile(path=file, content=content, facts=examine(content))
    except ProblemError as problem:
        raise ModelFileError(f"{file} {problem.verdict}: {problem}. {problem.remedy}") from problem


def examine(content: bytes) -> ModelFacts:
    """Refuse what apparel's files do not have, and give the description.

    Raises:
        ProblemError: the bytes are no ONNX file, or not one that apparel wrote.
    """
    model = wire.parse(content)
    facts = _facts(_metadata(model["metadata_props"]))
    inputs = {IMAGES: Tensor(UINT8, (N_IMAGES, *facts.img_shape))}
    outputs = {PROBABILITIES: Tensor(FLOAT, (N_IMAGES, len(facts.class_names)))}
    if facts.novelty_threshold is not None:
        outputs[NOVELTY] = Tensor(FLOAT, (N_IMAGES,))
    onnx_check.check(model, inputs, outputs, len(content))
    return facts


# -- the file --------------------------------------------------------------------------


def _model_file(path: Path) -> Path:
    """Find the model file that a path names.

    Raises:
        ModelFileError: it is a folder without one.
    """
    if not os.path.isdir(path):  # noqa: PTH112  # a Path throws at names that cannot be
        return path
    inside = path / ONNX_FILE
    if not inside.is_file():
        raise ModelFileError(
            f"the folder {path} holds no {ONNX_FILE}. Give an .onnx file or a finished run, or "
            f"write it with: apparel export {path} --format onnx"
        )
    return inside


def _read(path: Path) -> bytes:
    """Give the content of a file.

    Raises:
        ModelFileError: it is missing, empty, too large, of another kind, or cannot be read.
    """
    try:
        _check_kind(path, path.stat())  # a pipe would wait, a device may act
        # It may be replaced now, so it is opened without waiting, and checked again.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            _check_kind(path, status)
            content = file.read(status.st_size)
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no model file {path}. {_ONE_MODEL}") from error
    except (OSError, ValueError) as error:  # no permission; a name that cannot be
        raise ModelFileError(
            f"the model file {path} cannot be read ({error}). {_ONE_MODEL}"
        ) from error
    if not content:
        raise ModelFileError(f"{path} is empty: 0 bytes, expected an ONNX model. {REMEDY}")
    return content


def _check_kind(path: Path, status: os.stat_result) -> None:
    """Refuse what is no regular file, or one of another format or size."""
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(
            f"there is no model file {path}: it is a folder, pipe or device. {_ONE_MODEL}"
        )
    if path.suffix == ".keras":
        raise ModelFileError(f"{path} is a Keras file, and predicting needs an ONNX file. {REMEDY}")
    if status.st_size > MAX_FILE:
        raise ModelFileError(
            f"{path} has {status.st_size:,} bytes, and models of at most {MAX_FILE:,} are opened. "
            "Write a smaller one with: apparel export RUN --format onnx"
        )


# -- the description -----------------------------------------------------------------


def _metadata(entries: list[wire.Message]) -> dict[str, str]:
    """Give the metadata by name.

    Raises:
        ProblemError: an entry has no name or no value, a name occurs twice, or commands a runtime.
    """
    found: dict[str, str] = {}
    for entry in entries:
        key = entry.get("key", "")
        if not key or "value" not in entry or key in found:
            raise ProblemError(f"its metadata have {shown(key)} twice, or without name or value")
        if key in COMMANDS:
            raise ProblemError(f"its metadata have {shown(key)}, a command to a runtime")
        found[key] = entry["value"]
    return found


def _facts(metadata: Mapping[str, str]) -> ModelFacts:
    """Read the description.

    Raises:
        ProblemError: something needed is missing or makes no sense.
    """
    written_by = _json(metadata, "apparel")
    form = written_by.get("format") if isinstance(written_by, dict) else None
    if isinstance(form, int | float) and form > FACTS_FORMAT:
        raise ProblemError(
            f"it describes itself in form {shown(form)}, and this one reads form {FACTS_FORMAT}",
            remedy="Update: pip install -U apparel",
        )
    class_names, img_shape = _class_names(metadata), _img_shape(metadata)
    # What is only shown need not be there, and in another form it is left out.
    is_photo = img_shape == fashion_photo.IMG_SHAPE
    return ModelFacts(
        class_names=class_names,
        img_shape=img_shape,
        takes_photos=is_photo and _shown_json(metadata, "photo_steps") == FASHION_MNIST,
        threshold=_number(metadata, "threshold", 0, 1),
        novelty_threshold=_number(metadata, "novelty_threshold", MIN_FLOAT, MAX_FLOAT),
        dataset=_source(_shown_json(metadata, "dataset")),
        accuracy=_accuracy(_shown_json(metadata, "accuracy")),
        examples=_examples(_shown_json(metadata, "examples"), class_names),
    )


def _json(metadata: Mapping[str, str], key: str) -> Any:
    """A value of the metadata; None where it is missing.

    Raises:
        ProblemError: it is not JSON, or too deep or long to be read.
    """
    text = metadata.get(key, "null")
    if len(text) > MAX_JSON:
        raise ProblemError(f"its {key} has {len(text):,} characters, expected up to {MAX_JSON:,}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ProblemError(f"its {key} is {shown(text)}, expected JSON") from None


def _class_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    names = _json(metadata, "class_names")
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= MAX_CLASSES
        or not all(isinstance(name, str) and len(name) <= MAX_NAME for name in names)
    ):
        raise ProblemError(
            f"its class_names are {shown(names)}, expected a list of 1 to {MAX_CLASSES:,} names of "
            f"at most {MAX_NAME:,} letters"
        )
    for name in names:
        if not (name.strip() and fits_one_line(name)):
            raise ProblemError(f"it has a class {shown(name)}, expected a name that can be shown")
    if len(set(names)) < len(names):
        raise ProblemError(f"its class_names are {shown(names)}, expected each once")
    return tuple(names)


def _img_shape(metadata: Mapping[str, str]) -> tuple[int, int, int]:
    match _json(metadata, "img_shape"):
        case [int() as height, int() as width, int() as channels] as sizes if (
            bool not in map(type, sizes)
            and channels in CHANNELS
            and all(1 <= side <= MAX_SIDE for side in (height, width))
        ):
            return height, width, channels
        case sizes:
            raise ProblemError(
                f"its img_shape is {shown(sizes)}, expected [height, width, channels] of 1 or 3 "
                f"channels and at most {MAX_SIDE:,} pixels a side"
            )


def _number(metadata: Mapping[str, str], key: str, low: float, high: float) -> float | None:
    """A number within a range; None where the file has none."""
    value = _json(metadata, key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ProblemError(f"its {key} is {shown(value)}, expected a number from {low} to {high}")
    return float(value)


_ODD = (KeyError, TypeError, ValueError, OverflowError)


def _shown_json(metadata: Mapping[str, str], key: str) -> Any:
    """A value of the metadata that is only shown; None where it cannot be read."""
    with suppress(ProblemError):
        return _json(metadata, key)
    return None


def _source(dataset: Any) -> str:
    """The name of the data that a model was trained on."""
    with suppress(*_ODD):
        source = str(dataset["source"] or "")
        return source if source.isprintable() else ""
    return ""


def _accuracy(known: Any) -> dict[str, float] | None:
    """An accuracy with its interval."""
    with suppress(*_ODD):
        shares = {key: float(known[key]) for key in ("value", "low", "high")}
        n_images = int(known["n"])
        if all(map(math.isfinite, (*shares.values(), n_images))):
            return {**shares, "n": n_images}
    return None


def _examples(known: Any, class_names: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Images to try, of known classes."""
    with suppress(*_ODD):
        found = tuple((str(example["label"]), str(example["png"])) for example in known)
        return tuple((label, png) for label, png in found if label in class_names and png.isascii())
    return ()
