"""Shape rules of the operators that move values about, and of those that compute sizes."""

import math

from apparel.predict.onnx_check.calls import Call
from apparel.predict.onnx_check.problems import ProblemError
from apparel.predict.onnx_check.tensors import INT64, MAX_KNOWN, RANGES, SIZES, Tensor


def constant_node(call: Call) -> Tensor:
    """The tensor that a Constant node holds."""
    value = call.attributes.get("value")
    if not isinstance(value, Tensor):
        raise ProblemError(f"{call.name} has no value, expected a tensor")
    return value


def identity(call: Call) -> Tensor:
    """The input itself."""
    return call.taken(0)


def cast(call: Call) -> Tensor:
    """The same values as another type."""
    taken, kind = call.taken(0), call.attributes.get("to", 0)
    call.expect(kind in SIZES, f"to = {kind}", f"one of {sorted(SIZES)}")
    return Tensor(kind, taken.shape, _fitting(taken.values, kind))


def _fitting(values: tuple[int, ...] | None, kind: int) -> tuple[int, ...] | None:
    """Whole numbers, if a type can hold them as they are."""
    if values is None or kind not in RANGES:
        return None
    low, high = RANGES[kind]
    return values if all(low <= value <= high for value in values) else None


def shape(call: Call) -> Tensor:
    """The sizes of the input, or some of them."""
    sizes = call.taken(0).shape[call.attributes.get("start", 0) : call.attributes.get("end")]
    call.expect(bool(sizes), "no sizes to give", "some")
    return Tensor(INT64, (len(sizes),), sizes)


def gather(call: Call) -> Tensor:
    """Places of one axis, picked by constants."""
    taken, places = call.taken(0), call.taken(1)
    axis = call.axis(call.attributes.get("axis", 0), len(taken.shape))
    picked = [call.axis(place, taken.shape[axis]) for place in call.known(1)]
    values = None
    if taken.values is not None and len(taken.shape) == 1:
        values = tuple(taken.values[place] for place in picked)
    return Tensor(
        taken.kind, (*taken.shape[:axis], *places.shape, *taken.shape[axis + 1 :]), values
    )


def slice_(call: Call) -> Tensor:
    """Ranges of some axes, given by constants. A larger step could be the number of images."""
    taken = call.taken(0)
    rank = len(taken.shape)
    starts, ends = call.known(1), call.known(2)
    axes = call.axes(call.known(3) if call.optional(3) else tuple(range(len(starts))), rank)
    steps = call.known(4) if call.optional(4) else (1,) * len(starts)
    counts = [len(starts), len(ends), len(axes), len(steps)]
    call.expect(
        len(set(counts)) == 1 and set(steps) <= {1},
        f"{counts} starts, ends, axes and steps {steps}",
        "as many of each, and steps of 1",
    )
    sizes, values = list(taken.shape), taken.values
    for start, end, axis in zip(starts, ends, axes, strict=True):
        part = slice(start, end)
        sizes[axis] = len(range(*part.indices(sizes[axis])))
        values = values[part] if values is not None and rank == 1 else None
    return Tensor(taken.kind, tuple(sizes), values)


def concat(call: Call) -> Tensor:
    """Inputs side by side along an axis."""
    inputs = [call.taken(k) for k in range(len(call.inputs))]
    first = inputs[0]
    axis = call.axis(call.attributes.get("axis", len(first.shape)), len(first.shape))
    for tensor in inputs:
        rest = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        call.expect(
            rest == (*first.shape[:axis], *first.shape[axis + 1 :])
            and len(tensor.shape) == len(first.shape)
            and tensor.kind == first.kind,
            f"inputs {first} and {tensor}",
            f"the same but for axis {axis}",
        )
    sizes = list(first.shape)
    sizes[axis] = sum(tensor.shape[axis] for tensor in inputs)
    values = [value for tensor in inputs for value in tensor.values or ()]
    known = len(sizes) == 1 and sizes[0] == len(values) <= MAX_KNOWN
    return Tensor(first.kind, tuple(sizes), tuple(values) if known else None)


def reshape(call: Call) -> Tensor:
    """The same values in another shape: 0 keeps a size, -1 is what remains."""
    taken, wanted = call.taken(0), list(call.known(1))
    call.fixed("allowzero", 0)
    for k, size in enumerate(wanted):
        if size == 0 and k < len(taken.shape):
            wanted[k] = taken.shape[k]
    call.expect(
        wanted.count(-1) <= 1 and all(size == -1 or size > 0 for size in wanted),
        f"the shape {wanted}",
        "sizes of at least 1, and at most one -1",
    )
    if -1 in wanted:
        given = -math.prod(wanted)
        wanted[wanted.index(-1)] = taken.n_values // given
    call.expect(
        math.prod(wanted) == taken.n_values, f"{wanted} for {taken.shape}", "as many values"
    )
    return Tensor(taken.kind, tuple(wanted), taken.values)


def flatten(call: Call) -> Tensor:
    """A matrix of the same values."""
    taken = call.taken(0)
    rank, axis = len(taken.shape), call.attributes.get("axis", 1)
    axis = rank if axis == rank else call.axis(axis, rank)
    return Tensor(taken.kind, (math.prod(taken.shape[:axis]), math.prod(taken.shape[axis:])))


def transpose(call: Call) -> Tensor:
    """The axes in another order."""
    taken = call.taken(0)
    order = call.attributes.get("perm", list(range(len(taken.shape)))[::-1])
    call.expect(sorted(order) == list(range(len(taken.shape))), f"perm = {order}", "each axis once")
    return Tensor(taken.kind, tuple(taken.shape[axis] for axis in order))


def squeeze(call: Call) -> Tensor:
    """Without some axes of size 1."""
    taken = call.taken(0)
    gone = call.axes(call.known(1), len(taken.shape))
    call.expect(
        all(taken.shape[axis] == 1 for axis in gone), f"{taken.shape} without {gone}", "ones"
    )
    sizes = tuple(size for axis, size in enumerate(taken.shape) if axis not in gone)
    return Tensor(taken.kind, sizes, taken.values)


def unsqueeze(call: Call) -> Tensor:
    """With new axes of size 1."""
    taken, added = call.taken(0), call.known(1)
    rank = len(taken.shape) + len(added)
    new = call.axes(added, rank)
    rest = iter(taken.shape)
    return Tensor(
        taken.kind, tuple(1 if axis in new else next(rest) for axis in range(rank)), taken.values
    )


def reduce(call: Call) -> Tensor:
    """Sums, means or largest values along some axes."""
    taken = call.taken(0)
    rank = len(taken.shape)
    given = call.known(1) if call.optional(1) else call.attributes.get("axes", ())
    call.fixed("noop_with_empty_axes", 0)
    gone = call.axes(given or tuple(range(rank)), rank)
    keep = call.flag("keepdims", 1)
    call.work = taken.n_values
    sizes = [1 if axis in gone else size for axis, size in enumerate(taken.shape)]
    if not keep:
        sizes = [size for axis, size in enumerate(taken.shape) if axis not in gone]
    return Tensor(taken.kind, tuple(sizes))
