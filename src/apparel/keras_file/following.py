"""From layer to layer: shapes are followed, and what they take is added up."""

import math
import re
from typing import Any, NamedTuple

from apparel.core.messages import shown
from apparel.keras_file import objects, shapes
from apparel.keras_file.entries import INPUT, SIZES, checked, output_name, taken
from apparel.keras_file.layers import LAYERS
from apparel.keras_file.problems import ProblemError
from apparel.keras_file.shapes import Outcome, Shape

# Values of one layer's output for one image, and of all of them together.
MAX_VALUES, MAX_SUM = 1 << 24, 1 << 27
# Multiplications for one image. `best` takes 2^27 for 28 x 28 pixels.
MAX_WORK = 1 << 36
# Bytes of all weights, without an optimiser's state.
MAX_BYTES = 512 << 20


class Held(NamedTuple):
    """A layer and its variables.

    Attributes:
        name: unique in the model.
        group: the name of its group in the weights.
        dtype: the format of its variables.
        trained: shapes of the variables that training changes.
        kept: shapes of its other variables, which come after them.
    """

    name: str
    group: str
    dtype: str
    trained: tuple[Shape, ...]
    kept: tuple[Shape, ...]


class Following:
    """Follows shapes through a model.

    Attributes:
        held: those that Keras writes weights for, so far.
    """

    def __init__(self, *, functional: bool) -> None:
        self.held: list[Held] = []
        self._functional = functional
        self._shapes: dict[str, Shape] = {}
        self._unused: dict[str, None] = {}
        self._input: str | None = None
        self._groups: dict[str, int] = {}
        self._values = self._work = self._bytes = 0

    def layer(self, entry: dict[str, Any], k: int) -> dict[str, Any]:
        """Check a layer and follow it.

        Args:
            entry: a layer, as Keras wrote it.
            k: its place.

        Returns:
            What Keras is to be told of it.

        Raises:
            ProblemError: it is not known, does not fit, or takes too much.
        """
        class_name, name = checked(entry, k)
        config = entry["config"]
        own = config["name"]
        if own in self._shapes or entry.get("name", own) != own:
            raise ProblemError(f"{name} is called {shown(own)}, as another one, or by two names")
        cleaned = {
            "module": "keras.layers",
            "class_name": class_name,
            "config": objects.cleaned(config),
            "registered_name": None,
        }
        if class_name == INPUT:
            nodes, outcome = self._begin(entry, name)
        else:
            nodes, inputs = self._inputs(entry, name)
            outcome = LAYERS[class_name].rule(shapes.Call(name, config, inputs))
            dtype = objects.POLICIES[objects.policy_of(config["dtype"], name)]
            self._hold(Held(own, "", dtype, outcome.trained, outcome.kept), class_name)
            if entry.get("build_config", {}).get("input_shape"):
                # Of what the layer will meet, whatever the file says.
                met = [[None, *sizes] for sizes in inputs]
                cleaned["build_config"] = {"input_shape": met if len(met) > 1 else met[0]}
        self._count(outcome, name)
        self._shapes[own] = outcome.shape
        self._unused[own] = None
        if self._functional:
            if class_name == INPUT:
                self._hold(Held(own, "", "float32", (), ()), class_name)
            cleaned |= {"name": own, "inbound_nodes": nodes}
        return cleaned

    def end(self, output: str) -> str:
        """Check where the model ends.

        Args:
            output: the name of the layer that gives its output; the last one where it is empty.

        Returns:
            The name of its input layer.

        Raises:
            ProblemError: it has no input, or layers that lead to nothing.
        """
        unused = [name for name in self._unused if name != output]
        if self._input is None or len(self._shapes) < 2:  # noqa: PLR2004  # it and one more
            raise ProblemError("its model has no InputLayer, or nothing else")
        if self._functional and (unused or output not in self._shapes):
            raise ProblemError(f"its layer {shown(([*unused, output])[0])} leads to nothing")
        return self._input

    def _begin(self, entry: dict[str, Any], name: str) -> tuple[list[Any], Outcome]:
        if self._input is not None or entry.get("inbound_nodes"):
            raise ProblemError(f"{name} is a second input, or takes something")
        self._input = entry["config"]["name"]
        sizes = entry["config"]["batch_shape"][1:]
        if None in sizes:
            raise ProblemError(f"{name} takes images of {shown(sizes)}, expected fixed sizes")
        return [], Outcome(tuple(sizes))

    def _inputs(
        self, entry: dict[str, Any], name: str
    ) -> tuple[list[dict[str, Any]], tuple[Shape, ...]]:
        """What Keras is to be told of a layer's inputs, and their shapes."""
        if not self._functional:
            if not self._shapes:
                raise ProblemError(f"{name} comes before an InputLayer")
            return [], (next(reversed(self._shapes.values())),)
        tensors, several, kwargs = taken(entry, name)
        told, found = [], []
        for tensor in tensors:
            source = output_name(tensor["config"]["keras_history"], f"an input of {name}")
            # A layer is called once, so what it takes has been met.
            if source not in self._shapes:
                raise ProblemError(
                    f"{name} takes {shown(source)}, which no earlier layer is called"
                )
            self._unused.pop(source, None)
            found.append(self._shapes[source])
            config = {
                "shape": [None, *found[-1]],
                "dtype": tensor["config"]["dtype"],
                "keras_history": [source, 0, 0],
            }
            told.append({"class_name": "__keras_tensor__", "config": config})
        return [{"args": [told] if several else told, "kwargs": kwargs}], tuple(found)

    def _hold(self, held: Held, class_name: str) -> None:
        group = snake_case(class_name)
        count = self._groups.get(group, 0)
        self._groups[group] = count + 1
        self.held.append(held._replace(group=f"{group}_{count}" if count else group))
        variables = (*held.trained, *held.kept)
        self._bytes += sum(math.prod(sizes) for sizes in variables) * SIZES[held.dtype]
        if self._bytes > MAX_BYTES:
            raise ProblemError(f"its weights take more than {MAX_BYTES:,} bytes")

    def _count(self, outcome: Outcome, name: str) -> None:
        values = math.prod(outcome.shape)
        self._values += values
        self._work += outcome.work
        if values > MAX_VALUES or self._values > MAX_SUM or self._work > MAX_WORK:
            raise ProblemError(
                f"{name} gives {values:,} values, at most {MAX_VALUES:,} may be; or all layers "
                f"give more than {MAX_SUM:,}, or take more than {MAX_WORK:,} multiplications"
            )


def snake_case(class_name: str) -> str:
    """A class's name, as Keras makes the name of a group of it."""
    found = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", found).lower()
