"""What a file says of itself, against what its graph takes and gives."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from apparel.core.messages import shown
from apparel.predict.onnx_check.problems import ProblemError
from apparel.predict.onnx_check.tensors import FLOAT, NAMES, UINT8
from apparel.predict.onnx_check.wire import Message

IMAGES, PROBABILITIES, NOVELTY = "images", "probabilities", "novelty"
CHANNELS = (1, 3)
MAX_SIDE = 1 << 10
MAX_CLASSES = 10_000
# Letters of a class name, which is the name of a folder.
MAX_NAME = 1_000
# Kinds of characters that no line can show: control characters, halves of characters, line ends.
UNSHOWN = {"Cc", "Cs", "Zl", "Zp"}
# Numbers that are neither 0 nor infinite in float32.
MIN_FLOAT, MAX_FLOAT = 2.0**-126, 2.0**127
# Of the facts themselves, as `export.facts` counts.
MAX_FORMAT = 1
# Characters of JSON that are read here; at worst Python takes some twenty times as many bytes.
MAX_JSON = 1 << 20
# Inputs or outputs that a message names.
MAX_LISTED = 4
# Metadata by which ONNX Runtime may be told to take settings from the file, such as files to write.
COMMANDS = {"ort_config"}

Declared = Mapping[str, tuple[int, tuple[int | str, ...]]]


def metadata_of(entries: list[Message]) -> dict[str, str]:
    """Names → what a file says under them.

    Raises:
        ProblemError: an entry has no name or no value, a name occurs twice, or commands a runtime.
    """
    found: dict[str, str] = {}
    for entry in entries:
        if not entry.get("key") or "value" not in entry or entry["key"] in found:
            raise ProblemError(
                f"its metadata have {shown(entry.get('key', ''))} twice, or without name or value"
            )
        if entry["key"] in COMMANDS:
            raise ProblemError(f"its metadata have {shown(entry['key'])}, a command to a runtime")
        found[entry["key"]] = entry["value"]
    return found


def check(metadata: Mapping[str, str], inputs: Declared, outputs: Declared) -> tuple[int, ...]:
    """Refuse a file that does not say what it is, or is something else.

    Args:
        metadata: what it says, as JSON.
        inputs: names → ONNX's number of the type, and the shape.
        outputs: likewise.

    Returns:
        Height, width and channels of its images.

    Raises:
        ProblemError: it lacks its description, or differs from it.
    """
    _check_format(_read(metadata, "apparel"))
    n_classes = _class_count(metadata)
    img_shape = _img_shape(metadata)
    _check_share(_read(metadata, "threshold"))
    wanted: dict[str, tuple[int, ...]] = {PROBABILITIES: (n_classes,)}
    if "novelty_threshold" in metadata:
        novelty = _read(metadata, "novelty_threshold")
        if not _is_number(novelty) or not MIN_FLOAT <= novelty <= MAX_FLOAT:
            raise ProblemError(
                f"its novelty_threshold is {shown(novelty)}, expected a float32 above 0"
            )
        wanted[NOVELTY] = ()
    _check_same(inputs, {IMAGES: img_shape}, UINT8, "takes")
    _check_same(outputs, wanted, FLOAT, "gives")
    return img_shape


def _check_same(
    given: Declared, wanted: Mapping[str, tuple[int, ...]], kind: int, verb: str
) -> None:
    """Refuse tensors that are not those of the description, for any number of images."""
    described = {name: (kind, shape) for name, shape in wanted.items()}
    found = {name: (found_kind, shape[1:]) for name, (found_kind, shape) in given.items()}
    free = all(shape and isinstance(shape[0], str) for _, shape in given.values())
    if found != described or not free:
        raise ProblemError(
            f"it {verb} {_listed(given)}, but its description says {_listed(described)} for "
            "any number of images"
        )


def _listed(tensors: Mapping[str, tuple[int, tuple[int | str, ...]]]) -> str:
    """Some tensors, for a message."""
    listed = [
        f"{shown(name)} {NAMES.get(kind, kind)} {shown(list(shape))}"
        for name, (kind, shape) in list(tensors.items())[:MAX_LISTED]
    ]
    more = len(tensors) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "") or "nothing"


def _read(metadata: Mapping[str, str], key: str) -> Any:
    """A value of the metadata; None where it is not there.

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


def _class_count(metadata: Mapping[str, str]) -> int:
    names = _read(metadata, "class_names")
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
        if not name.strip() or any(unicodedata.category(letter) in UNSHOWN for letter in name):
            raise ProblemError(f"it has a class {shown(name)}, expected a name that can be shown")
    if len(set(names)) < len(names):
        raise ProblemError(f"its class_names are {shown(names)}, expected each once")
    return len(names)


def _check_format(told: Any) -> None:
    """Refuse facts of a later form, which may mean something else."""
    form = told.get("format") if isinstance(told, dict) else None
    if isinstance(form, int | float) and form > MAX_FORMAT:
        raise ProblemError(
            f"it describes itself in form {shown(form)}, and this apparel reads form {MAX_FORMAT}",
            remedy="Update: pip install -U apparel",
        )


def _img_shape(metadata: Mapping[str, str]) -> tuple[int, int, int]:
    sizes = _read(metadata, "img_shape")
    if (
        not isinstance(sizes, list)
        or [type(size) for size in sizes] != [int] * 3
        or not all(1 <= size <= MAX_SIDE for size in sizes[:2])
    ):
        raise ProblemError(
            f"its img_shape is {shown(sizes)}, expected [height, width, channels] of at most "
            f"{MAX_SIDE:,} pixels a side"
        )
    if sizes[2] not in CHANNELS:
        raise ProblemError(
            f"it takes grey or coloured images, but its description says {sizes[2]} channels"
        )
    return sizes[0], sizes[1], sizes[2]


def _check_share(threshold: Any) -> None:
    if threshold is not None and not (_is_number(threshold) and 0 <= threshold <= 1):
        raise ProblemError(f"its threshold is {shown(threshold)}, expected from 0 to 1")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
