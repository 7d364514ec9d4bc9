"""Honest `.keras` files with random damage: each is read, or refused quickly."""

import io
import json
import random
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

from apparel import keras_file
from apparel.core.errors import ModelFileError
from apparel.keras_file import archive, model, text
from tests.made_keras import CONFIG, METADATA, WEIGHTS

SECONDS = 2
_EXTREMES = (0, 1, 2, 7, 8, 127, 128, 255, 1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
             (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
_VALUES = (None, True, False, 0, 1, -1, 2, 3, 7, 1 << 20, 1 << 62, 0.5, 1e308, -0.0, "", "x",
           "relu", "same", "float32", "float64", "bfloat16", "Lambda", "Dense", "os", [],
           {}, [None], [1, 1], [3, 3], [-1], [[1, 1], [1, 1]], {"class_name": "Dense"})  # fmt: skip


def damaged(content: bytes, chance: random.Random, *, most: int = 0) -> bytes:
    """Bytes with some damage.

    Args:
        content: whole.
        chance: decides.
        most: prefer places before it.
    """
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        near = most if most and chance.random() < 0.8 else len(changed)
        at = chance.randrange(max(min(near, len(changed)), 1))
        kind = chance.randrange(8)
        if kind < 2 and changed:
            changed[at % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del changed[at : at + chance.choice((1, 2, 8, 100, len(changed)))]
        elif kind == 3:
            other = chance.randrange(len(changed) + 1)
            changed[at:at] = changed[other : other + chance.choice((1, 8, 40, 500))]
        elif kind == 4:
            other = chance.randrange(len(changed) + 1)
            part = changed[other : other + chance.choice((1, 8, 40, 500))]
            changed[at : at + len(part)] = part
        elif kind == 5:
            changed[at:at] = bytes(chance.choice((1, 2, 8, 512)))
        else:
            form = chance.choice("BHIQ")
            at -= at % chance.choice((1, 2, 4, 8, 8))
            value = chance.choice(
                (*_EXTREMES, at, len(content), chance.randrange(len(content) + 1))
            )
            value = (value + chance.choice((-8, -1, 0, 0, 0, 1, 8))) % (
                1 << 8 * struct.calcsize(form)
            )
            changed[at : at + struct.calcsize(form)] = struct.pack("<" + form, value)
    return bytes(changed)


def changed_json(content: bytes, chance: random.Random) -> bytes:
    """JSON with another value somewhere, or without one, or with one more."""
    found = json.loads(content)
    for _ in range(chance.choice((1, 1, 2))):
        places = list(_places(found))
        inside, key = chance.choice(places)
        kind = chance.randrange(5)
        if kind == 0:
            del inside[key]
        elif kind == 1:
            inside[key] = chance.choice(_VALUES)
        elif kind == 2:
            other, other_key = chance.choice(places)
            inside[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict)
                                                else other[-1] if other else None))  # fmt: skip
        elif kind == 3 and isinstance(inside, dict):
            inside[chance.choice(("name", "x", "registered_name", "function"))] = chance.choice(
                _VALUES
            )
        elif isinstance(inside[key], int) and not isinstance(inside[key], bool):
            inside[key] += chance.choice((-1, 1, 100))
        if not isinstance(found, dict) or not found:
            break
    return json.dumps(found).encode()


def _places(found: Any) -> Any:
    """Every object or list, with each key or position."""
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in list(items):
        yield found, key
        if isinstance(value, dict | list):
            yield from _places(value)


def mutated(content: bytes, seed: int) -> bytes:
    """A file with some damage, outside or within a member; there with checksums that are right."""
    chance = random.Random(seed)  # noqa: S311  # no secrets
    kind = chance.randrange(10)
    if kind < 3:
        return damaged(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        held = {name: whole.read(name) for name in (METADATA, CONFIG, WEIGHTS)}
    if kind < 5:
        held[CONFIG] = changed_json(held[CONFIG], chance)
    elif kind < 6:
        held[CONFIG] = damaged(held[CONFIG], chance)
    else:
        # Values are most of the bytes, and any of them may stand.
        held[WEIGHTS] = damaged(held[WEIGHTS], chance, most=20_000)
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as whole:
        for name, part in held.items():
            whole.writestr(name, part)
    return packed.getvalue()


def implied(path: Path) -> dict[str, list[tuple[int, ...]]]:
    """Names of layers → shapes of their variables, as the configuration implies them."""
    with path.open("rb") as file:
        members = archive.members(file, path.stat().st_size)
        found = archive.content(file, members[CONFIG], text.MAX_TEXT)
    checked = model.check(text.parse(found, CONFIG))
    return {layer.name: [*layer.trained, *layer.kept] for layer in checked.layers}


def fuzz(content: bytes, folder: Path, n: int, *, first: int = 0) -> tuple[int, float]:
    """Read so many damaged copies of a file.

    Args:
        content: an honest file.
        folder: to write the copies to.
        n: how many.
        first: the seed of the first one.

    Returns:
        How many were read all the same, and the most seconds that one took.
    """
    path, read, worst = folder / "fuzzed.keras", 0, 0.0
    for seed in range(first, first + n):
        path.write_bytes(mutated(content, seed))
        start = time.perf_counter()
        try:
            found = keras_file.read(path)
        except ModelFileError as error:
            message, found = str(error), None
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        taken = time.perf_counter() - start
        if found is None:
            assert str(path) in message, seed
            assert "\n" not in message, seed
            assert len(message) < 600 + len(str(path)), seed
        else:
            read += 1
            shapes = {name: [a.shape for a in arrays] for name, arrays in found.weights.items()}
            assert shapes == implied(path), seed
        assert taken < SECONDS, seed
        worst = max(worst, taken)
    return read, worst
