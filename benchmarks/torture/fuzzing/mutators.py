"""Honest files → damaged ones, whatever is in them."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal, TypeAlias

# Takes where chance comes from, a file, and other files of its kind; gives a file.
Mutator: TypeAlias = Callable[[Random, bytes, Sequence[bytes]], bytes]

MOST_BYTES = 1 << 20
EXTREMES = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536),
    *((1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40),
    *((1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
# Bytes of a file's beginning and end, where the sizes are.
EDGE = 96


def drawn(random: Random, weights: Mapping[str, int]) -> str:
    """Draw a way, each as often as its weight says."""
    return random.choices(list(weights), list(weights.values()))[0]


def place(random: Random, size: int) -> int:
    """Somewhere in a file; often at its beginning or end, where the sizes are."""
    near = drawn(random, {"begin": 7, "end": 3, "anywhere": 10})
    if near == "anywhere":
        return random.randrange(size)
    from_edge = random.randrange(min(size, EDGE))
    return from_edge if near == "begin" else size - 1 - from_edge


def flip_bit(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Flip a bit."""
    changed = bytearray(content)
    changed[place(random, len(content))] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_byte(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Set some bytes to others."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        changed[place(random, len(content))] = random.randrange(256)
    return bytes(changed)


def set_number(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Set a whole number to an extreme one, or change it a little."""
    size = random.choice((1, 2, 4, 8))
    if len(content) < size:
        return content
    at = min(place(random, len(content)), len(content) - size)
    order: Literal["little", "big"] = "little" if random.randrange(2) else "big"
    number = random.choice(EXTREMES)
    if not random.randrange(3):
        number = int.from_bytes(content[at : at + size], order) + random.choice((-1, 1))
    written = (number % (1 << 8 * size)).to_bytes(size, order)
    return content[:at] + written + content[at + size :]


def cut(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Leave out the end, the beginning, or something between."""
    start, stop = sorted((random.randrange(len(content) + 1), random.randrange(len(content) + 1)))
    how = drawn(random, {"end": 5, "begin": 1, "between": 4})
    if how == "end":
        return content[:stop]
    return content[start:] if how == "begin" else content[:start] + content[stop:]


def repeat(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Put a part into the file once more, perhaps often."""
    start = random.randrange(len(content))
    part = content[start : start + random.choice((1, 2, 4, 8, 16, 64, 256))]
    times = random.choice((1, 1, 2, 10, 100, 1000))
    at = random.choice((start, random.randrange(len(content) + 1)))
    return content[:at] + part * times + content[at:]


def splice(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The beginning of one file and the end of another."""
    other = random.choice(others)
    if random.randrange(2) and len(other) == len(content):
        at = random.randrange(len(content) + 1)
        return content[:at] + other[at:]
    return content[: random.randrange(len(content) + 1)] + other[random.randrange(len(other) + 1) :]


def swap(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Exchange two parts."""
    a, b, c = sorted(random.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def insert_text(words: Sequence[bytes]) -> Mutator:
    """Make a mutator that puts words between or over what is there."""

    def insert(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
        word = random.choice(words)
        at = random.randrange(len(content) + 1)
        over = random.choice((0, 0, len(word)))
        return content[:at] + word + content[at + over :]

    return insert


BLIND: tuple[Mutator, ...] = (flip_bit, set_byte, set_number, cut, repeat, splice, swap)


def mutated(
    random: Random, content: bytes, others: Sequence[bytes], mutators: Sequence[Mutator]
) -> bytes:
    """Damage a file once to a few times."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        if not content:
            return content
        content = random.choice(mutators)(random, content, others)[:MOST_BYTES]
    return content
