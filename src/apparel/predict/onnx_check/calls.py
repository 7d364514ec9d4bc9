"""A node of a graph with what is known of its inputs, as the rules of the operators take it."""

from typing import Any

from apparel.core.messages import shown
from apparel.predict.onnx_check.problems import ProblemError
from apparel.predict.onnx_check.tensors import NAMES, Tensor


class Call:
    """A node whose inputs are known.

    Attributes:
        name: what messages call the node.
        inputs: None for one that is left out.
        attributes: names → int, float, str, list of int, or Tensor.
        work: multiplications for the whole output, set by rules where they are more than values.
    """

    def __init__(
        self, name: str, inputs: tuple[Tensor | None, ...], attributes: dict[str, Any]
    ) -> None:
        self.name, self.inputs, self.attributes = name, inputs, attributes
        self.work = 0

    def taken(self, k: int) -> Tensor:
        """An input that must be there."""
        found = self.optional(k)
        if found is None:
            raise ProblemError(f"{self.name} lacks input {k}")
        return found

    def optional(self, k: int) -> Tensor | None:
        """An input that may be left out."""
        return self.inputs[k] if k < len(self.inputs) else None

    def known(self, k: int) -> tuple[int, ...]:
        """The values of an input that is a constant, or computed from sizes alone."""
        found = self.taken(k)
        if found.values is None or len(found.shape) > 1:
            raise ProblemError(
                f"{self.name} has an input {k} of {NAMES[found.kind]} {found.shape} that only a run"
                " could tell, expected a short list of constants"
            )
        return found.values

    def axis(self, value: int, rank: int) -> int:
        """An axis, counted from the front."""
        if not -rank <= value < rank:
            raise ProblemError(f"{self.name} has the axis {value} for {rank} axes")
        return value % rank

    def axes(self, values: tuple[int, ...] | list[int], rank: int) -> list[int]:
        """Different axes, counted from the front."""
        found = [self.axis(value, rank) for value in values]
        self.expect(len(set(found)) == len(found), f"the axes {shown(values)}", "each once")
        return found

    def flag(self, name: str, default: int) -> bool:
        """An attribute that is 0 or 1; what else means true differs."""
        given = self.attributes.get(name, default)
        self.expect(given in {0, 1}, f"{name} = {shown(given)}", "0 or 1")
        return bool(given)

    def fixed(self, name: str, value: object) -> None:
        """Refuse an attribute that has another value than its default."""
        given = self.attributes.get(name, value)
        self.expect(given == value, f"{name} = {shown(given)}", shown(value))

    def expect(self, right: bool, found: str, expected: str) -> None:
        """Refuse a node unless something holds."""
        if not right:
            raise ProblemError(f"{self.name} has {found}, expected {expected}")
