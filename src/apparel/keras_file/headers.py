"""The header of an HDF5 object: messages, each about one thing."""

from typing import NamedTuple

from apparel.keras_file.hdf5 import Source
from apparel.keras_file.problems import MalformedError, ProblemError

# What a message is about.
NIL, DATASPACE, LINK_INFO, DATATYPE, OLD_FILL, FILL, LINK, LAYOUT = 0, 1, 2, 3, 4, 5, 6, 8
GROUP_INFO, ATTRIBUTE, CONTINUATION, SYMBOLS, TIME, ATTRIBUTE_INFO = 10, 12, 16, 17, 18, 21
# Any object may have these. What attributes say is not needed, only what they are.
COMMON = frozenset((NIL, ATTRIBUTE, CONTINUATION, TIME, ATTRIBUTE_INFO))
ATTRIBUTES = {b"name", b"dtype"}
# Flags that say no more than that a message stays as it is and is not shared.
_HARMLESS = 0x05
# Of a newer header: whether it has times, other limits for attributes, and orders.
_TIMES, _LIMITS, _ORDERED, _KNOWN = 0x20, 0x10, 0x04, 0x3F
# Classes of a datatype: texts of a fixed length, and of any.
_TEXT, _VARIABLE = 3, 9


class Message(NamedTuple):
    """A message.

    Attributes:
        kind: one of the numbers above, or another.
        at: where what it says begins.
        end: where it ends.
    """

    kind: int
    at: int
    end: int


class _Block(NamedTuple):
    at: int
    end: int
    # Bytes before each message, and how they are read.
    head: int
    form: str


def messages(source: Source, address: int, known: frozenset[int], name: str) -> list[Message]:
    """Read the header of an object.

    Args:
        source: the file.
        address: of the header.
        known: what its messages may be about.
        name: what errors call the object.

    Raises:
        ProblemError: it is no header, has several names, or messages that are shared or about
            something else.
    """
    block, count = _begin(source, address, name)
    blocks, found = [block], list[Message]()
    for block in blocks:
        for message in _within(source, block, name):
            if message.kind == CONTINUATION:
                blocks.append(_continued(source, message, block, name))
            elif message.kind == ATTRIBUTE:
                _check_attribute(source, message, name)
            if message.kind not in known:
                raise ProblemError(f"{name} has a message of kind {message.kind}")
            found.append(message)
    source.count_messages(len(found))
    if count is not None and count != len(found):
        raise MalformedError(f"{name} has {len(found):,} messages, and says {count:,}")
    return found


def only(found: list[Message], kind: int, name: str) -> Message:
    """The only message about something.

    Raises:
        MalformedError: there is none, or more.
    """
    right = [message for message in found if message.kind == kind]
    if len(right) != 1:
        raise MalformedError(f"{name} has {len(right)} messages of kind {kind}, expected one")
    return right[0]


def _begin(source: Source, address: int, name: str) -> tuple[_Block, int | None]:
    """The first block of messages, and how many there are in all if the header says so."""
    if source.content[address : address + 4] == b"OHDR":
        return _begin_newer(source, address, name), None
    version, zero, count, names, size = source.numbers("2BH2I", address)
    if (version, zero) != (1, 0):
        raise MalformedError(f"{name} has no header at {address:,}")
    if names != 1:
        raise ProblemError(f"{name} is known by {names:,} names, expected one")
    end = source.claim(address, 16 + size, f"the header of {name}")
    return _Block(address + 16, end, 8, "2HB"), count


def _begin_newer(source: Source, address: int, name: str) -> _Block:
    version, flags = source.numbers("2B", address + 4)
    if version != 2 or flags & ~_KNOWN:  # noqa: PLR2004  # that of the newer form
        raise MalformedError(f"{name} has a header of version {version} with flags {flags:#x}")
    at = address + 6 + (16 if flags & _TIMES else 0) + (4 if flags & _LIMITS else 0)
    (size,) = source.numbers("BHIQ"[flags & 3], at)
    at += 1 << (flags & 3)
    end = source.claim(address, at + size + 4 - address, f"the header of {name}")
    return _Block(at, end - 4, 6 if flags & _ORDERED else 4, "BHB")


def _continued(source: Source, message: Message, block: _Block, name: str) -> _Block:
    """Where a header goes on."""
    at, size = source.numbers("2Q", message.at, message.end)
    end = source.claim(at, size, f"the header of {name}")
    if block.form == "2HB":
        return block._replace(at=at, end=end)
    source.expect(b"OCHK", at)
    return block._replace(at=at + 4, end=end - 4)


def _within(source: Source, block: _Block, name: str) -> list[Message]:
    found, at = list[Message](), block.at
    # The newer form may end with a gap that is too small for a message.
    while block.end - at >= (block.head if block.form == "BHB" else 1):
        kind, size, flags = source.numbers(block.form, at, block.end)
        at += block.head
        if at + size > block.end:
            raise MalformedError(f"{name} has a message of {size:,} bytes that its header cuts")
        if flags & ~_HARMLESS:
            raise ProblemError(f"{name} has a message that it shares with another object")
        found.append(Message(kind, at, at + size))
        at += size
    return found


def _check_attribute(source: Source, message: Message, name: str) -> None:
    """Refuse attributes that Keras does not write, or that are no texts."""
    at, end = message.at, message.end
    version, flags, name_size, type_size = source.numbers("2B2H", at, end)
    if version not in {1, 3} or flags:
        raise ProblemError(f"{name} has an attribute of version {version} with flags {flags:#x}")
    at += 8 if version == 1 else 9
    found = source.content[at : min(at + name_size, end)]
    at += -(-name_size // 8) * 8 if version == 1 else name_size
    (kind,) = source.numbers("B", at, end)
    if (
        found.rstrip(b"\0") not in ATTRIBUTES
        or kind & 15 not in {_TEXT, _VARIABLE}
        or not type_size
    ):
        raise ProblemError(f"{name} has an attribute that Keras does not write")
