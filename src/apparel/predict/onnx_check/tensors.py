"""Constants of a graph: types, shapes, and the values of those that say how to shape others."""

import math
from typing import NamedTuple

from apparel.core.messages import shown
from apparel.predict.onnx_check.problems import MalformedError, ProblemError
from apparel.predict.onnx_check.wire import Message, read_varint

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7
# Bytes of one value of each type that apparel's files have.
SIZES = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8}
NAMES = {FLOAT: "float", UINT8: "uint8", INT8: "int8", INT32: "int32", INT64: "int64"}
# The least and largest number of each type of whole numbers.
RANGES = {UINT8: (0, 255), INT8: (-128, 127), INT32: (-(1 << 31), (1 << 31) - 1),
          INT64: (-(1 << 63), (1 << 63) - 1)}  # fmt: skip
MAX_RANK = 8
# Of one tensor. As float32 it would fill half of the largest file.
MAX_VALUES = 1 << 26
# Whole numbers that say how to shape a tensor: sizes, axes, positions.
MAX_KNOWN = 64
# Bytes of numbers in the slow form, one varint each. Weights come as raw bytes.
MAX_VARINTS = 1 << 16
# The slow form in which each type may come, instead of raw bytes.
_TYPED = {FLOAT: "float_data", UINT8: "int32_data", INT8: "int32_data", INT32: "int32_data",
          INT64: "int64_data"}  # fmt: skip


class Tensor(NamedTuple):
    """What is known of a tensor before anything runs.

    Attributes:
        kind: ONNX's number of its type, one of `SIZES`.
        shape: each size at least 1.
        values: all of them in order, where they are few, whole and known.
    """

    kind: int
    shape: tuple[int, ...]
    values: tuple[int, ...] | None = None

    @property
    def n_values(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """How many bytes it takes."""
        return self.n_values * SIZES[self.kind]


def constant(message: Message, name: str) -> Tensor:
    """Check a tensor that a file holds.

    Args:
        message: a TensorProto.
        name: what messages call it.

    Raises:
        ProblemError: its data are elsewhere, of another type, or do not fill its shape exactly.
    """
    if message.get("data_location", 0) != 0:
        raise ProblemError(f"{name} has external data, in another file")
    kind = message.get("data_type", 0)
    if kind not in SIZES:
        raise ProblemError(
            f"{name} is of type {shown(kind)}, expected one of {', '.join(NAMES.values())}"
        )
    shape = tuple(message["dims"])
    count = _count(shape, name)
    forms = [form for form in ("raw_data", *sorted(set(_TYPED.values()))) if form in message]
    if len(forms) != 1 or forms[0] not in {"raw_data", _TYPED[kind]}:
        raise MalformedError(
            f"{name} has its values as {forms}, expected raw_data or {_TYPED[kind]}"
        )
    data = message[forms[0]]
    if forms[0] in {"raw_data", "float_data"}:
        if len(data) != count * SIZES[kind]:
            raise MalformedError(
                f"{name} has {len(data):,} bytes of values, and its shape {shown(shape)} of "
                f"{NAMES[kind]} expects {count * SIZES[kind]:,}"
            )
        return Tensor(kind, shape, _from_raw(data, kind, count))
    values = _from_varints(data, kind, name)
    if len(values) != count:
        raise MalformedError(
            f"{name} has {len(values):,} values, and its shape {shown(shape)} expects {count:,}"
        )
    return Tensor(kind, shape, values if count <= MAX_KNOWN else None)


def _count(shape: tuple[int, ...], name: str) -> int:
    """How many values a shape has.

    Raises:
        ProblemError: none, or too many.
    """
    if len(shape) > MAX_RANK or min(shape, default=1) < 1 or math.prod(shape) > MAX_VALUES:
        raise ProblemError(
            f"{name} has the shape {shown(shape)}, expected at most {MAX_RANK} sizes of at least "
            f"1 with a product of at most {MAX_VALUES:,}"
        )
    return math.prod(shape)


def _from_raw(data: memoryview, kind: int, count: int) -> tuple[int, ...] | None:
    if kind == FLOAT or count > MAX_KNOWN:
        return None
    size = SIZES[kind]
    signed = kind != UINT8
    return tuple(
        int.from_bytes(data[k : k + size], "little", signed=signed)
        for k in range(0, len(data), size)
    )


def _from_varints(data: memoryview, kind: int, name: str) -> tuple[int, ...]:
    if len(data) > MAX_VARINTS:
        raise ProblemError(
            f"{name} has {len(data):,} bytes of numbers in the slow form, at most "
            f"{MAX_VARINTS:,} are read"
        )
    values = []
    at, end = 0, len(data)
    low, high = RANGES[kind]
    while at < end:
        value, at = read_varint(data, at, end)
        value -= (value >> 63) << 64
        if not low <= value <= high:
            raise MalformedError(f"{name} holds {value}, which is no {NAMES[kind]}")
        values.append(value)
    return tuple(values)
