"""The weights that a configuration implies, found in an HDF5 file: those and no others."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.messages import shown
from apparel.keras_file.datasets import SIZES, Dataset, dataset
from apparel.keras_file.following import Held
from apparel.keras_file.hdf5 import Link, Source, root
from apparel.keras_file.links import links
from apparel.keras_file.model import CheckedModel
from apparel.keras_file.problems import MalformedError, ProblemError
from apparel.keras_file.shapes import Shape

# Bytes of an HDF5 file besides its values: for the file, and for each object.
FILE_BYTES, OBJECT_BYTES = 1 << 16, 1 << 13
# Variables of an optimiser for each of the model's: at most three, and two for means and sums.
MAX_SLOTS = 5
# Single numbers that it may have besides, such as its step and step size.
MAX_SINGLE = 8

Weights: TypeAlias = Mapping[str, tuple[NDArray[Any], ...]]


class _Want(NamedTuple):
    """A dataset that has to be there."""

    shape: Shape
    dtype: str


class _State(NamedTuple):
    """Datasets that may be there, of an optimiser: shapes → how many at most."""

    shapes: Counter[Shape]


# Names → trees, `_Want`s and `_State`s.
_Tree: TypeAlias = Mapping[str, Any]


def most_bytes(model: CheckedModel) -> int:
    """How many bytes the weights of a model may have in a file, its optimiser's state included."""
    total = FILE_BYTES
    most_slots = 2 * MAX_SLOTS if model.compile_config else 0
    for layer in model.layers:
        for sizes in (*layer.trained, *layer.kept):
            slots = most_slots if sizes in layer.trained else 0
            n_bytes = math.prod(sizes) * SIZES[layer.dtype]
            total += (1 + slots) * (n_bytes + OBJECT_BYTES)
        total += 2 * OBJECT_BYTES
    return total


def read(content: bytes, model: CheckedModel) -> Weights:
    """Read the weights of a model.

    Args:
        content: an HDF5 file.
        model: what they are for.

    Returns:
        Names of layers → their variables in Keras's order, read-only.

    Raises:
        ProblemError: the file has others than those, or is of another form than Keras's.
    """
    source = Source(content)
    found: dict[str, Dataset] = {}
    _Walk(source, found).group(root(source), _implied(model), "")
    source.check_apart()
    return {
        layer.name: tuple(
            _array(content, found[f"/layers/{layer.group}/vars/{k}"])
            for k in range(len(layer.trained) + len(layer.kept))
        )
        for layer in model.layers
    }


def _implied(model: CheckedModel) -> _Tree:
    """The groups and datasets of the weights."""
    layers = {layer.group: {"vars": _variables(layer)} for layer in model.layers}
    tree: dict[str, Any] = {"layers": layers, "vars": {}}
    if model.compile_config:
        state = _state(model)
        # In half precision, Keras trains by an optimiser around the one that is named. It scales
        # losses, and its state has that of the inner one again.
        tree["optimizer"] = {"vars": state, "inner_optimizer": {"vars": state}}
    return tree


def _variables(layer: Held) -> _Tree:
    shapes = (*layer.trained, *layer.kept)
    return {str(k): _Want(sizes, layer.dtype) for k, sizes in enumerate(shapes)}


def _state(model: CheckedModel) -> _State:
    """What an optimiser may keep: as much as each variable has, some times."""
    shapes: Counter[Shape] = Counter({(): MAX_SINGLE})
    for layer in model.layers:
        for sizes in layer.trained:
            shapes[sizes] += MAX_SLOTS
            # Adafactor keeps sums along each of the last two axes, or a number in their place.
            many = len(sizes) > 1
            shapes[sizes[:-1] if many else ()] += 1
            shapes[(*sizes[:-2], sizes[-1]) if many else ()] += 1
    return _State(shapes)


class _Walk:
    """Goes through the groups of a file beside the tree of what should be there."""

    def __init__(self, source: Source, found: dict[str, Dataset]) -> None:
        self._source, self._found = source, found

    def group(self, link: Link, wanted: _Tree | _State, path: str) -> None:
        name = f"the group {path or '/'} of its weights"
        members = links(self._source, link, name)
        if isinstance(wanted, _State):
            self._state(members, wanted, path)
            return
        for member in members:
            if member not in wanted:
                raise ProblemError(
                    f"{name} has {shown(member)}, which its configuration does not imply"
                )
        for member, inner in wanted.items():
            here = f"{path}/{member}"
            if member in members:
                self._member(members[member], inner, here)
            elif _is_needed(inner):
                raise MalformedError(f"its weights lack {here}, which its configuration implies")

    def _member(self, link: Link, wanted: _Tree | _Want | _State, path: str) -> None:
        if not isinstance(wanted, _Want):
            self.group(link, wanted, path)
            return
        found = dataset(self._source, link, path)
        if (found.shape, found.dtype) != wanted:
            raise MalformedError(
                f"{path} of its weights is {found.dtype} of {shown(found.shape)}, and its "
                f"configuration implies {wanted.dtype} of {shown(wanted.shape)}"
            )
        self._found[path] = found

    def _state(self, members: Mapping[str, Link], wanted: _State, path: str) -> None:
        if set(members) != set(map(str, range(len(members)))):
            raise ProblemError(f"{path} of its weights does not count its variables")
        left = Counter(wanted.shapes)
        for member, link in members.items():
            sizes = dataset(self._source, link, f"{path}/{member}").shape
            left[sizes] -= 1
            if left[sizes] < 0:
                raise ProblemError(
                    f"{path} of its weights has more variables of {shown(sizes)} than an "
                    "optimiser of the model keeps"
                )


def _is_needed(wanted: _Tree | _Want | _State) -> bool:
    if isinstance(wanted, _Want | _State):
        return isinstance(wanted, _Want)
    return any(_is_needed(inner) for inner in wanted.values())


def _array(content: bytes, found: Dataset) -> NDArray[Any]:
    """The values of a dataset. NumPy has no bfloat16; in float32 they are the same."""
    if found.dtype == "bfloat16":
        halves = np.frombuffer(content, "<u2", math.prod(found.shape), found.at)
        return (halves.astype(np.uint32) << 16).view(np.float32).reshape(found.shape)
    order = np.dtype(found.dtype).newbyteorder("<")
    return np.frombuffer(content, order, math.prod(found.shape), found.at).reshape(found.shape)
