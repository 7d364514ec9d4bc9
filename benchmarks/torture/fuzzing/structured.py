"""Damage inside of something that stays right around it: checksums, lengths, lines of a table."""

import gzip
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from random import Random

from benchmarks.torture.fuzzing.mutators import (
    BLIND,
    EXTREMES,
    Mutator,
    drawn,
    flip_bit,
    mutated,
)

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of Protocol Buffers: how a field is written.
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}
_MORE = 0x80


def inside_gzip(mutators: Sequence[Mutator] = BLIND) -> Mutator:
    """Make a mutator that damages what a gzip file holds, and packs it again."""

    def damage(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        try:
            held = gzip.decompress(content)
            beside = [gzip.decompress(other) for other in others]
        except (EOFError, OSError, zlib.error):
            return flip_bit(random, content, others)
        changed = mutated(random, held, beside, mutators)
        packed = gzip.compress(changed, compresslevel=random.choice((0, 1, 6)), mtime=0)
        return packed + (gzip.compress(b"", mtime=0) * random.choice((0, 0, 0, 1, 9)))

    return damage


def inside_zip(mutators: Sequence[Mutator] = BLIND) -> Mutator:
    """Make a mutator that damages a member of a zip file, or its name, and packs all again."""

    def damage(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        members = _unpacked(content)
        if not members:
            return flip_bit(random, content, others)
        beside = [held for other in others for _, held in _unpacked(other)] or [b"x"]
        at = random.randrange(len(members))
        name, held = members[at]
        how = drawn(random, {"damage": 12, "leave out": 1, "repeat": 1, "rename": 1})
        if how == "damage" and held:
            members[at] = name, mutated(random, held, beside, mutators)
        elif how == "leave out":
            del members[at]
        elif how == "repeat":
            members.append((name, random.choice(beside)))
        else:
            members[at] = random.choice(("../x.npy", "/x.npy", name + "\n", "x_test.npy")), held
        return _packed(random, members)

    return damage


def _unpacked(content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [(member.filename, archive.read(member)) for member in archive.infolist()]
    except Exception:  # noqa: BLE001  # zipfile meets broken files with errors of any kind
        return []


def _packed(random: Random, members: Sequence[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    ways = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", random.choice(ways)) as archive:
        warnings.simplefilter("ignore")  # of a name that occurs twice
        for name, held in members:
            member = zipfile.ZipInfo(name)
            member.compress_type = archive.compression
            archive.writestr(member, held)
    return file.getvalue()


def png_chunk(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Damage a chunk of a PNG file, or leave it out, repeat or move it; its checksum is right."""
    chunks = _chunks(content)
    if not chunks:
        return flip_bit(random, content, others)
    at = random.randrange(len(chunks))
    kind, body = chunks[at]
    how = drawn(random, {"damage": 6, "leave out": 1, "repeat": 1, "move": 1})
    if how == "damage" and body:
        chunks[at] = kind, mutated(random, body, [body], BLIND)
    elif how == "leave out":
        del chunks[at]
    elif how == "repeat":
        chunks[at:at] = [(kind, body)] * random.choice((1, 2, 50, 2000))
    else:
        chunks.insert(random.randrange(len(chunks) + 1), chunks.pop(at))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    if not content.startswith(_SIGNATURE):
        return []
    found, at = [], len(_SIGNATURE)
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def cells(words: Sequence[bytes]) -> Mutator:
    """Make a mutator that changes, repeats, moves or leaves out a cell or a line of a table."""

    def damage(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
        lines = content.split(b"\n")
        at = random.choice((0, random.randrange(len(lines))))
        row = lines[at].split(b",")
        k = random.randrange(len(row))
        how = drawn(random, {"set": 2, "leave out": 1, "repeat": 1, "repeat line": 1, "append": 1})
        if how == "set":
            row[k] = random.choice(words)
        elif how == "leave out":
            del row[k]
        elif how == "repeat":
            row[k:k] = [row[k]] * random.choice((1, 3, 99))
        elif how == "repeat line":
            lines[at:at] = [lines[at]] * random.choice((1, 2, 50))
        else:
            row[k] = row[k] + random.choice(words)
        lines[at] = b",".join(row)
        return b"\n".join(lines)

    return damage


_NUMBERS = re.compile(rb"\d+")


def written_number(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """Change a number that is written in digits."""
    found = list(_NUMBERS.finditer(content[:4096]))
    if not found:
        return content
    match = random.choice(found)
    number = str(random.choice((*EXTREMES, -1, "1e9", "1.5"))).encode()
    return content[: match.start()] + number + content[match.end() :]


def protobuf_field(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change, repeat, move or leave out a field of a Protocol Buffers file; lengths stay right."""
    fields = _fields(content)
    if not fields:
        return flip_bit(random, content, others)
    at = random.randrange(len(fields))
    number, kind, value = fields[at]
    how = drawn(random, {"damage": 8, "leave out": 1, "repeat": 1, "move": 1, "renumber": 1})
    if how == "damage" and kind == _LENGTH and value:
        deeper = random.randrange(4) and _fields(value)
        damage = protobuf_field if deeper else _blindly
        fields[at] = number, kind, damage(random, value, others)
    elif how == "damage" and kind == _VARINT:
        fields[at] = number, kind, _varint(random.choice(EXTREMES) % (1 << 64))
    elif how == "leave out":
        del fields[at]
    elif how == "repeat":
        fields[at:at] = [(number, kind, value)] * random.choice((1, 2, 100))
    elif how == "move":
        fields.insert(random.randrange(len(fields) + 1), fields.pop(at))
    else:
        fields[at] = random.randrange(1, 30), kind, value
    return b"".join(_field(*field) for field in fields)


def _blindly(random: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    return mutated(random, content, [content], BLIND)


def _fields(content: bytes) -> list[tuple[int, int, bytes]]:
    """Numbers, wire types and values of a message; nothing where it is none."""
    found, at = [], 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        number, kind = tag >> 3, tag & 7
        start = at
        if kind == _VARINT:
            _, at = _read_varint(content, at)
            size = at - start
        elif kind == _LENGTH:
            size, start = _read_varint(content, at)
        else:
            size = _FIXED.get(kind, -1)
        if size < 0 or start < 0 or at < 0 or start + size > len(content) or not number:
            return []
        found.append((number, kind, content[start : start + size]))
        at = start + size
    return found


def _field(number: int, kind: int, value: bytes) -> bytes:
    length = _varint(len(value)) if kind == _LENGTH else b""
    return _varint(number << 3 | kind) + length + value


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; -1 and -1 where there is none."""
    value = 0
    for k in range(10):
        if at + k >= len(content):
            return -1, -1
        value |= (content[at + k] & ~_MORE) << 7 * k
        if content[at + k] < _MORE:
            return value, at + k + 1
    return -1, -1


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= _MORE:
        found.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    return bytes((*found, value))
