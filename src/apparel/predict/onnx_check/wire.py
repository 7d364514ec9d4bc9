"""Protocol Buffers' wire format → nested dictionaries, by a schema, in the strict form.

A parser may merge a field that occurs twice, take the last of two, skip what it does not know, cut
integers to 32 bits, or read a number that is padded with zeros. Parsers differ in this, so that one
that checks a file and one that runs it may see two models. Here all of it is refused: what passes
has one meaning. The writers of ONNX files write nothing else.

A schema cannot lead into itself: fields that could, such as subgraphs, are refused by it. So
nesting has an end without being counted.

Source: https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from apparel.core.messages import shown
from apparel.predict.onnx_check.problems import MalformedError, ProblemError

# Fields of a whole file. A model of apparel has some thousand; reading so many takes half a second.
MAX_FIELDS = 50_000
# Bytes of all texts and names of a file, its metadata among them.
MAX_TEXT = 4 << 20

_VARINT_BYTES, _FLOAT_BYTES = 10, 4
_MORE = 0x80
_WRAP = 1 << 64


# What a field may hold → the wire type by which it is written.
INT64, INT32, FLOAT, TEXT, DATA, MESSAGE = "int64", "int32", "float", "text", "data", "message"
REFUSED = "refused"
_WIRE_TYPES = {INT64: 0, INT32: 0, FLOAT: 5, TEXT: 2, DATA: 2, MESSAGE: 2}


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        name: the key in the dictionary.
        kind: INT64 and INT32 give an int, FLOAT a float, TEXT a str, DATA a memoryview of the
            file, MESSAGE a dictionary; REFUSED may not occur.
        repeated: give a list.
        schema: of a MESSAGE.
    """

    name: str
    kind: str
    repeated: bool = False
    schema: "Schema | None" = None


Schema: TypeAlias = Mapping[int, Field]
Message = dict[str, Any]


def parse(content: bytes, schema: Schema, name: str) -> Message:
    """Read a message that fills some bytes.

    Args:
        content: the bytes. They are not copied, except texts.
        schema: field numbers → fields.
        name: what messages call it.

    Returns:
        Field names → values. Singular fields that do not occur are not in it, repeated ones are
        empty lists.

    Raises:
        ProblemError: the bytes are no such message in the strict form, or hold too much.
    """
    return _Reader(content).message(0, len(content), schema, name)


class _Reader:
    """Reads messages, and counts what it has read."""

    def __init__(self, content: bytes) -> None:
        self._content, self._view = content, memoryview(content)
        self._fields_left, self._text_left = MAX_FIELDS, MAX_TEXT

    def message(self, at: int, end: int, schema: Schema, name: str) -> Message:
        found: Message = {field.name: [] for field in schema.values() if field.repeated}
        while at < end:
            tag, at = read_varint(self._content, at, end)
            field = schema.get(tag >> 3)
            if field is None:
                raise MalformedError(f"{name} has an unknown field {tag >> 3}")
            self._check(field, tag & 7, found, name)
            value, at = self._value(at, end, field, name)
            if field.repeated:
                found[field.name].append(value)
            else:
                found[field.name] = value
        return found

    def _check(self, field: Field, wire_type: int, found: Message, name: str) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise ProblemError(f"it has more than {MAX_FIELDS:,} fields")
        expected = _WIRE_TYPES.get(field.kind)
        if expected is None:
            raise ProblemError(f"{name} has {field.name}, which apparel's files never have")
        if wire_type != expected:
            raise MalformedError(
                f"{name} has {field.name} as wire type {wire_type}, expected {expected}"
            )
        if field.name in found and not field.repeated:
            raise MalformedError(f"{name} has {field.name} twice")

    def _value(self, at: int, end: int, field: Field, name: str) -> tuple[Any, int]:
        """A field's value, and where the next field begins."""
        kind = field.kind
        if kind in {INT64, INT32}:
            value, at = read_varint(self._content, at, end)
            signed = value - _WRAP if value >> 63 else value
            if kind == INT32 and not -(1 << 31) <= signed < 1 << 31:
                raise MalformedError(f"{name} has {field.name} of more than 32 bits")
            return signed, at
        if kind == FLOAT:
            if end - at < _FLOAT_BYTES:
                raise MalformedError(f"{name} ends within {field.name}")
            return struct.unpack_from("<f", self._content, at)[0], at + _FLOAT_BYTES
        size, at = read_varint(self._content, at, end)
        if size > end - at:
            raise MalformedError(
                f"{name} ends within {field.name}: {end - at:,} of {size:,} bytes are there"
            )
        stop = at + size
        if kind == TEXT:
            return self._text(at, stop, f"{field.name} of {name}"), stop
        if field.schema is not None:
            return self.message(at, stop, field.schema, f"{field.name} of {name}"), stop
        return self._view[at:stop], stop

    def _text(self, at: int, stop: int, name: str) -> str:
        self._text_left -= stop - at
        if self._text_left < 0:
            raise ProblemError(f"its names and metadata take more than {MAX_TEXT:,} bytes")
        try:
            return self._content[at:stop].decode()
        except UnicodeDecodeError:
            raise MalformedError(f"{name} is not UTF-8: {shown(self._content[at:stop])}") from None


def read_varint(content: bytes | memoryview, at: int, end: int) -> tuple[int, int]:
    """Read an unsigned number of at most 64 bits, and give where it ends.

    Raises:
        MalformedError: it is cut, too large, or longer than needed.
    """
    if at < end and content[at] < _MORE:  # nearly all
        return content[at], at + 1
    value = 0
    for k in range(min(_VARINT_BYTES, end - at)):
        byte = content[at + k]
        value |= (byte & ~_MORE) << 7 * k
        if byte < _MORE:
            if byte == 0 or value >= _WRAP:
                break
            return value, at + k + 1
    else:
        if end - at < _VARINT_BYTES:
            raise MalformedError("it ends within a number")
    raise MalformedError("it has a number that is longer than needed, or than 64 bits")
