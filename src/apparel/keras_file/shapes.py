"""What each kind of layer gives and holds, by shapes alone: of one image each."""

import math
from typing import Any, NamedTuple, TypeAlias

from apparel.core.messages import shown
from apparel.keras_file.problems import ProblemError

Shape: TypeAlias = tuple[int, ...]
PLANE_RANK = 3  # height, width and channels, in either order


class Outcome(NamedTuple):
    """What a layer gives and holds.

    Attributes:
        shape: of its output.
        trained: shapes of the variables that training changes, in Keras's order.
        kept: shapes of its other variables, which Keras counts after them.
        work: multiplications for one image, where they are more than values.
    """

    shape: Shape
    trained: tuple[Shape, ...] = ()
    kept: tuple[Shape, ...] = ()
    work: int = 0


class Call:
    """A layer with the shapes that it takes.

    Attributes:
        name: what messages call the layer.
        config: checked arguments.
        inputs: shapes.
    """

    def __init__(self, name: str, config: dict[str, Any], inputs: tuple[Shape, ...]) -> None:
        self.name, self.config, self.inputs = name, config, inputs

    def taken(self, rank: int | None = None) -> Shape:
        """The only input, of so many sizes if that is said."""
        if len(self.inputs) != 1 or (rank is not None and len(self.inputs[0]) != rank):
            expected = "one input" if rank is None else f"one input of {rank} sizes"
            raise ProblemError(f"{self.name} takes {shown(list(self.inputs))}, expected {expected}")
        return self.inputs[0]

    def axis(self, value: int, rank: int) -> int:
        """An axis of one image; a file counts the number of images as axis 0."""
        at = value + rank + 1 if value < 0 else value
        if not 1 <= at <= rank:
            raise ProblemError(f"{self.name} has the axis {value} for {rank} sizes and the images")
        return at - 1

    def fail(self, found: str, expected: str) -> ProblemError:
        """An error that says what does not fit."""
        return ProblemError(f"{self.name} has {found}, expected {expected}")

    def plane(self) -> tuple[list[int], int]:
        """Sides and channels of the only input."""
        shape = self.taken(PLANE_RANK)
        if self.config["data_format"] == "channels_first":
            return list(shape[1:]), shape[0]
        return list(shape[:2]), shape[2]

    def planes(self, sides: list[int], channels: int) -> Shape:
        """A shape of sides and channels, in the layer's order."""
        if self.config["data_format"] == "channels_first":
            return (channels, *sides)
        return (*sides, channels)

    def windows(self, kernel: list[int], strides: list[int], dilation: list[int]) -> list[int]:
        """Sides that windows leave of those of the only input."""
        found = []
        for side, size, step, spread in zip(
            self.plane()[0], kernel, strides, dilation, strict=True
        ):
            if self.config["padding"] == "valid":
                side -= (size - 1) * spread  # noqa: PLW2901  # what is left of it
            if side < 1:
                raise self.fail(f"windows of {kernel} over {self.inputs[0]}", "smaller windows")
            found.append(-(-side // step))
        return found


def same(call: Call) -> Outcome:
    """One input → as large."""
    return Outcome(call.taken())


def conv(call: Call) -> Outcome:
    """Planes → planes, by filters over groups of channels."""
    config, (_, channels) = call.config, call.plane()
    filters, groups = config["filters"], config["groups"]
    if channels % groups or filters % groups:
        raise call.fail(f"{groups} groups of {channels} channels", "groups that fit")
    sides = call.windows(config["kernel_size"], config["strides"], config["dilation_rate"])
    kernel = (*config["kernel_size"], channels // groups, filters)
    work = math.prod(sides) * math.prod(kernel)
    return Outcome(call.planes(sides, filters), (kernel, *_bias(call, filters)), work=work)


def depthwise(call: Call) -> Outcome:
    """Planes → planes, each channel by filters of its own."""
    config, (_, channels) = call.config, call.plane()
    sides = call.windows(config["kernel_size"], config["strides"], config["dilation_rate"])
    kernel = (*config["kernel_size"], channels, config["depth_multiplier"])
    filters = channels * config["depth_multiplier"]
    work = math.prod(sides) * math.prod(kernel)
    return Outcome(call.planes(sides, filters), (kernel, *_bias(call, filters)), work=work)


def separable(call: Call) -> Outcome:
    """Planes → planes, first each channel alone and then all of them."""
    config, filters = call.config, call.config["filters"]
    _, kernels, _, work = depthwise(call)
    first = kernels[0]
    second = (1, 1, first[2] * first[3], filters)
    sides = call.windows(config["kernel_size"], config["strides"], config["dilation_rate"])
    work += math.prod(sides) * math.prod(second)
    held = (first, second, *_bias(call, filters))
    return Outcome(call.planes(sides, filters), held, work=work)


def dense(call: Call) -> Outcome:
    """Values → as many as the layer has units, along the last axis."""
    shape, units = call.taken(), call.config["units"]
    kernel = (shape[-1], units)
    work = math.prod(shape) * units
    return Outcome((*shape[:-1], units), (kernel, *_bias(call, units)), work=work)


def _bias(call: Call, size: int) -> tuple[Shape, ...]:
    return ((size,),) if call.config["use_bias"] else ()


def pool(call: Call) -> Outcome:
    """Planes → smaller planes."""
    size = call.config["pool_size"]
    sides = call.windows(size, call.config["strides"] or size, [1, 1])
    return Outcome(call.planes(sides, call.plane()[1]), work=math.prod(sides) * math.prod(size))


def global_pool(call: Call) -> Outcome:
    """Planes → one value a channel."""
    channels = call.plane()[1]
    return Outcome(call.planes([1, 1], channels) if call.config["keepdims"] else (channels,))


def pad(call: Call) -> Outcome:
    """Planes → planes with a margin."""
    sides, channels = call.plane()
    margins = call.config["padding"]
    grown = [side + sum(margin) for side, margin in zip(sides, margins, strict=True)]
    return Outcome(call.planes(grown, channels))


def batch_normalization(call: Call) -> Outcome:
    """As large; up to four values a channel."""
    shape = call.taken()
    size = (shape[call.axis(call.config["axis"], len(shape))],)
    trained = (size,) * (call.config["scale"] + call.config["center"])
    return Outcome(shape, trained, (size, size))


def layer_normalization(call: Call) -> Outcome:
    """As large; up to two values for each place along some axes."""
    shape, axes = call.taken(), call.config["axis"]
    axes = axes if isinstance(axes, list) else [axes]
    counted = sorted(call.axis(axis, len(shape)) for axis in axes)
    if len(set(counted)) != len(counted):
        raise call.fail(f"the axes {axes}", "each once")
    size = tuple(shape[axis] for axis in counted)
    return Outcome(shape, (size,) * (call.config["scale"] + call.config["center"]))


def flatten(call: Call) -> Outcome:
    """All values in a row."""
    return Outcome((math.prod(call.taken()),))


def reshape(call: Call) -> Outcome:
    """The same values in another shape; -1 is what remains."""
    taken, wanted = math.prod(call.taken()), list(call.config["target_shape"])
    if wanted.count(-1) == 1 and 0 not in wanted:
        rest = -math.prod(wanted)
        wanted[wanted.index(-1)] = taken // rest
    if -1 in wanted or math.prod(wanted) != taken:
        raise call.fail(f"{call.config['target_shape']} for {call.inputs[0]}", "as many values")
    return Outcome(tuple(wanted))


def merge(call: Call) -> Outcome:
    """Inputs of one rank → as large as all of them together."""
    _check_several(call)
    sizes = [set(along) - {1} or {1} for along in zip(*call.inputs, strict=True)]
    if any(len(size) > 1 for size in sizes):
        raise call.fail(f"inputs of {shown(list(call.inputs))}", "sizes that fit")
    return Outcome(tuple(size.pop() for size in sizes))


def concatenate(call: Call) -> Outcome:
    """Inputs one after the other, along an axis."""
    _check_several(call)
    first = call.inputs[0]
    axis = call.axis(call.config["axis"], len(first))
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in call.inputs}
    if len(rests) > 1:
        raise call.fail(
            f"inputs of {shown(list(call.inputs))}", f"the same but for axis {axis + 1}"
        )
    total = sum(shape[axis] for shape in call.inputs)
    return Outcome((*first[:axis], total, *first[axis + 1 :]))


def _check_several(call: Call) -> None:
    if len({len(shape) for shape in call.inputs}) != 1 or len(call.inputs) < 2:  # noqa: PLR2004  # to merge
        raise call.fail(f"inputs of {shown(list(call.inputs))}", "two or more of the same rank")


def rescale(call: Call) -> Outcome:
    """As large, times one factor or one for each channel."""
    shape = call.taken()
    for key in ("scale", "offset"):
        value = call.config[key]
        if isinstance(value, list) and len(value) not in {1, shape[-1]}:
            raise call.fail(f"{len(value)} values of {key}", f"1 or {shape[-1]}")
    return Outcome(shape)
