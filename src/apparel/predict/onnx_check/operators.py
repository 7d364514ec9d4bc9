"""The operators of apparel's files, with their input types and the rule for the output's shape.

The table lists every operator in exports of the models cnn, fast and best, grey and in colour, with
novelty and a calibrated head, as Keras's converters write them on TensorFlow (tf2onnx 1.17) and
PyTorch (2.13), in float32 and as int8 by ONNX Runtime's static quantisation. None of them branches,
loops, draws random numbers or makes large tensors of small constants (Expand, Tile, Resize, Pad,
...), and none but Cast computes with whole numbers: -2**31 / -1 kills ONNX Runtime.

The first axis counts the images. Its size is `N_IMAGES`, a prime that no constant can have, so that
shapes show where images are mixed with each other.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

N_IMAGES = (1 << 61) - 1

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7
# Bytes of one value of each type that apparel's files have.
SIZES = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8}
NAMES = {FLOAT: "float", UINT8: "uint8", INT8: "int8", INT32: "int32", INT64: "int64"}

MAX_RANK, PLANE_RANK = 8, 4  # planes: images, channels, height, width
# Largest kernel, step, distance and margin of a window.
MAX_WINDOW = 1 << 10
# Whole numbers that say how to shape a tensor: sizes, axes, positions.
MAX_KNOWN = 64

# ONNX's numbers of the types of attributes.
_FLOAT, _INT, _TEXT, _TENSOR, _INTS = 1, 2, 3, 4, 7

_Kinds = frozenset[int]
_Floats = frozenset({FLOAT})
_Whole = frozenset({INT32, INT64})
_Bytes = frozenset({UINT8, INT8})
_Steps = _Bytes | {INT32}
_Axes = frozenset({INT64})
_Any = frozenset(SIZES)


class MisfitError(Exception):
    """Inputs and attributes of a node that do not fit each other."""


class Tensor(NamedTuple):
    """A tensor before anything runs.

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
        """The number of its values."""
        return math.prod(self.shape)


class Call(NamedTuple):
    """A node's inputs and attributes."""

    inputs: Sequence[Tensor]
    attributes: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first input."""
        return self.inputs[0].shape

    @property
    def kind(self) -> int:
        """The type of the first input."""
        return self.inputs[0].kind

    def known(self, k: int) -> tuple[int, ...]:
        """The values of an input that is a constant, or computed from sizes alone."""
        tensor = self.inputs[k]
        _expect(tensor.values is not None and len(tensor.shape) <= 1)
        return tensor.values or ()

    def is_default(self, name: str, value: object) -> bool:
        """Tell whether an attribute has its default value."""
        return bool(self.attributes.get(name, value) == value)


class Operator(NamedTuple):
    """An operator of the default domain.

    Attributes:
        rule: gives the output.
        inputs: the types allowed for each input.
        attributes: the allowed ones, and ONNX's number of each one's type.
        optional: how many of the last inputs may be left out; -1 for any number of the only one.
        work: gives the number of multiplications for each value of the output.
    """

    rule: Callable[[Call], Tensor]
    inputs: tuple[_Kinds, ...] = (_Floats,)
    attributes: Mapping[str, int] = {}
    optional: int = 0
    work: Callable[[Call], int] = lambda _: 0

    def output(self, inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Give the output for some inputs, and the number of multiplications.

        Raises:
            MisfitError: the inputs and attributes do not fit each other; or images go in, and do
                not come out along the first axis alone, so that an answer could depend on others.
        """
        least = len(self.inputs) - self.optional
        wanted = self.inputs * len(inputs) if self.optional < 0 else self.inputs
        _expect(least <= len(inputs) <= len(wanted))
        _expect(all(one.kind in kinds for one, kinds in zip(inputs, wanted, strict=False)))
        call = Call(inputs, attributes)
        output = self.rule(call)
        if self.rule is not _shape and any(N_IMAGES in tensor.shape for tensor in inputs):
            _expect(output.shape[:1] == (N_IMAGES,))
            _expect(math.prod(output.shape[1:]) % N_IMAGES != 0)
        return output, output.n_values * self.work(call)


def _expect(fits: bool) -> None:
    if not fits:
        raise MisfitError


def _axis(value: int, rank: int) -> int:
    """An axis, counted from the front."""
    _expect(-rank <= value < rank)
    return value % rank


def _axes(values: Sequence[int], rank: int) -> list[int]:
    found = [_axis(value, rank) for value in values]
    _expect(len(set(found)) == len(found))
    return found


# -- element by element --------------------------------------------------------------------


def _same(call: Call) -> Tensor:
    return Tensor(call.kind, call.shape)


def _identity(call: Call) -> Tensor:
    return call.inputs[0]


def _constant(call: Call) -> Tensor:
    _expect("value" in call.attributes)
    tensor: Tensor = call.attributes["value"]
    return tensor


def _cast(call: Call) -> Tensor:
    """Bytes to float, or sizes to sizes."""
    tensor, kind = call.inputs[0], call.attributes.get("to")
    allowed = _Whole if tensor.kind in _Whole else {FLOAT, tensor.kind}
    _expect(kind in allowed and call.is_default("saturate", 1))
    return tensor._replace(kind=int(kind or 0))


def _softmax(call: Call) -> Tensor:
    _expect(_axis(call.attributes.get("axis", -1), len(call.shape)) > 0)  # not among images
    return _same(call)


def _broadcast(call: Call) -> Tensor:
    return Tensor(call.kind, _together(*(tensor.shape for tensor in call.inputs)))


def _together(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    found = []
    for sizes in zip_longest(*map(reversed, shapes), fillvalue=1):
        wide = set(sizes) - {1}
        _expect(len(wide) <= 1)
        found.append(wide.pop() if wide else 1)
    return tuple(reversed(found))


def _quantize(call: Call) -> Tensor:
    _check_scale(call)
    return Tensor(call.inputs[2].kind, call.shape)


def _dequantize(call: Call) -> Tensor:
    _check_scale(call)
    _expect(call.inputs[2].kind == call.kind)
    return Tensor(FLOAT, call.shape)


def _check_scale(call: Call) -> None:
    """Expect one scale and zero, or as many as one axis has places."""
    _, scale, zero = call.inputs
    _expect(scale.shape == zero.shape)
    if scale.shape not in {(), (1,)}:
        _expect(
            scale.shape == (call.shape[_axis(call.attributes.get("axis", 1), len(call.shape))],)
        )


# -- layers of a network -------------------------------------------------------------------


def _conv(call: Call) -> Tensor:
    """Planes, filters and perhaps biases → planes."""
    planes, filters, *bias = (tensor.shape for tensor in call.inputs)
    _expect(len(planes) == len(filters) == PLANE_RANK)
    n_filters, depth, *kernel = filters
    group = call.attributes.get("group", 1)
    _expect(
        0 < group <= n_filters
        and n_filters % group == 0
        and planes[1] == depth * group
        and all(sizes == (n_filters,) for sizes in bias)
        and call.is_default("kernel_shape", kernel)
    )
    return Tensor(FLOAT, (planes[0], n_filters, *_windows(call, kernel)))


def _pool(call: Call) -> Tensor:
    """Planes → smaller planes."""
    _expect(len(call.shape) == PLANE_RANK)
    _expect(call.is_default("ceil_mode", 0) and call.is_default("storage_order", 0))
    kernel = call.attributes.get("kernel_shape", [])
    return Tensor(FLOAT, (*call.shape[:2], *_windows(call, kernel)))


def _windows(call: Call, kernel: list[int]) -> list[int]:
    """Count the places of a window along height and width."""
    steps = call.attributes.get("strides", [1, 1])
    gaps = call.attributes.get("dilations", [1, 1])
    pads = call.attributes.get("pads", [0, 0, 0, 0])
    _expect(
        call.is_default("auto_pad", "NOTSET")
        and [len(kernel), len(steps), len(gaps), len(pads)] == [2, 2, 2, 4]
        and all(1 <= value <= MAX_WINDOW for value in (*kernel, *steps, *gaps))
    )
    places = []
    for side, size, step, gap, *margins in zip(
        call.shape[2:], kernel, steps, gaps, pads[:2], pads[2:], strict=True
    ):
        reach = (size - 1) * gap + 1
        room = side + sum(margins) - reach
        _expect(all(0 <= margin < reach for margin in margins) and room >= 0)
        places.append(room // step + 1)
    return places


def _global_pool(call: Call) -> Tensor:
    """Planes → one value each."""
    _expect(len(call.shape) == PLANE_RANK)
    return Tensor(FLOAT, (*call.shape[:2], 1, 1))


def _matmul(call: Call) -> Tensor:
    """Matrices, one or many → their products."""
    a, b = (tensor.shape for tensor in call.inputs)
    _expect(len(a) > 1 and len(b) > 1 and a[-1] == b[-2])
    return Tensor(FLOAT, (*_together(a[:-2], b[:-2]), a[-2], b[-1]))


def _gemm(call: Call) -> Tensor:
    """Two matrices, and perhaps what is added → their product."""
    a, b, *c = (tensor.shape for tensor in call.inputs)
    for name, default in (("alpha", 1.0), ("beta", 1.0), ("transA", 0), ("transB", 0)):
        _expect(call.is_default(name, default))
    _expect(len(a) == len(b) == 2 and a[1] == b[0])  # noqa: PLR2004  # matrices
    shape = (a[0], b[1])
    _expect(all(_together(shape, added) == shape for added in c))
    return Tensor(FLOAT, shape)


def _reduce(call: Call) -> Tensor:
    """Sums or largest values along some axes."""
    keep = call.attributes.get("keepdims", 1)
    gone = _axes(call.known(1), len(call.shape))
    _expect(keep in {0, 1} and bool(gone) and call.is_default("noop_with_empty_axes", 0))
    sizes = [1 if axis in gone else size for axis, size in enumerate(call.shape)]
    kept = [size for axis, size in enumerate(sizes) if keep or axis not in gone]
    return Tensor(FLOAT, tuple(kept))


# -- the same values in another place ------------------------------------------------------


def _concat(call: Call) -> Tensor:
    """Inputs one behind another, along an axis."""
    axis = _axis(call.attributes.get("axis", len(call.shape)), len(call.shape))
    rests = {(*t.shape[:axis], -1, *t.shape[axis + 1 :]) for t in call.inputs}
    _expect(len(rests) == len({tensor.kind for tensor in call.inputs}) == 1)
    length = sum(tensor.shape[axis] for tensor in call.inputs)
    sizes = (*call.shape[:axis], length, *call.shape[axis + 1 :])
    if call.kind == FLOAT:
        return Tensor(FLOAT, sizes)
    _expect(length <= MAX_KNOWN)
    values = [value for k in range(len(call.inputs)) for value in call.known(k)]
    return Tensor(call.kind, sizes, tuple(values))


def _reshape(call: Call) -> Tensor:
    """The same values in another shape: 0 keeps a size, -1 is what remains."""
    n_values, wanted = call.inputs[0].n_values, list(call.known(1))
    _expect(len(wanted) <= MAX_RANK and call.is_default("allowzero", 0))
    for k, size in enumerate(wanted):
        if size == 0 and k < len(call.shape):
            wanted[k] = call.shape[k]
    if wanted.count(-1) == 1:
        rest = math.prod(size for size in wanted if size != -1)
        _expect(rest > 0)
        wanted[wanted.index(-1)] = n_values // rest
    _expect(min(wanted, default=1) > 0 and math.prod(wanted) == n_values)
    return Tensor(FLOAT, tuple(wanted))


def _flatten(call: Call) -> Tensor:
    """A row of values for each image."""
    _expect(len(call.shape) > 0 and call.is_default("axis", 1))
    return Tensor(FLOAT, (call.shape[0], math.prod(call.shape[1:])))


def _transpose(call: Call) -> Tensor:
    """The axes in another order."""
    order = call.attributes.get("perm", [])
    _expect(sorted(order) == list(range(len(call.shape))))
    return Tensor(FLOAT, tuple(call.shape[axis] for axis in order))


def _squeeze(call: Call) -> Tensor:
    """Without some axes of size 1."""
    gone = _axes(call.known(1), len(call.shape))
    _expect(all(call.shape[axis] == 1 for axis in gone))
    sizes = tuple(size for axis, size in enumerate(call.shape) if axis not in gone)
    return call.inputs[0]._replace(shape=sizes)


# -- sizes ---------------------------------------------------------------------------------


def _shape(call: Call) -> Tensor:
    """The sizes of the input."""
    _expect(call.is_default("start", 0))
    return Tensor(INT64, (len(call.shape),), call.shape)


def _gather(call: Call) -> Tensor:
    """Some of a list of sizes, by their places."""
    sizes, picked = call.known(0), call.inputs[1]
    _expect(len(call.shape) == 1 and call.is_default("axis", 0))
    values = tuple(sizes[_axis(place, len(sizes))] for place in call.known(1))
    return Tensor(call.kind, picked.shape, values)


def _slice(call: Call) -> Tensor:
    """A range of a list of sizes."""
    sizes = call.known(0)
    starts, ends, axes = (call.known(k) for k in range(1, 4))
    _expect(len(call.shape) == len(starts) == len(ends) == len(axes) == 1 and axes == (0,))
    values = sizes[starts[0] : ends[0]]
    _expect(bool(values))
    return Tensor(call.kind, (len(values),), values)


def _unsqueeze(call: Call) -> Tensor:
    """A size as a list."""
    _expect(call.shape == () and call.known(1) == (0,))
    return call.inputs[0]._replace(shape=(1,))


_AXIS = {"axis": _INT}
_WINDOW = {"auto_pad": _TEXT, "dilations": _INTS, "kernel_shape": _INTS, "pads": _INTS,
           "strides": _INTS}  # fmt: skip
_POOL = _WINDOW | {"ceil_mode": _INT, "storage_order": _INT}
_GEMM = {"alpha": _FLOAT, "beta": _FLOAT, "transA": _INT, "transB": _INT}
_REDUCE = {"keepdims": _INT, "noop_with_empty_axes": _INT}


def _conv_work(call: Call) -> int:
    return math.prod(call.inputs[1].shape[1:])


def _pool_work(call: Call) -> int:
    return math.prod(call.attributes["kernel_shape"])


def _product_work(call: Call) -> int:
    return call.shape[-1]


OPERATORS: Mapping[str, Operator] = {
    "Abs": Operator(_same),
    "Add": Operator(_broadcast, (_Floats, _Floats)),
    "AveragePool": Operator(_pool, attributes=_POOL, work=_pool_work),
    "Cast": Operator(_cast, (_Any,), {"to": _INT, "saturate": _INT}),
    "Concat": Operator(_concat, (_Floats | _Whole,), _AXIS, optional=-1),
    "Constant": Operator(_constant, (), {"value": _TENSOR}),
    "Conv": Operator(_conv, (_Floats,) * 3, _WINDOW | {"group": _INT}, optional=1, work=_conv_work),
    "DequantizeLinear": Operator(_dequantize, (_Steps, _Floats, _Steps), _AXIS),
    "Flatten": Operator(_flatten, attributes=_AXIS),
    "Gather": Operator(_gather, (_Whole, _Whole), _AXIS),
    "Gemm": Operator(_gemm, (_Floats,) * 3, _GEMM, optional=1, work=_product_work),
    "GlobalAveragePool": Operator(_global_pool),
    "GlobalMaxPool": Operator(_global_pool),
    "Identity": Operator(_identity, (_Any,)),
    "LeakyRelu": Operator(_same, attributes={"alpha": _FLOAT}),
    "Log": Operator(_same),
    "MatMul": Operator(_matmul, (_Floats, _Floats), work=_product_work),
    "MaxPool": Operator(_pool, attributes=_POOL, work=_pool_work),
    "Mul": Operator(_broadcast, (_Floats, _Floats)),
    "QuantizeLinear": Operator(_quantize, (_Floats, _Floats, _Bytes), _AXIS),
    "ReduceMax": Operator(_reduce, (_Floats, _Axes), _REDUCE),
    "ReduceSum": Operator(_reduce, (_Floats, _Axes), _REDUCE),
    "Relu": Operator(_same),
    "Reshape": Operator(_reshape, (_Floats, _Axes), {"allowzero": _INT}),
    "Shape": Operator(_shape, attributes={"start": _INT}),
    "Slice": Operator(_slice, (_Whole, _Axes, _Axes, _Axes)),
    "Softmax": Operator(_softmax, attributes=_AXIS),
    "Squeeze": Operator(_squeeze, (_Floats, _Axes)),
    "Sub": Operator(_broadcast, (_Floats, _Floats)),
    "Transpose": Operator(_transpose, attributes={"perm": _INTS}),
    "Unsqueeze": Operator(_unsqueeze, (_Whole, _Axes)),
}  # fmt: skip
