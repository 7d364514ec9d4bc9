"""Damage to files, as broken disks and careless people do it."""

from pathlib import Path

from numpy.random import Generator

CORRUPTIONS = ("flip", "cut", "zero", "append", "empty")


def corrupted(path: Path, kind: str, random: Generator) -> None:
    """Damage a file in place.

    Args:
        path: the file; not all zeros.
        kind: one of `CORRUPTIONS`.
        random: chooses where.
    """
    content = bytearray(path.read_bytes())
    # Where it is not zero already, so that zeros change it.
    place = int(random.choice([k for k, byte in enumerate(content) if byte]))
    match kind:
        case "flip":
            content[place] ^= 1 << int(random.integers(8))
        case "cut":
            del content[place:]
        case "zero":
            # A block that was never written.
            end = min(place + int(random.integers(1, 4097)), len(content))
            content[place:end] = bytes(end - place)
        case "append":
            content += random.bytes(int(random.integers(1, 513)))
        case _:
            content.clear()
    path.write_bytes(content)
