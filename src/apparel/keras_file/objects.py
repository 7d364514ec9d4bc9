"""What a layer refers to by name: initialisers, regularisers, constraints, number formats."""

from collections.abc import Mapping
from typing import Any

from apparel.core.messages import shown
from apparel.keras_file import fields
from apparel.keras_file.fields import Check, Table
from apparel.keras_file.problems import ProblemError

# Number formats of a layer → that of its variables.
POLICIES = {
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
    "float64": "float64",
    "mixed_float16": "float32",
    "mixed_bfloat16": "float32",
}
# Those that keep shapes.
ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
)  # fmt: skip

_seeded = {"seed": fields.optional(fields.any_whole)}
_axis = fields.whole(-8, 8)
_axes = fields.optional(fields.kinds(_axis, many=fields.listed(_axis, 0, 8)))
_scaled = {**_seeded, "input_axes": _axes, "output_axes": _axes}
_spread = {"mean": fields.real, "stddev": fields.positive, **_seeded}

# Without Orthogonal, which takes minutes for large weights.
INITIALIZERS: Mapping[str, Table] = {
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": fields.real},
    "RandomNormal": _spread,
    "TruncatedNormal": _spread,
    "RandomUniform": {"minval": fields.real, "maxval": fields.real, **_seeded},
    "VarianceScaling": {
        "scale": fields.positive,
        "mode": fields.choice("fan_in", "fan_out", "fan_avg"),
        "distribution": fields.choice(
            "normal", "truncated_normal", "untruncated_normal", "uniform"
        ),
        **_scaled,
    },
    "GlorotNormal": _scaled,
    "GlorotUniform": _scaled,
    "HeNormal": _scaled,
    "HeUniform": _scaled,
    "LecunNormal": _scaled,
    "LecunUniform": _scaled,
}
REGULARIZERS: Mapping[str, Table] = {
    "L1": {"l1": fields.positive},
    "L2": {"l2": fields.positive},
    "L1L2": {"l1": fields.positive, "l2": fields.positive},
}
CONSTRAINTS: Mapping[str, Table] = {
    "NonNeg": {},
    "MaxNorm": {"max_value": fields.positive, "axis": _axes},
    "UnitNorm": {"axis": _axes},
    "MinMaxNorm": {
        "min_value": fields.positive,
        "max_value": fields.positive,
        "rate": fields.share,
        "axis": _axes,
    },
}


def known(
    module: str, classes: Mapping[str, Table], *, needed: frozenset[str] = frozenset()
) -> Check:
    """Make a check of an object that Keras wrote as its class and its configuration.

    Args:
        module: that of all classes.
        classes: names → what their configuration may have.
        needed: what each configuration must have.
    """

    def check(value: Any, name: str) -> None:
        class_name, config = unpacked(value, module, name)
        if class_name not in classes:
            raise ProblemError(
                f"{name} is of the class {module}.{shown(class_name)}, expected one of "
                f"{', '.join(sorted(classes)[:4])}, ..."
            )
        fields.check_table(config, classes[class_name], f"{name}, {class_name},", needed=needed)

    return check


def unpacked(value: Any, module: str, name: str) -> tuple[str, Any]:
    """Give the class and the configuration of an object that Keras wrote.

    Args:
        value: the object.
        module: that its class should be of.
        name: what messages call it.

    Raises:
        ProblemError: it is of another form or module, or registered by somebody.
    """
    table = {
        "module": fields.choice(module),
        "class_name": fields.label,
        "config": fields.an_object,
        "registered_name": fields.nothing,
        # Keras marks objects that occur twice. Each is whole, so the mark is left out.
        "shared_object_id": fields.any_whole,
    }
    fields.check_table(
        value, table, name, needed=frozenset(("module", "class_name", "config", "registered_name"))
    )
    return value["class_name"], value["config"]


def policy_of(value: Any, name: str) -> str:
    """Give the name of a number format, which Keras wrote as a text or an object.

    Raises:
        ProblemError: it is none of `POLICIES`.
    """
    if isinstance(value, dict):
        class_name, config = unpacked(value, "keras", name)
        if class_name != "DTypePolicy":
            raise ProblemError(f"{name} is of the class {shown(class_name)}, expected DTypePolicy")
        fields.check_table(config, {"name": fields.label}, name, needed=frozenset(("name",)))
        value = config["name"]
    fields.choice(*POLICIES)(value, name)
    return str(value)


def policy(value: Any, name: str) -> None:
    """Check a number format, as `policy_of`."""
    policy_of(value, name)


initializer = known("keras.initializers", INITIALIZERS)
regularizer = fields.optional(known("keras.regularizers", REGULARIZERS))
constraint = fields.optional(known("keras.constraints", CONSTRAINTS))
activation = fields.choice(*ACTIVATIONS)


def cleaned(value: Any) -> Any:
    """A checked configuration without the marks by which Keras would look for other objects."""
    if isinstance(value, dict):
        return {key: cleaned(inner) for key, inner in value.items() if key != "shared_object_id"}
    if isinstance(value, list):
        return [cleaned(inner) for inner in value]
    return value
