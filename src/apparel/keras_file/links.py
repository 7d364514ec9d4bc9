"""The members of an HDF5 group: names → where their objects are."""

from apparel.core.messages import shown
from apparel.keras_file.hdf5 import UNDEFINED, Link, Source, linked
from apparel.keras_file.headers import (
    COMMON,
    GROUP_INFO,
    LINK,
    LINK_INFO,
    SYMBOLS,
    Message,
    messages,
    only,
)
from apparel.keras_file.problems import MalformedError, ProblemError

MAX_NAME = 64
# Levels of a tree of names. Each level has at least some times as many as the one above.
MAX_LEVEL = 8
_KNOWN = COMMON | {SYMBOLS, LINK_INFO, GROUP_INFO, LINK}
# Of a link: the bytes of its name's size, and whether it says its kind, order and character set.
_SIZE, _ORDERED, _KIND, _CHARSET, _LINK_FLAGS = 0x03, 0x04, 0x08, 0x10, 0x1F


def links(source: Source, link: Link, name: str) -> dict[str, Link]:
    """Read the members of a group.

    Args:
        source: the file.
        link: to the group.
        name: what errors call it.

    Raises:
        ProblemError: it is no group, or has links that do not lead to objects of this file.
    """
    found = messages(source, link.address, _KNOWN, name)
    if any(message.kind == SYMBOLS for message in found):
        if any(message.kind in {LINK_INFO, LINK} for message in found):
            raise MalformedError(f"{name} lists its members in two ways")
        symbols = only(found, SYMBOLS, name)
        tree, heap = source.numbers("2Q", symbols.at, symbols.end)
        if link.cached not in {None, (tree, heap)}:
            raise MalformedError(f"{name} is described in two ways")
        return _Table(source, heap, name).links(tree)
    info = only(found, LINK_INFO, name)
    version, flags = source.numbers("2B", info.at, info.end)
    (heap,) = source.numbers("Q", info.at + (10 if flags & 1 else 2), info.end)
    if version or flags & ~3 or heap != UNDEFINED or link.cached:
        raise ProblemError(f"{name} lists its members in a form that Keras does not use")
    listed = [_link(source, message, name) for message in found if message.kind == LINK]
    if len(dict(listed)) != len(listed):
        raise MalformedError(f"{name} has two members of one name")
    return dict(listed)


def _link(source: Source, message: Message, name: str) -> tuple[str, Link]:
    """A link of the newer form."""
    at, end = message.at, message.end
    version, flags = source.numbers("2B", at, end)
    kind = source.numbers("B", at + 2, end)[0] if flags & _KIND else 0
    if version != 1 or flags & ~_LINK_FLAGS or kind:
        raise ProblemError(f"{name} has a soft or external link, which leads anywhere")
    at += 2 + bool(flags & _KIND) + (8 if flags & _ORDERED else 0) + bool(flags & _CHARSET)
    (size,) = source.numbers("BHIQ"[flags & _SIZE], at, end)
    at += 1 << (flags & _SIZE)
    (address,) = source.numbers("Q", at + size, end)
    return _text(source.content[at : at + size], name), Link(address)


class _Table:
    """A group of the older form: a tree, whose leaves are symbol tables, and a heap of names."""

    def __init__(self, source: Source, heap: int, name: str) -> None:
        self._source, self._name = source, name
        source.expect(b"HEAP", heap)
        version, size, _, self._names = source.numbers("I3Q", heap + 4)
        source.claim(heap, 32, f"the names of {name}")
        self._end = source.claim(self._names, size, f"the names of {name}")
        if version:
            raise MalformedError(f"{name} has names of version {version & 255}, expected 0")

    def links(self, tree: int) -> dict[str, Link]:
        """All of them, which have to come in order."""
        listed: list[tuple[str, Link]] = []
        top = self._source.numbers("2B", tree + 4)[1]
        if top > MAX_LEVEL or self._source.numbers("2Q", tree + 8) != (UNDEFINED, UNDEFINED):
            raise MalformedError(f"{self._name} has a tree of {top} levels, or a part of one")
        self._node(tree, top, listed)
        names = [name for name, _ in listed]
        if names != sorted(set(names)):
            raise MalformedError(f"{self._name} has its members twice, or in disorder")
        return dict(listed)

    def _node(self, at: int, level: int, listed: list[tuple[str, Link]]) -> None:
        self._source.expect(b"TREE", at)
        kind, said, count = self._source.numbers("2BH", at + 4)
        end = self._source.claim(at, 24 + 16 * count + 8, f"the tree of {self._name}")
        if kind or said != level:
            raise MalformedError(f"{self._name} has a tree that does not fit together")
        for k in range(count):
            (child,) = self._source.numbers("Q", at + 32 + 16 * k, end)
            if level:
                self._node(child, level - 1, listed)
            else:
                self._symbols(child, listed)

    def _symbols(self, at: int, listed: list[tuple[str, Link]]) -> None:
        self._source.expect(b"SNOD", at)
        version, zero, count = self._source.numbers("2BH", at + 4)
        end = self._source.claim(at, 8 + 40 * count, f"the members of {self._name}")
        if (version, zero) != (1, 0):
            raise MalformedError(f"{self._name} has members of version {version}, expected 1")
        for k in range(count):
            name_at, *entry = self._source.numbers("2Q2I2Q", at + 8 + 40 * k, end)
            listed.append((self._text_at(name_at), linked(*entry)))

    def _text_at(self, offset: int) -> str:
        start = self._names + offset
        stop = self._source.content.find(b"\0", start, min(start + MAX_NAME + 1, self._end))
        if stop < 0:
            raise MalformedError(f"{self._name} has a name that does not end")
        return _text(self._source.content[start:stop], self._name)


def _text(found: bytes, name: str) -> str:
    if not 0 < len(found) <= MAX_NAME or not found.isascii():
        raise ProblemError(f"{name} has the member {shown(found)}, expected a short name")
    return found.decode()
