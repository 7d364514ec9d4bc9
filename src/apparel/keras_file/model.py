"""A configuration → a model that is known throughout."""

from typing import Any, NamedTuple

from apparel.core.messages import shown
from apparel.keras_file import fields, objects, training
from apparel.keras_file.entries import MAX_LAYERS, build_config, output_name, shape
from apparel.keras_file.following import Following, Held
from apparel.keras_file.problems import ProblemError

SEQUENTIAL, FUNCTIONAL = "Sequential", "Functional"
# As Keras writes the two: module and registered name.
_KINDS = {SEQUENTIAL: ("keras", None), FUNCTIONAL: ("keras.src.models.functional", FUNCTIONAL)}
_outer: fields.Table = {
    "module": fields.choice(*(module for module, _ in _KINDS.values())),
    "class_name": fields.choice(*_KINDS),
    "config": fields.an_object,
    "registered_name": fields.choice(*(name for _, name in _KINDS.values())),
    "build_config": fields.an_object,
    "compile_config": fields.an_object,
    "shared_object_id": fields.any_whole,
}
_any_model: fields.Table = {
    "name": fields.label,
    "trainable": fields.flag,
    "dtype": objects.policy,
    "layers": fields.listed(fields.an_object, 1, MAX_LAYERS),
}
_configs: dict[str, fields.Table] = {
    SEQUENTIAL: {**_any_model, "build_input_shape": shape},
    FUNCTIONAL: {**_any_model, "input_layers": fields.a_list, "output_layers": fields.a_list},
}
_needed = {
    SEQUENTIAL: frozenset(("name", "layers")),
    FUNCTIONAL: frozenset(("name", "layers", "input_layers", "output_layers")),
}


class CheckedModel(NamedTuple):
    """What a configuration says, once all of it has been found to be known.

    Attributes:
        kind: `SEQUENTIAL` or `FUNCTIONAL`.
        config: of the model, for Keras.
        compile_config: how it was compiled; empty where it was not.
        layers: those that Keras writes weights for.
    """

    kind: str
    config: dict[str, Any]
    compile_config: dict[str, Any]
    layers: tuple[Held, ...]


def check(found: dict[str, Any]) -> CheckedModel:
    """Refuse a configuration that has more than is known, and follow its shapes.

    Args:
        found: the whole configuration, as JSON gave it.

    Raises:
        ProblemError: it has what is not known, does not fit together, or would take too much.
    """
    needed = frozenset(("module", "class_name", "config", "registered_name"))
    fields.check_table(found, _outer, "its model", needed=needed)
    kind, config = found["class_name"], found["config"]
    if (found["module"], found["registered_name"]) != _KINDS[kind]:
        raise ProblemError(
            f"its model is of {found['module']}, registered as {shown(found['registered_name'])}, "
            f"expected {kind} as Keras writes it"
        )
    fields.check_table(config, _configs[kind], f"its model, {kind},", needed=_needed[kind])
    fields.check_table(found.get("build_config", {}), build_config, "its build_config")
    compiled = training.check_compiled(found.get("compile_config", {}))
    following = Following(functional=kind == FUNCTIONAL)
    told = {
        "name": config["name"],
        "trainable": config.get("trainable", True),
        "layers": [following.layer(entry, k) for k, entry in enumerate(config["layers"])],
    }
    if kind == FUNCTIONAL:
        output = _only(config["output_layers"], "its output")
        if _only(config["input_layers"], "its input") != following.end(output):
            raise ProblemError("its model begins at another layer than its InputLayer")
        told |= {key: config[key] for key in ("input_layers", "output_layers")}
    else:
        following.end("")
    return CheckedModel(kind, told, compiled, tuple(following.held))


def _only(ends: list[Any], name: str) -> str:
    """The layer at which a model with one input and one output begins or ends."""
    nested = len(ends) == 1 and isinstance(ends[0], list)
    return output_name(ends[0] if nested else ends, name)
