"""Shape rules of the operators that compute: element by element, or as layers of a network."""

import math
from itertools import zip_longest

from apparel.predict.onnx_check.calls import Call
from apparel.predict.onnx_check.tensors import FLOAT, INT8, INT32, UINT8, Tensor

PLANE_RANK = 4  # images, channels, height, width
# Largest kernel, step, distance and margin of a window.
MAX_WINDOW = 1 << 10


def same(call: Call) -> Tensor:
    """One input → as large."""
    taken = call.taken(0)
    return Tensor(taken.kind, taken.shape)


def along_axis(call: Call) -> Tensor:
    """As `same`, along an axis that must be there."""
    call.axis(call.attributes.get("axis", -1), len(call.taken(0).shape))
    return same(call)


def clip(call: Call) -> Tensor:
    """As `same`, within bounds that are single values."""
    for k in (1, 2):
        bound = call.optional(k)
        call.expect(bound is None or bound.shape == (), f"a bound {bound}", "a single value")
    return same(call)


def broadcast(call: Call) -> Tensor:
    """Inputs of one type → as large as all of them together."""
    inputs = [call.taken(k) for k in range(len(call.inputs))]
    kinds = {tensor.kind for tensor in inputs}
    call.expect(len(kinds) == 1, f"inputs of the types {sorted(kinds)}", "one type")
    shape: tuple[int, ...] = ()
    for tensor in inputs:
        shape = _together(call, shape, tensor.shape)
    return Tensor(inputs[0].kind, shape)


def _together(call: Call, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    found = []
    for a, b in zip_longest(reversed(first), reversed(second), fillvalue=1):
        call.expect(a == b or 1 in {a, b}, f"inputs of {first} and {second}", "sizes that fit")
        found.append(max(a, b))
    return tuple(reversed(found))


def batch_normalization(call: Call) -> Tensor:
    """Planes and four values a channel → planes."""
    taken = call.taken(0)
    call.expect(len(taken.shape) > 1, f"an input of {taken.shape}", "channels")
    for k in range(1, 5):
        given = call.taken(k).shape
        call.expect(given == taken.shape[1:2], f"an input {k} of {given}", f"{taken.shape[1:2]}")
    return same(call)


def conv(call: Call) -> Tensor:
    """Planes, filters and perhaps biases → planes."""
    planes, filters, bias = _planes(call), call.taken(1), call.optional(2)
    call.expect(len(filters.shape) == PLANE_RANK, f"filters of {filters.shape}", "four sizes")
    group = call.attributes.get("group", 1)
    n_filters, depth, *kernel = filters.shape
    call.expect(
        planes.kind == filters.kind == FLOAT
        and 0 < group <= n_filters
        and n_filters % group == 0
        and planes.shape[1] == depth * group
        and (bias is None or bias.shape == (n_filters,)),
        f"planes of {planes.shape}, filters of {filters.shape}, {group} groups, biases {bias}",
        "numbers of channels that fit",
    )
    call.expect(
        call.attributes.get("kernel_shape", kernel) == kernel,
        f"kernel_shape = {call.attributes.get('kernel_shape')}",
        f"{kernel} as its filters",
    )
    shape = (planes.shape[0], n_filters, *_windows(call, planes.shape[2:], kernel))
    call.work = math.prod(shape) * depth * math.prod(kernel)
    return Tensor(planes.kind, shape)


def pool(call: Call) -> Tensor:
    """Planes → smaller planes."""
    planes = _planes(call)
    call.fixed("ceil_mode", 0)
    call.fixed("storage_order", 0)
    call.flag("count_include_pad", 0)
    kernel = call.attributes.get("kernel_shape", [])
    shape = (*planes.shape[:2], *_windows(call, planes.shape[2:], kernel))
    call.work = math.prod(shape) * math.prod(kernel)
    return Tensor(planes.kind, shape)


def global_pool(call: Call) -> Tensor:
    """Planes → one value each."""
    planes = _planes(call)
    call.work = planes.n_values
    return Tensor(planes.kind, (*planes.shape[:2], 1, 1))


def _planes(call: Call) -> Tensor:
    planes = call.taken(0)
    call.expect(len(planes.shape) == PLANE_RANK, f"an input of {planes.shape}", "four sizes")
    return planes


def _windows(call: Call, sides: tuple[int, ...], kernel: list[int]) -> list[int]:
    """How many places a window has along height and width."""
    call.fixed("auto_pad", "NOTSET")
    steps = call.attributes.get("strides", [1, 1])
    gaps = call.attributes.get("dilations", [1, 1])
    pads = call.attributes.get("pads", [0, 0, 0, 0])
    said = f"kernel {kernel}, strides {steps}, dilations {gaps}, pads {pads} on sides of {sides}"
    call.expect(
        [len(kernel), len(steps), len(gaps), len(pads)] == [2, 2, 2, 4]
        and all(1 <= value <= MAX_WINDOW for value in (*kernel, *steps, *gaps)),
        said,
        f"two of each from 1 to {MAX_WINDOW}, and four pads",
    )
    places = []
    for k in range(2):
        reach = (kernel[k] - 1) * gaps[k] + 1
        before, after = pads[k], pads[k + 2]
        room = sides[k] + before + after - reach
        call.expect(
            0 <= before < reach and 0 <= after < reach and room >= 0,
            said,
            "pads smaller than the window, and a window that fits",
        )
        places.append(room // steps[k] + 1)
    return places


def matmul(call: Call) -> Tensor:
    """Matrices, one or many → their products."""
    a, b = call.taken(0), call.taken(1)
    call.expect(
        len(a.shape) > 1 and len(b.shape) > 1 and a.shape[-1] == b.shape[-2] and a.kind == b.kind,
        f"matrices of {a.shape} and {b.shape}",
        "sides that fit",
    )
    shape = (*_together(call, a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    call.work = math.prod(shape) * a.shape[-1]
    return Tensor(a.kind, shape)


def gemm(call: Call) -> Tensor:
    """Two matrices, and perhaps what is added → their product."""
    a, b, c = call.taken(0), call.taken(1), call.optional(2)
    call.expect(
        len(a.shape) == 2 and len(b.shape) == 2 and a.kind == b.kind,  # noqa: PLR2004  # matrices
        f"inputs of {a.shape} and {b.shape}",
        "two matrices",
    )
    rows, inner = reversed(a.shape) if call.flag("transA", 0) else a.shape
    second, columns = reversed(b.shape) if call.flag("transB", 0) else b.shape
    shape = (rows, columns)
    call.expect(
        inner == second and (c is None or _together(call, shape, c.shape) == shape),
        f"matrices of {a.shape} and {b.shape}, and {c}",
        "sides that fit",
    )
    call.work = rows * columns * inner
    return Tensor(a.kind, shape)


def quantize(call: Call) -> Tensor:
    """Floats, a scale and a zero → bytes."""
    zero = call.optional(2)
    _check_scale(call)
    call.expect(call.taken(0).kind == FLOAT, "an input of whole numbers", "floats")
    kind = zero.kind if zero else UINT8
    call.expect(kind in {UINT8, INT8}, f"a zero of type {kind}", "uint8 or int8")
    if call.attributes.get("output_dtype"):  # 0 leaves it to the zero
        call.fixed("output_dtype", kind)
    return Tensor(kind, call.taken(0).shape)


def dequantize(call: Call) -> Tensor:
    """Whole numbers, a scale and perhaps a zero → floats."""
    taken, zero = call.taken(0), call.optional(2)
    _check_scale(call)
    call.expect(
        taken.kind in {UINT8, INT8, INT32} and (zero is None or zero.kind == taken.kind),
        f"inputs {taken} and {zero}",
        "numbers and their zero of one type",
    )
    if call.attributes.get("output_dtype"):  # 0 leaves it to the scale
        call.fixed("output_dtype", FLOAT)
    return Tensor(FLOAT, taken.shape)


def _check_scale(call: Call) -> None:
    """Refuse scales that are neither one nor as many as one axis has places."""
    taken, scale, zero = call.taken(0), call.taken(1), call.optional(2)
    call.fixed("block_size", 0)
    fits = scale.shape in {(), (1,)}
    if not fits and taken.shape:
        axis = call.axis(call.attributes.get("axis", 1), len(taken.shape))
        fits = scale.shape == (taken.shape[axis],)
    call.expect(
        fits and scale.kind == FLOAT and (zero is None or zero.n_values == scale.n_values),
        f"the scale {scale} and zero {zero} for {taken.shape}",
        "one, or one for each place of an axis",
    )
