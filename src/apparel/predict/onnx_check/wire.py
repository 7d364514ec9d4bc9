"""The bytes of an ONNX file → nested dictionaries, in a form that has one meaning only.

A parser of Protocol Buffers may merge a field that occurs twice, take the last of two, skip unknown
fields, cut integers to 32 bits, or read a number that is padded with zeros. Parsers differ in this,
so the one that checks a file and the one that runs it may see two models. All of it is refused
here. The writers of ONNX files write nothing else.

The schema has the fields that apparel's files have, by their numbers in `onnx.proto` (IR version
13). It does not lead into itself, since subgraphs are refused, so nesting ends without a counter.

Source: https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from apparel.core.messages import shown

# Fields of a whole file. A model of apparel has some thousand; reading so many takes half a second.
MAX_FIELDS = 50_000
# Bytes of all texts and names of a file, its metadata among them.
MAX_TEXT = 4 << 20
# Bytes 4 to 7 by which runtimes take a file for one of another format, which was not examined:
# ONNX Runtime's own, and TensorFlow Lite's. A file may be both.
OTHER_FORMATS = {b"ORTM", b"TFL3"}

REMEDY = "Write one with: apparel export RUN --format onnx"

_VARINT_BYTES, _FLOAT_BYTES, _MORE, _WRAP = 10, 4, 0x80, 1 << 64

# What a field holds → the wire type by which it is written.
INT, FLOAT, TEXT, DATA, MESSAGE, REFUSED = "int", "float", "text", "data", "message", "refused"
_WIRE_TYPES = {INT: 0, FLOAT: 5, TEXT: 2, DATA: 2, MESSAGE: 2}

Message: TypeAlias = dict[str, Any]


class ProblemError(Exception):
    """Something in a file that apparel's own files do not have.

    Attributes:
        verdict: what the file is, for the message.
        remedy: what to do next, for the message.
    """

    verdict = "is an ONNX model, but not one that apparel wrote"

    def __init__(self, reason: str, *, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy or REMEDY


class MalformedError(ProblemError):
    """Bytes that are no ONNX file, or a damaged one."""

    verdict = "is no ONNX file, or a damaged one"


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        name: the key in the dictionary.
        kind: INT gives an int, FLOAT a float, TEXT a str, DATA a memoryview of the file, MESSAGE a
            dictionary; REFUSED may not occur.
        many: whether it may occur more than once; then the value is a list.
        schema: of a MESSAGE.
    """

    name: str
    kind: str
    many: bool = False
    schema: "Schema | None" = None


Schema: TypeAlias = Mapping[int, Field]


def _messages(name: str, schema: Schema) -> Field:
    return Field(name, MESSAGE, many=True, schema=schema)


def _message(name: str, schema: Schema) -> Field:
    return Field(name, MESSAGE, schema=schema)


_DOC = Field("doc_string", TEXT)
_NAME = Field("name", TEXT)
_PROPERTIES = _messages("metadata_props", {1: Field("key", TEXT), 2: Field("value", TEXT)})
_TENSOR: Schema = {
    1: Field("dims", INT, many=True),
    2: Field("data_type", INT),
    4: Field("float_data", DATA),  # packed, as ONNX's writers do
    5: Field("int32_data", DATA),
    6: Field("string data", REFUSED),
    7: Field("int64_data", DATA),
    8: _NAME,
    9: Field("raw_data", DATA),
    12: _DOC,
    13: Field("external data, in another file", REFUSED),
    14: Field("data_location", INT),
    16: _PROPERTIES,
}
_SIZE: Schema = {
    1: Field("dim_value", INT),
    2: Field("dim_param", TEXT),
    3: Field("denotation", TEXT),
}
_TENSOR_TYPE: Schema = {
    1: Field("elem_type", INT),
    2: _message("shape", {1: _messages("dim", _SIZE)}),
}
_VALUE_INFO: Schema = {
    1: _NAME,
    2: _message("type", {1: _message("tensor_type", _TENSOR_TYPE), 6: Field("denotation", TEXT)}),
    3: _DOC,
    4: _PROPERTIES,
}
_ATTRIBUTE: Schema = {
    1: _NAME,
    2: Field("f", FLOAT),
    3: Field("i", INT),
    4: Field("s", TEXT),
    5: _message("t", _TENSOR),
    6: Field("a subgraph", REFUSED),
    8: Field("ints", INT, many=True),
    11: Field("subgraphs", REFUSED),
    13: _DOC,
    20: Field("type", INT),
}
_NODE: Schema = {
    1: Field("input", TEXT, many=True),
    2: Field("output", TEXT, many=True),
    3: _NAME,
    4: Field("op_type", TEXT),
    5: _messages("attribute", _ATTRIBUTE),
    6: _DOC,
    7: Field("domain", TEXT),
    9: _PROPERTIES,
}
_GRAPH: Schema = {
    1: _messages("node", _NODE),
    2: _NAME,
    5: _messages("initializer", _TENSOR),
    10: _DOC,
    11: _messages("input", _VALUE_INFO),
    12: _messages("output", _VALUE_INFO),
    13: _messages("value_info", _VALUE_INFO),
    15: Field("a sparse initializer", REFUSED),
    16: _PROPERTIES,
}
MODEL: Schema = {
    1: Field("ir_version", INT),
    2: Field("producer_name", TEXT),
    3: Field("producer_version", TEXT),
    4: Field("domain", TEXT),
    5: Field("model_version", INT),
    6: _DOC,
    7: _message("graph", _GRAPH),
    8: _messages("opset_import", {1: Field("domain", TEXT), 2: Field("version", INT)}),
    14: _PROPERTIES,
    25: Field("local functions", REFUSED),
}


def parse(content: bytes) -> Message:
    """Read an ONNX file.

    Args:
        content: the bytes. They are not copied, except texts.

    Returns:
        A ModelProto as field names → values. Fields that do not occur are not in it, except that
        repeated ones are empty lists.

    Raises:
        ProblemError: the bytes are no such file in the strict form, or hold too much.
    """
    if content[4:8] in OTHER_FORMATS:
        raise MalformedError(f"bytes 4 to 7 are {shown(content[4:8])}, as in another format")
    return _Reader(content).message(0, len(content), MODEL, "the model")


class _Reader:
    """Reads messages, and counts what it has read."""

    def __init__(self, content: bytes) -> None:
        self._content, self._view = content, memoryview(content)
        self._fields_left, self._text_left = MAX_FIELDS, MAX_TEXT

    def message(self, at: int, end: int, schema: Schema, name: str) -> Message:
        """Read the message that fills some bytes.

        Raises:
            ProblemError: as in `parse`.
        """
        found: Message = {field.name: [] for field in schema.values() if field.many}
        while at < end:
            tag, at = read_varint(self._content, at, end)
            field = schema.get(tag >> 3)
            if field is None:
                raise MalformedError(f"{name} has an unknown field {tag >> 3}")
            self._check(field, tag & 7, found, name)
            value, at = self._value(at, end, field, name)
            if field.many:
                found[field.name].append(value)
            else:
                found[field.name] = value
        return found

    def _check(self, field: Field, wire_type: int, found: Message, name: str) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise ProblemError(f"it has more than {MAX_FIELDS:,} fields")
        if field.kind == REFUSED:
            raise ProblemError(f"{name} has {field.name}, which apparel's files never have")
        if wire_type != _WIRE_TYPES[field.kind]:
            raise MalformedError(
                f"{name} has {field.name} as wire type {wire_type}, expected "
                f"{_WIRE_TYPES[field.kind]}"
            )
        if field.name in found and not field.many:
            raise MalformedError(f"{name} has {field.name} twice")

    def _value(self, at: int, end: int, field: Field, name: str) -> tuple[Any, int]:
        """Read a field's value; also give where the next field begins."""
        if field.kind == INT:
            value, at = read_varint(self._content, at, end)
            return value - (value >> 63) * _WRAP, at
        if field.kind == FLOAT:
            if end - at < _FLOAT_BYTES:
                raise MalformedError(f"{name} ends within {field.name}")
            return struct.unpack_from("<f", self._content, at)[0], at + _FLOAT_BYTES
        size, at = read_varint(self._content, at, end)
        stop = at + size
        if stop > end:
            raise MalformedError(
                f"{name} ends within {field.name}: {end - at:,} of {size:,} bytes are there"
            )
        if field.kind == TEXT:
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
