"""What a graph computes, followed by shapes alone: each tensor's size before anything runs.

The shapes are computed for two numbers of images, both prime and larger than the sizes of common
layers. A tensor may have the same shape for both, or a first size in proportion to them, and the
same others; anything else is refused. As no rule turns more images into a smaller tensor, what is
found holds for any number up to these.

Each image has its place along the first size, and its answer depends on no other's. So what has
that size is never put together, cut or summed along it, and nothing but sizes may be computed of
the number of images.

The bounds are on the sum over all tensors that the nodes give, as if none were ever freed or
shared. A runtime needs less, and what its kernels take besides: some times the largest tensor.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from apparel.core.messages import shown
from apparel.predict.onnx_check import layers, shaping
from apparel.predict.onnx_check.calls import Call
from apparel.predict.onnx_check.operators import OPERATORS, Operator
from apparel.predict.onnx_check.problems import MalformedError, ProblemError
from apparel.predict.onnx_check.tensors import MAX_RANK, MAX_VALUES, NAMES, Tensor, constant
from apparel.predict.onnx_check.wire import Message

DEFAULT_DOMAINS = {"", "ai.onnx"}
BATCHES = (1009, 1013)
# Bytes that all tensors together may take, for each pixel value of an image, and for a whole image
# whatever its size. The models of apparel take 335 to 2,580 a pixel value, `best` as int8 the most.
BYTES_PER_PIXEL, MIN_BYTES, MAX_BYTES = 1 << 13, 1 << 20, 1 << 32
# Multiplications, likewise: up to 156,268.
WORK_PER_PIXEL, MIN_WORK = 1 << 22, 1 << 28
# Bytes that are the same for any number of images, for each byte of the file: int8 weights become
# float32. And multiplications, if a constant has to be computed.
FIXED_PER_BYTE = 8
# What puts values along an axis together.
ALONG = (layers.along_axis, shaping.concat)
# ONNX's number of an attribute's type → the field that holds its value.
_PAYLOADS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


class _Node(NamedTuple):
    name: str
    operator: Operator
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


def follow(
    graph: Message, images: str, kind: int, img_shape: tuple[int, ...], file_size: int
) -> list[dict[str, Tensor]]:
    """Follow the shapes through a graph, from its images to all that it computes.

    Args:
        graph: a GraphProto.
        images: the name of its only input.
        kind: the type of the images.
        img_shape: the sizes of one image.
        file_size: bytes of the file.

    Returns:
        Names → tensors, for each of `BATCHES`.

    Raises:
        ProblemError: a node is none that apparel's files have, its inputs do not fit, or it would
            take too much memory or time.
    """
    constants = dict(_constants(graph["initializer"]))
    nodes = [_node(message, k) for k, message in enumerate(graph["node"])]
    meters = _meters(math.prod(img_shape), file_size)
    both = [{images: Tensor(kind, (n, *img_shape))} for n in BATCHES]
    if images in constants:
        raise ProblemError(f"the input {shown(images)} is a constant as well")
    for known in both:
        known.update(constants)
    for node in nodes:
        calls = [_call(node, known) for known in both]
        outputs = [_output(node, call) for call in calls]
        _check_growth(node, *(output.shape for output in outputs))
        _check_apart(node, calls, outputs)
        meters["bytes"].add(node.name, [output.n_bytes for output in outputs])
        meters["multiplications"].add(node.name, [call.work for call in calls])
        for known, output in zip(both, outputs, strict=True):
            known[node.output] = output
    _check_declared(graph["value_info"], *both)
    return both


def _constants(initializers: list[Message]) -> Iterator[tuple[str, Tensor]]:
    names = set()
    for message in initializers:
        name = message.get("name", "")
        if not name or name in names:
            raise ProblemError(f"it has two constants, or a nameless one: {shown(name)}")
        names.add(name)
        yield name, constant(message, f"the constant {shown(name)}")


def _node(message: Message, k: int) -> _Node:
    """Check a node by itself."""
    kind, domain = message.get("op_type", ""), message.get("domain", "")
    name = f"node {k} ({shown(kind)})"
    operator = OPERATORS.get(kind) if domain in DEFAULT_DOMAINS else None
    if operator is None:
        of = f" of {shown(domain)}" if domain else ""
        raise ProblemError(
            f"node {k} is an operator {shown(kind)}{of}, expected one that apparel's models have"
        )
    inputs, outputs = message["input"], message["output"]
    if not operator.least <= len(inputs) <= operator.most or len(outputs) != 1 or not outputs[0]:
        raise ProblemError(
            f"{name} has {len(inputs)} inputs and {len(outputs)} outputs, expected "
            f"{operator.least} to {operator.most}, and one"
        )
    return _Node(
        name, operator, inputs, outputs[0], _attributes(message["attribute"], operator, name)
    )


def _attributes(messages: list[Message], operator: Operator, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for message in messages:
        key, kind = message.get("name", ""), message.get("type", 0)
        if operator.attributes.get(key) != kind or key in found:
            raise ProblemError(f"{name} has an unknown attribute {shown(key)}, or has it twice")
        payload = _PAYLOADS[kind]
        others = [k for k in _PAYLOADS.values() if k != payload and message.get(k, []) != []]
        if others or payload not in message:
            raise MalformedError(f"{name} has the attribute {shown(key)} without its value")
        value = message[payload]
        found[key] = constant(value, f"the value of {name}") if payload == "t" else value
    return found


def _call(node: _Node, known: dict[str, Tensor]) -> Call:
    """A node with its inputs, which must have been computed before."""
    if node.output in known:
        raise ProblemError(f"{node.name} gives {shown(node.output)}, which is there already")
    for name in node.inputs:
        if name and name not in known:
            raise ProblemError(f"{node.name} takes {shown(name)}, which nothing before it gives")
    inputs = tuple(known[name] if name else None for name in node.inputs)
    return Call(node.name, inputs, node.attributes)


def _output(node: _Node, call: Call) -> Tensor:
    output = node.operator.rule(call)
    if (
        len(output.shape) > MAX_RANK
        or min(output.shape, default=1) < 1
        or output.n_values > MAX_VALUES * BATCHES[-1]
    ):
        raise ProblemError(
            f"{node.name} gives a tensor of {shown(output.shape)}, expected at most {MAX_RANK} "
            f"sizes of at least 1, and at most {MAX_VALUES:,} values an image"
        )
    return output


def _check_growth(node: _Node, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    if first != second and (
        first[1:] != second[1:] or first[0] * BATCHES[1] != second[0] * BATCHES[0]
    ):
        raise ProblemError(
            f"{node.name} gives a tensor of {first} for {BATCHES[0]} images and of {second} for "
            f"{BATCHES[1]}, expected only the first size to grow, in proportion"
        )


def _check_apart(node: _Node, calls: list[Call], outputs: list[Tensor]) -> None:
    """Refuse a node by which an image's answer could depend on other images, or on their number."""
    first, second = (call.inputs for call in calls)
    grows = any(a != b for a, b in zip(first, second, strict=True))
    if not grows:
        return
    if outputs[0] == outputs[1] and outputs[0].values is None:
        raise ProblemError(
            f"{node.name} gives a tensor of {outputs[0].shape} for any number of images, expected "
            "one that grows with them"
        )
    rank = len(outputs[0].shape)
    if node.operator.rule in ALONG and outputs[0].shape != outputs[1].shape:
        axis = node.attributes.get("axis", -1)
        if axis % rank == 0:
            raise ProblemError(
                f"{node.name} has the axis {axis}, along which the images are, expected another"
            )


class _Meter:
    """Counts what the nodes take, for each image and once for all."""

    def __init__(self, unit: str, an_image: int, fixed: int) -> None:
        self._unit, self._allowed = unit, (an_image, fixed)
        self._taken = [0, 0]

    def add(self, name: str, amounts: list[int]) -> None:
        """Add what a node takes for each of `BATCHES`."""
        first, second = amounts
        once = first == second
        self._taken[once] += first if once else -(-first // BATCHES[0])
        if self._taken[once] > self._allowed[once]:
            raise ProblemError(
                f"up to {name} it takes {self._taken[once]:,} {self._unit} "
                f"{'at once' if once else 'an image'}, expected at most {self._allowed[once]:,}"
            )


def _meters(pixels: int, file_size: int) -> dict[str, _Meter]:
    """What counts memory and time.

    Args:
        pixels: values of one image.
        file_size: bytes of the file.
    """
    size = min(max(BYTES_PER_PIXEL * pixels, MIN_BYTES), MAX_BYTES)
    work = max(WORK_PER_PIXEL * pixels, MIN_WORK)
    once = FIXED_PER_BYTE * file_size + MIN_BYTES
    units = {"bytes": (size, once), "multiplications": (work, once)}
    return {unit: _Meter(unit, *allowed) for unit, allowed in units.items()}


def _check_declared(
    messages: list[Message], first: dict[str, Tensor], second: dict[str, Tensor]
) -> None:
    """Refuse shapes that a file states and that are not so."""
    for message in messages:
        name = message.get("name", "")
        if name not in first or "shape" not in message.get("type", {}).get("tensor_type", {}):
            continue  # of a node that an optimiser took away, or no statement at all
        kind, sizes = declared(message, name)
        same = zip(first[name].shape, second[name].shape, strict=True)
        fixed = [a if a == b else None for a, b in same]
        fits = len(sizes) == len(fixed) and all(
            size == known or isinstance(size, str) for size, known in zip(sizes, fixed, strict=True)
        )
        if kind != first[name].kind or not fits:
            raise ProblemError(
                f"it states {shown(name)} to be {NAMES.get(kind, kind)} {shown(sizes)}, and it is "
                f"{NAMES[first[name].kind]} {shown(fixed)}"
            )


def declared(message: Message, name: str) -> tuple[int, tuple[int | str, ...]]:
    """The type and shape that a file states for a tensor.

    Args:
        message: a ValueInfoProto.
        name: of the tensor.

    Returns:
        ONNX's number of the type, and each size, or its name where it is free, "" for no name.

    Raises:
        ProblemError: it states none, or one that cannot be.
    """
    tensor = message.get("type", {}).get("tensor_type", {})
    if "shape" not in tensor:
        raise ProblemError(f"it states no shape of {shown(name)}")
    sizes: list[int | str] = []
    for dimension in tensor["shape"]["dim"]:
        if {"dim_value", "dim_param"} <= dimension.keys():
            raise MalformedError(f"a size of {shown(name)} is both a number and a name")
        size = dimension.get("dim_value", dimension.get("dim_param", ""))
        if isinstance(size, int) and not 1 <= size <= MAX_VALUES:
            raise ProblemError(
                f"{shown(name)} has a size of {size}, expected from 1 to {MAX_VALUES:,}"
            )
        sizes.append(size)
    return tensor.get("elem_type", 0), tuple(sizes)
