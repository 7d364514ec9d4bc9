"""The bytes of an HDF5 file, and where its objects begin: the few forms that h5py writes.

The library that usually reads HDF5 is a hundred thousand lines of C. It follows a file to other
files, through filters and plugins, and broken files have led it astray more than once. Weights
need little of the format. What they do not need is refused here and in `headers`, `links` and
`datasets`: structures of another kind, one that is used twice, and one that reaches out of the
file or into another one.

Checksums of the newer form are not looked at: the zip file around it has one of all bytes.

Source: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

import struct
from typing import NamedTuple

from apparel.keras_file.problems import MalformedError, ProblemError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = (1 << 64) - 1
# Structures of a file, and messages about its objects. A model of the most layers has half as many.
MAX_STRUCTURES, MAX_MESSAGES = 60_000, 120_000


class Link(NamedTuple):
    """Where an object of a group is.

    Attributes:
        address: of its header.
        cached: what the group says of it, besides: the addresses of its own tree and heap.
    """

    address: int
    cached: tuple[int, int] | None = None


class Source:
    """The bytes of a file, and which of them have been read for what.

    Attributes:
        content: all of them.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._claimed: dict[int, int] = {}
        self._messages = 0

    def claim(self, at: int, size: int, name: str) -> int:
        """Give where a structure ends, and refuse one that is not in the file, or used twice.

        Raises:
            ProblemError: it is so, or there are too many of them.
        """
        if size < 1 or at + size > len(self.content):
            raise MalformedError(f"{name} of {size:,} bytes at {at:,} is not within its weights")
        if at in self._claimed:
            raise MalformedError(f"{name} at {at:,} is used twice in its weights")
        self._claimed[at] = at + size
        if len(self._claimed) > MAX_STRUCTURES:
            raise ProblemError(f"its weights have more than {MAX_STRUCTURES:,} structures")
        return at + size

    def check_apart(self) -> None:
        """Refuse structures that share bytes.

        Raises:
            MalformedError: some do.
        """
        last = 0
        for at in sorted(self._claimed):
            if at < last:
                raise MalformedError(f"two structures of its weights share the bytes at {at:,}")
            last = self._claimed[at]

    def count_messages(self, more: int) -> None:
        """Refuse more messages than there may be.

        Raises:
            ProblemError: there are.
        """
        self._messages += more
        if self._messages > MAX_MESSAGES:
            raise ProblemError(f"its weights have more than {MAX_MESSAGES:,} messages")

    def numbers(self, form: str, at: int, end: int | None = None) -> tuple[int, ...]:
        """Read little-endian numbers.

        Args:
            form: of `struct`, without the order.
            at: where they begin.
            end: of the structure that they are part of; the file's, by default.

        Raises:
            MalformedError: they reach beyond it.
        """
        stop = at + struct.calcsize("<" + form)
        if stop > (len(self.content) if end is None else end) or stop > len(self.content):
            raise MalformedError(f"its weights end within a structure at {at:,}")
        return struct.unpack_from("<" + form, self.content, at)

    def expect(self, signature: bytes, at: int) -> None:
        """Refuse another structure than one of some signature.

        Raises:
            MalformedError: there is another one.
        """
        if self.content[at : at + len(signature)] != signature:
            raise MalformedError(f"its weights have no {signature.decode()} at {at:,}")


def root(source: Source) -> Link:
    """Read the beginning of a file.

    Returns:
        Where its root group is.

    Raises:
        ProblemError: it is of another form, or part of a larger file.
    """
    if not source.content.startswith(SIGNATURE):
        raise MalformedError("its weights are no HDF5 file")
    (version,) = source.numbers("B", len(SIGNATURE))
    if version == 0:
        found = source.numbers("8B2HI4Q2Q2I2Q", len(SIGNATURE))
        fixed = (*found[:5], *found[10:12], *found[14:15])
        right = fixed == (0, 0, 0, 0, 0, 0, 0, UNDEFINED)
        sizes, end = found[5:7], found[13]
        link = linked(*found[16:])
        source.claim(0, 96, "the superblock")
    elif version in {2, 3}:
        found = source.numbers("3B4QI", len(SIGNATURE) + 1)
        right = found[2:5] == (0, 0, UNDEFINED)
        sizes, end, link = found[:2], found[5], Link(found[6])
        source.claim(0, 48, "the superblock")
    else:
        raise ProblemError(f"its weights are HDF5 of version {version}, expected 0, 2 or 3")
    if not right or sizes != (8, 8) or end != len(source.content):
        raise MalformedError("its weights begin with a superblock that does not fit them")
    return link


def linked(address: int, kind: int, _: int, tree: int, heap: int) -> Link:
    """Read an entry of a symbol table, without its name.

    Raises:
        ProblemError: it leads to a path instead of an object.
    """
    if kind not in {0, 1}:
        raise ProblemError("its weights have a soft link, which leads anywhere")
    return Link(address, (tree, heap) if kind else None)
