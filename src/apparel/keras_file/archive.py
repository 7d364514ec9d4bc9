"""The members of a zip file, in the one form in which Keras writes them.

Readers of zip files differ: some look for the list of members at the end, some read from the
start, some take the first of two members of a name and some the last. Here the members and their
list have to fill the file without a gap, each named once, and both descriptions of a member have
to agree. So every reader sees the same, and nothing is unpacked to a disk.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import stat
import struct
import zlib
from typing import BinaryIO, NamedTuple

from apparel.core.messages import shown
from apparel.keras_file.problems import MalformedError, ProblemError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MEMBERS = (METADATA, CONFIG, WEIGHTS)
# Bytes of a member's name and of its further fields, such as times.
MAX_NAME, MAX_EXTRA = 64, 64
# Bytes that a stored byte of weights may become. Real weights hardly shrink; a fresh optimiser's
# state, half or two thirds of a file, consists of zeros.
MAX_RATIO = 16
# Of a member that may grow more than that.
SMALL = 1 << 20

_STORED, _DEFLATED = 0, 8
_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_SIGNATURES = b"PK\5\6", b"PK\1\2", b"PK\3\4"
# How a member was compressed, and that its name is UTF-8. Any other flag, such as those for
# encryption and for sizes that come later, is refused.
_HARMLESS_FLAGS = 0x806
_MAX_VERSION = 20
# Times and owners, as other programs note them.
_HARMLESS_EXTRAS = {0x000A, 0x5455, 0x5855, 0x7855, 0x7875}
_UNIX, _DOS_FOLDER = 3, 0x10


class Member(NamedTuple):
    """A member whose two descriptions agree.

    Attributes:
        name: one of `MEMBERS`.
        method: how it is compressed.
        checksum: CRC-32 of its content.
        stored: bytes that it takes in the file.
        size: bytes of its content.
        start: where its local header begins.
        data: where its bytes begin.
    """

    name: str
    method: int
    checksum: int
    stored: int
    size: int
    start: int
    data: int


def members(file: BinaryIO, n_bytes: int) -> dict[str, Member]:
    """Read what a zip file says that it holds.

    Args:
        file: open for reading.
        n_bytes: its size.

    Returns:
        Names → members: exactly `MEMBERS`.

    Raises:
        ProblemError: it has other members, or is not of the strict form.
    """
    end = n_bytes - _END.size
    if end < 0:
        raise MalformedError(f"it has {n_bytes:,} bytes, expected a zip file")
    signature, *numbers = _END.unpack(_read(file, end, _END.size))
    disk, first_disk, count, n_entries, size, start, comment = numbers
    if signature != _SIGNATURES[0]:
        raise MalformedError("it does not end as a zip file does, without a comment")
    if comment or disk or first_disk or count != n_entries or start + size != end:
        raise MalformedError("the end of its list of members does not fit the file")
    if n_entries != len(MEMBERS):
        kind = ProblemError if n_entries > len(MEMBERS) else MalformedError
        raise kind(f"it has {n_entries:,} members, expected {', '.join(MEMBERS)}")
    if size > len(MEMBERS) * (_ENTRY.size + MAX_NAME + MAX_EXTRA):
        raise MalformedError(f"its list of members has {size:,} bytes")
    found = _listed(file, _read(file, start, size))
    _check_filled(list(found.values()), start)
    return found


def content(file: BinaryIO, member: Member, most: int) -> bytes:
    """Read a member, once it says that it is no larger than it may be.

    Args:
        file: of `members`.
        member: of `members`.
        most: bytes that its content may have.

    Raises:
        ProblemError: it is larger, inflates to more than it says, or is damaged.
    """
    if member.size > most:
        raise ProblemError(f"its {member.name} has {member.size:,} bytes, expected up to {most:,}")
    if member.size > max(SMALL, MAX_RATIO * member.stored):
        raise ProblemError(
            f"its {member.name} grows from {member.stored:,} bytes to {member.size:,}, expected up "
            f"to {MAX_RATIO} times as many"
        )
    held = _read(file, member.data, member.stored)
    if member.method == _DEFLATED:
        held = _inflated(held, member)
    if zlib.crc32(held) != member.checksum:
        raise MalformedError(f"its {member.name} is damaged: its checksum is another")
    return held


def _inflated(held: bytes, member: Member) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflating.decompress(held, member.size + 1)
    except zlib.error as error:
        raise MalformedError(f"its {member.name} is damaged: {error}") from None
    if len(found) != member.size or not inflating.eof or inflating.unused_data:
        raise MalformedError(
            f"its {member.name} does not give the {member.size:,} bytes that it says"
        )
    return found


def _listed(file: BinaryIO, entries: bytes) -> dict[str, Member]:
    """The members of a list, each compared with its own header."""
    found: dict[str, Member] = {}
    at = 0
    for _ in MEMBERS:
        if len(entries) - at < _ENTRY.size:
            raise MalformedError("its list of members is cut")
        signature, *fields = _ENTRY.unpack_from(entries, at)
        name_size, extra_size, comment_size = fields[9:12]
        names = at + _ENTRY.size
        at = names + name_size + extra_size
        if signature != _SIGNATURES[1] or at > len(entries) or comment_size or fields[12]:
            raise MalformedError("its list of members is damaged")
        name = _name(entries[names : names + name_size])
        if name in found:
            raise MalformedError(f"it has the member {name} twice")
        _check_extra(entries[names + name_size : at], name)
        _check_kind(fields[0] >> 8, fields[14], name)
        found[name] = _member(file, name, fields)
    if at != len(entries):
        raise MalformedError("its list of members is longer than its members")
    return found


def _member(file: BinaryIO, name: str, fields: list[int]) -> Member:
    """A member of the list, if its own header says the same."""
    version, flags, method, _, _, checksum, stored, size = fields[1:9]
    if version > _MAX_VERSION or flags & ~_HARMLESS_FLAGS or method not in {_STORED, _DEFLATED}:
        raise ProblemError(
            f"its {name} needs version {version} of the zip format, with flags {flags:#x} and "
            f"method {method}, expected up to {_MAX_VERSION}, no encryption, and method 0 or 8"
        )
    start = fields[15]
    signature, *local = _LOCAL.unpack(_read(file, start, _LOCAL.size))
    name_size, extra_size = local[8:]
    if signature != _SIGNATURES[2] or name_size != len(name) or extra_size > MAX_EXTRA:
        raise MalformedError(f"its {name} does not begin as a member does")
    names = _read(file, start + _LOCAL.size, name_size + extra_size)
    said = (names[:name_size].decode("latin-1"), *local[:3], *local[5:8])
    if said != (name, version, flags, method, checksum, stored, size):
        raise MalformedError(f"its {name} is described in two ways")
    _check_extra(names[name_size:], name)
    if method == _STORED and stored != size:
        raise MalformedError(f"its {name} is stored as {stored:,} bytes, and says {size:,}")
    data = start + _LOCAL.size + name_size + extra_size
    return Member(name, method, checksum, stored, size, start, data)


def _name(found: bytes) -> str:
    name = found.decode("latin-1")
    if name not in MEMBERS:
        raise ProblemError(f"it has the member {shown(name)}, expected {', '.join(MEMBERS)}")
    return name


def _check_extra(extra: bytes, name: str) -> None:
    """Refuse further fields that may mean more than times and owners."""
    at = 0
    while at < len(extra):
        if len(extra) - at < 4:  # noqa: PLR2004  # a kind and a size, of two bytes each
            raise MalformedError(f"its {name} has damaged further fields")
        kind, size = struct.unpack_from("<2H", extra, at)
        at += 4 + size
        if kind not in _HARMLESS_EXTRAS or at > len(extra):
            raise ProblemError(f"its {name} has a further field {kind:#x} of {size:,} bytes")


def _check_kind(system: int, attributes: int, name: str) -> None:
    """Refuse links, folders and devices."""
    kind = stat.S_IFMT(attributes >> 16) if system == _UNIX else 0
    if kind not in {0, stat.S_IFREG} or attributes & _DOS_FOLDER:
        raise ProblemError(f"its {name} is a link, folder or device, expected a file")


def _check_filled(found: list[Member], end: int) -> None:
    """Refuse members that overlap, or leave something between them."""
    at = 0
    for member in sorted(found, key=lambda member: member.start):
        if member.start != at:
            raise MalformedError(f"its {member.name} begins at {member.start:,}, expected {at:,}")
        at = member.data + member.stored
    if at != end:
        raise MalformedError(f"its members end at {at:,}, and their list begins at {end:,}")


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    found = file.read(size)
    if len(found) != size:
        raise MalformedError(f"it ends within {size:,} bytes at {at:,}")
    return found
