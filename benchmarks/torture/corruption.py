"""Damage to files, as broken disks and careless people do it."""

from pathlib import Path

from numpy.random import Generator

CORRUPTIONS = ("flip", "cut", "zero", "append", "empty")


def corrupted(path: Path, kind: str, random: Generator) -> None:
    """Damage a file in place.

    Args:
        path: the file, of at least two bytes.
        kind: one of `CORRUPTIONS`.
        random: chooses where.
    """
    content = bytearray(path.read_bytes())
    place = int(random.integers(len(content)))
    match kind:
        case "flip":
            content[place] ^= 1 << int(random.integers(8))
        case "cut":
            del content[place:]
        case "zero":
            # A block that was never written; made so that it was not zero before.
            content[place] |= 1
            end = min(place + int(random.integers(1, 4097)), len(content))
            path.write_bytes(content)
            content[place:end] = bytes(end - place)
        case "append":
            content += random.bytes(int(random.integers(1, 513)))
        case _:
            content.clear()
    path.write_bytes(content)
