"""One layer of a configuration: its form, and the form of what it takes."""

from typing import Any

from apparel.core.messages import shown
from apparel.keras_file import fields
from apparel.keras_file.layers import LAYERS, MAX_UNITS
from apparel.keras_file.problems import ProblemError

INPUT = "InputLayer"
MAX_LAYERS = 400
# Bytes of a number in each format of variables.
SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
_INPUT_TYPES = (*SIZES, "uint8", "int32")

_free = fields.optional(fields.whole(1, MAX_UNITS))
_size = fields.kinds(_free, many=fields.listed(_free, 0, 8))
shape = fields.listed(_free, 0, 8)
# The shapes that a layer was built for.
build_config: fields.Table = {
    # That of one input, or those of several.
    "input_shape": fields.optional(fields.listed(_size, 0, MAX_LAYERS)),
    "shapes_dict": fields.an_object,
}
_entry: fields.Table = {
    "module": fields.choice("keras.layers"),
    "class_name": fields.choice(INPUT, *LAYERS),
    "config": fields.an_object,
    "registered_name": fields.nothing,
    "build_config": fields.an_object,
    "shared_object_id": fields.any_whole,
    "name": fields.label,
    "inbound_nodes": fields.listed(fields.an_object, 0, 1),
}
_entry_needed = frozenset(("module", "class_name", "config", "registered_name"))
_input: fields.Table = {
    "name": fields.label,
    "dtype": fields.choice(*_INPUT_TYPES),
    "batch_shape": fields.listed(_free, 2, 5),
    "sparse": fields.false,
    "ragged": fields.false,
    "optional": fields.false,
}
_input_needed = frozenset(("name", "batch_shape", "dtype"))
_node: fields.Table = {"args": fields.a_list, "kwargs": fields.an_object}
_kwargs: fields.Table = {"training": fields.optional(fields.flag), "mask": fields.nothing}
_tensor: fields.Table = {
    "class_name": fields.choice("__keras_tensor__"),
    "config": fields.an_object,
}
_tensor_config: fields.Table = {
    "shape": shape,
    "dtype": fields.choice(*_INPUT_TYPES),
    "keras_history": fields.a_list,
}
# Inputs of a layer that merges several.
_MAX_INPUTS = 32


def checked(entry: dict[str, Any], k: int) -> tuple[str, str]:
    """Refuse a layer that is not known, or is told what it does not know.

    Args:
        entry: a layer, as Keras wrote it.
        k: its place.

    Returns:
        Its class, and what messages call it.

    Raises:
        ProblemError: it is so.
    """
    fields.check_table(entry, _entry, f"layer {k}", needed=_entry_needed)
    class_name = entry["class_name"]
    name = f"layer {k}, {class_name},"
    fields.check_table(entry.get("build_config", {}), build_config, f"build_config of {name}")
    known = (_input, _input_needed) if class_name == INPUT else LAYERS[class_name][:2]
    fields.check_table(entry["config"], known[0], name, needed=known[1])
    return class_name, name


def taken(entry: dict[str, Any], name: str) -> tuple[list[dict[str, Any]], bool, dict[str, Any]]:
    """Read what a layer of a Functional model is called with.

    Args:
        entry: the layer.
        name: what messages call it.

    Returns:
        Tensors; whether they come as a list; and further arguments.

    Raises:
        ProblemError: it is not called once with tensors.
    """
    nodes = entry.get("inbound_nodes") or []
    if len(nodes) != 1:
        raise ProblemError(f"{name} is called {len(nodes)} times, expected once")
    fields.check_table(nodes[0], _node, name, needed=frozenset(_node))
    args, kwargs = nodes[0]["args"], nodes[0]["kwargs"]
    fields.check_table(kwargs, _kwargs, f"a call of {name}")
    several = len(args) == 1 and isinstance(args[0], list)
    tensors = args[0] if several else args
    if not 1 <= len(tensors) <= (_MAX_INPUTS if several else 1):
        raise ProblemError(f"{name} is called with {len(tensors):,} inputs")
    for tensor in tensors:
        fields.check_table(tensor, _tensor, f"an input of {name}", needed=frozenset(_tensor))
        fields.check_table(
            tensor["config"],
            _tensor_config,
            f"an input of {name}",
            needed=frozenset(_tensor_config),
        )
    return tensors, several, kwargs


def output_name(history: Any, name: str) -> str:
    """The layer whose only output is meant.

    Args:
        history: a layer's name, which of its calls, and which of the call's outputs.
        name: what messages call it.

    Raises:
        ProblemError: it is of another form, or means another call or output than the first.
    """
    # True is 1, so types count.
    right = isinstance(history, list) and [type(part) for part in history] == [str, int, int]
    if not right or history[1:] != [0, 0]:
        raise ProblemError(f"{name} is {shown(history)}, expected a layer's name, 0 and 0")
    return str(history[0])
