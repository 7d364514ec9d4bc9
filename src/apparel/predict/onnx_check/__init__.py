"""An ONNX file, examined before a runtime sees it.

A runtime for ONNX is some hundred thousand lines of C++ that trust a file in much: it may name
other files to read, ask for any amount of memory, run loops without end, or reach code with known
holes. Files that `apparel export` wrote do none of this, and use few operators. So `wire` reads a
file in full, by a parser that knows the form of these files and nothing else; `operators` lists
what a node may do; and `check` refuses a file that has anything else.

The shapes are followed through the graph before anything runs. The first axis of every tensor
that depends on images is the batch axis, so the result holds for any batch size.

The bounds are on the sum over all tensors that the nodes give, as if none were ever freed or
shared. A runtime needs less, and what its kernels take besides: some times the largest tensor. The
weights themselves are not looked at.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apparel.core.messages import MAX_VALUE as MAX_SHOWN
from apparel.core.messages import printable, shown
from apparel.predict.onnx_check.operators import (
    FLOAT,
    INT8,
    INT32,
    INT64,
    MAX_KNOWN,
    MAX_RANK,
    N_IMAGES,
    NAMES,
    OPERATORS,
    SIZES,
    UINT8,
    MisfitError,
    Operator,
    Tensor,
)
from apparel.predict.onnx_check.wire import MalformedError, Message, ProblemError, read_varint

# From the first operator set whose shapes are as in today's to the last of ONNX 1.21, with which
# ONNX Runtime 1.25 came, the oldest that apparel works with.
MIN_OPSET, MAX_OPSET = 13, 26
MIN_IR, MAX_IR = 7, 13
DEFAULT_DOMAINS = {"", "ai.onnx"}

# Inputs, outputs or sizes that a message names.
MAX_LISTED = 4
# Models of apparel have 47 to 170 nodes. ONNX Runtime's optimisers take a second for 4,000.
MAX_NODES = 1_000
# Of one constant. As float32 it would fill half of the largest file.
MAX_VALUES = 1 << 26
# Bytes of numbers in the slow form, one varint each. Weights come as raw bytes.
MAX_VARINTS = 1 << 16
# For each pixel value of an image, so many bytes of all tensors together, and multiplications. The
# models of apparel take up to 7,400 and 157,000. Small images count as if they had 64 values.
BYTES_PER_VALUE, WORK_PER_VALUE, LEAST_VALUES = 1 << 14, 1 << 22, 1 << 6
MAX_BYTES = 1 << 32
# What does not depend on images is computed once: as many bytes for each byte of the file, since
# int8 weights become float32, and likewise multiplications.
ONCE_PER_BYTE, MIN_ONCE = 8, 1 << 20

# The slow form in which the values of each type may come, instead of raw bytes; codes of `struct`.
_TYPED = {FLOAT: "float_data", UINT8: "int32_data", INT8: "int32_data", INT32: "int32_data",
          INT64: "int64_data"}  # fmt: skip
_CODES = {UINT8: "B", INT8: "b", INT32: "i", INT64: "q"}
# ONNX's number of an attribute's type → the field that holds its value.
_PAYLOADS = {1: "f", 2: "i", 3: "s", 4: "t", 7: "ints"}


def check(
    model: Message, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], file_size: int
) -> None:
    """Refuse a model that is not as described, or that does what apparel's models do not.

    Args:
        model: a ModelProto that was parsed.
        inputs: those that the file's metadata describe, of `N_IMAGES` images.
        outputs: likewise.
        file_size: bytes of the file.

    Raises:
        ProblemError: it differs, has an operator that apparel's files do not have, inputs of a
            node do not fit, or it would need too much memory or time.
    """
    _check_versions(model)
    if "graph" not in model:
        raise MalformedError("it has no graph")
    graph = model["graph"]
    _check_described("its input is", map(_declared_text, graph["input"]), inputs)
    _check_described("its output is", map(_declared_text, graph["output"]), outputs)
    known = _follow(graph, inputs, file_size)
    computed = (_text(name, known[name]) for name in outputs if name in known)
    _check_described("it computes", computed, outputs)
    for message in graph["value_info"]:
        tensor = known.get(message.get("name", ""))
        kind, sizes = _declared(message)
        if tensor and sizes:
            shape = [
                k if size is None else size for size, k in zip(sizes, tensor.shape, strict=False)
            ]
            if (kind, len(sizes), *shape) != (tensor.kind, len(tensor.shape), *tensor.shape):
                raise ProblemError(f"it states another shape of {_text(message['name'], tensor)}")


def _check_versions(model: Message) -> None:
    """Refuse operator sets and file formats that were not tried."""
    found: dict[str, int] = {}
    for entry in model["opset_import"]:
        domain = entry.get("domain", "")
        domain = "" if domain in DEFAULT_DOMAINS else domain
        if domain in found:
            raise ProblemError(f"it names the operator set {shown(domain)} twice")
        found[domain] = entry.get("version", 0)
    opset, ir_version = found.get("", 0), model.get("ir_version", 0)
    if not opset or not ir_version:
        raise MalformedError("it does not say which operator set and format it has")
    is_newer = max(found.values()) > MAX_OPSET or ir_version > MAX_IR
    if is_newer or min(found.values()) < 1 or opset < MIN_OPSET or ir_version < MIN_IR:
        raise ProblemError(
            f"it has operator sets {shown(found)} in format {ir_version}, and this apparel reads "
            f"operator sets {MIN_OPSET} to {MAX_OPSET} in formats {MIN_IR} to {MAX_IR}",
            remedy="Update: pip install -U apparel onnxruntime" if is_newer else None,
        )


def _check_described(what: str, found: Iterable[str], described: Mapping[str, Tensor]) -> None:
    """Refuse tensors other than those of the description."""
    texts, expected = list(found), [_text(name, tensor) for name, tensor in described.items()]
    if sorted(texts) != sorted(expected):
        raise ProblemError(
            f"{what} {', '.join(texts[:MAX_LISTED]) or 'missing'}, but its description says "
            f"{', '.join(expected)}, for any number n of images"
        )


def _text(name: str, tensor: Tensor) -> str:
    """Name, type and shape of a tensor, for messages."""
    sizes = ", ".join("n" if size == N_IMAGES else f"{size}" for size in tensor.shape)
    return f"{name} {NAMES[tensor.kind]} ({sizes})".lstrip()


def _declared_text(message: Message) -> str:
    """The same of a ValueInfoProto."""
    kind, sizes = _declared(message)
    shape = ", ".join("n" if size is None else f"{size}" for size in sizes[:MAX_RANK])
    return f"{printable(message.get('name', ''), MAX_SHOWN)} {NAMES.get(kind, kind)} ({shape})"


def _declared(message: Message) -> tuple[int, list[int | None]]:
    """The type and the sizes in a ValueInfoProto; None for any size.

    Raises:
        MalformedError: a size is stated twice.
    """
    tensor = message.get("type", {}).get("tensor_type", {})
    sizes = tensor.get("shape", {}).get("dim", [])
    if any({"dim_value", "dim_param"} <= size.keys() for size in sizes):
        raise MalformedError("a size is both a number and a name")
    return tensor.get("elem_type", 0), [size.get("dim_value") for size in sizes]


# -- constants -----------------------------------------------------------------------------


def _constant(message: Message, name: str) -> Tensor:
    """Check a tensor that a file holds.

    Raises:
        ProblemError: its data are elsewhere, of another type, or do not fill its shape exactly.
    """
    if message.get("data_location", 0) != 0:
        raise ProblemError(f"{name} has external data, in another file")
    kind, shape = message.get("data_type", 0), tuple(message["dims"])
    if kind not in SIZES:
        raise ProblemError(
            f"{name} is of type {shown(kind)}, expected one of {', '.join(NAMES.values())}"
        )
    if len(shape) > MAX_RANK or min(shape, default=1) < 1 or math.prod(shape) > MAX_VALUES:
        raise ProblemError(
            f"{name} has the shape {shown(shape)}, expected at most {MAX_RANK} sizes of at least "
            f"1 with a product of at most {MAX_VALUES:,}"
        )
    forms = [form for form in ("raw_data", *sorted(set(_TYPED.values()))) if form in message]
    if len(forms) != 1 or forms[0] not in {"raw_data", _TYPED[kind]}:
        raise MalformedError(
            f"{name} has its values as {forms}, expected raw_data or {_TYPED[kind]}"
        )
    data, values = message[forms[0]], None
    count = math.prod(shape)
    if forms[0] in {"raw_data", "float_data"}:
        given, expected, unit = len(data), count * SIZES[kind], "bytes"
        if given == expected and kind != FLOAT and count <= MAX_KNOWN:
            values = tuple(data.cast(_CODES[kind]))
    else:
        values = tuple(_varints(data, kind, name))
        given, expected, unit = len(values), count, "numbers"
    if given != expected:
        raise MalformedError(
            f"{name} has {given:,} {unit}, and its shape {shown(shape)} of {NAMES[kind]} expects "
            f"{expected:,}"
        )
    is_short = count <= MAX_KNOWN and N_IMAGES not in (values or ())
    return Tensor(kind, shape, values if is_short else None)


def _varints(data: memoryview, kind: int, name: str) -> Iterator[int]:
    """Read numbers in the slow form.

    Raises:
        ProblemError: they are too many, or out of range.
    """
    if len(data) > MAX_VARINTS:
        raise ProblemError(
            f"{name} has {len(data):,} bytes of numbers in the slow form, at most "
            f"{MAX_VARINTS:,} are read"
        )
    n_bits = 8 * SIZES[kind]
    low = 0 if kind == UINT8 else -(1 << n_bits - 1)
    at = 0
    while at < len(data):
        value, at = read_varint(data, at, len(data))
        value -= (value >> 63) << 64
        if not low <= value < low + (1 << n_bits):
            raise MalformedError(f"{name} holds {value}, which is no {NAMES[kind]}")
        yield value


# -- nodes ---------------------------------------------------------------------------------


def _follow(graph: Message, inputs: Mapping[str, Tensor], file_size: int) -> dict[str, Tensor]:
    """Follow the shapes through a graph; give every tensor.

    Raises:
        ProblemError: as in `check`.
    """
    known = dict(inputs)
    for message in graph["initializer"]:
        name = message.get("name", "")
        if not name or name in known:
            raise ProblemError(f"it has two constants, or a nameless one: {shown(name)}")
        known[name] = _constant(message, f"the constant {shown(name)}")
    if len(graph["node"]) > MAX_NODES:
        raise ProblemError(f"it has {len(graph['node']):,} nodes, expected up to {MAX_NODES:,}")
    n_values = max(*(math.prod(tensor.shape[1:]) for tensor in inputs.values()), LEAST_VALUES)
    once = ONCE_PER_BYTE * file_size + MIN_ONCE
    allowed = {
        ("bytes", "an image"): min(BYTES_PER_VALUE * n_values, MAX_BYTES),
        ("multiplications", "an image"): WORK_PER_VALUE * n_values,
        ("bytes", "once"): once,
        ("multiplications", "once"): once,
    }
    needed = Counter[tuple[str, str]]()
    for k, message in enumerate(graph["node"]):
        output, tensor, work = _node(message, k, known)
        known[output] = tensor
        is_image = tensor.shape[:1] == (N_IMAGES,)
        for unit, amount in (
            ("bytes", tensor.n_values * SIZES[tensor.kind]),
            ("multiplications", work),
        ):
            key = unit, "an image" if is_image else "once"
            needed[key] += amount // N_IMAGES if is_image else amount
            if needed[key] > allowed[key]:
                raise ProblemError(
                    f"up to node {k} ({message['op_type']}) it needs {needed[key]:,} {unit} "
                    f"{key[1]}, expected up to {allowed[key]:,}"
                )
    return known


def _node(message: Message, k: int, known: Mapping[str, Tensor]) -> tuple[str, Tensor, int]:
    """Check a node; give the name of its output, the output, and the multiplications."""
    kind, domain = message.get("op_type", ""), message.get("domain", "")
    operator = OPERATORS.get(kind) if domain in DEFAULT_DOMAINS else None
    if operator is None:
        of = f" of {shown(domain)}" if domain else ""
        raise ProblemError(
            f"node {k} is an operator {shown(kind)}{of}, expected one that apparel's models have"
        )
    name = f"node {k} ({kind})"
    for given in message["input"]:
        if given not in known:
            raise ProblemError(
                f"{name} has the input {shown(given)}, which no node before it computes"
            )
    outputs = message["output"]
    if len(outputs) != 1 or not outputs[0] or outputs[0] in known:
        raise ProblemError(f"{name} has the outputs {shown(outputs)}, expected one of a new name")
    inputs = [known[given] for given in message["input"]]
    attributes = _attributes(message["attribute"], operator, name)
    try:
        tensor, work = operator.output(inputs, attributes)
    except MisfitError:
        texts = ", ".join(_text("", tensor) for tensor in inputs[:MAX_LISTED])
        more = {key: value for key, value in attributes.items() if not isinstance(value, Tensor)}
        raise ProblemError(
            f"{name} has inputs and attributes that do not fit: {texts or 'none'}, {shown(more)}"
        ) from None
    return outputs[0], tensor, work


def _attributes(messages: list[Message], operator: Operator, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for message in messages:
        key, kind = message.get("name", ""), message.get("type", 0)
        if operator.attributes.get(key) != kind or key in found:
            raise ProblemError(f"{name} has an unknown attribute {shown(key)}, or has it twice")
        held = [payload for payload in _PAYLOADS.values() if message.get(payload, []) != []]
        if held != [_PAYLOADS[kind]]:
            raise MalformedError(f"{name} has the attribute {shown(key)} without its value")
        value = message[held[0]]
        found[key] = _constant(value, f"the value of {name}") if held == ["t"] else value
    return found
