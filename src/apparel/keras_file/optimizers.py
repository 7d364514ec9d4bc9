"""Optimisers and step sizes, by names that Keras has."""

from collections.abc import Mapping
from typing import Any

from apparel.keras_file import fields, objects
from apparel.keras_file.fields import Table

_count = fields.optional(fields.whole(1, 1_000_000_000))
_some = fields.optional(fields.positive)
_schedule_base: Table = {"name": fields.optional(fields.label)}
_schedule: Table = {"initial_learning_rate": fields.positive, **_schedule_base}
_steps = fields.number(1, 1e12)
SCHEDULES: Mapping[str, Table] = {
    "ExponentialDecay": {
        **_schedule, "decay_steps": _steps, "decay_rate": fields.real, "staircase": fields.flag,
    },
    "InverseTimeDecay": {
        **_schedule, "decay_steps": _steps, "decay_rate": fields.real, "staircase": fields.flag,
    },
    "PolynomialDecay": {
        **_schedule, "decay_steps": _steps, "end_learning_rate": fields.positive,
        "power": fields.real, "cycle": fields.flag,
    },
    "CosineDecay": {
        **_schedule, "decay_steps": _steps, "alpha": fields.real, "warmup_target": _some,
        "warmup_steps": fields.number(0, 1e12),
    },
    "CosineDecayRestarts": {
        **_schedule, "first_decay_steps": _steps, "t_mul": fields.real, "m_mul": fields.real,
        "alpha": fields.real,
    },
    "PiecewiseConstantDecay": {
        **_schedule_base, "boundaries": fields.listed(fields.number(0, 1e12), 1, 1000),
        "values": fields.listed(fields.positive, 1, 1001),
    },
}  # fmt: skip
_base: Table = {
    "name": fields.label,
    "learning_rate": fields.kinds(
        fields.positive, made=objects.known("keras.optimizers.schedules", SCHEDULES)
    ),
    "weight_decay": _some,
    "clipnorm": _some,
    "global_clipnorm": _some,
    "clipvalue": _some,
    "use_ema": fields.flag,
    "ema_momentum": fields.share,
    "ema_overwrite_frequency": _count,
    "loss_scale_factor": _some,
    "gradient_accumulation_steps": _count,
}
_adam: Table = {
    **_base, "beta_1": fields.share, "beta_2": fields.share, "epsilon": fields.share,
}  # fmt: skip
_rho: Table = {**_base, "rho": fields.share, "epsilon": fields.share}
OPTIMIZERS: Mapping[str, Table] = {
    "SGD": {**_base, "momentum": fields.share, "nesterov": fields.flag},
    "Adam": {**_adam, "amsgrad": fields.flag},
    "AdamW": {**_adam, "amsgrad": fields.flag},
    "Adamax": _adam,
    "Nadam": _adam,
    "Lamb": _adam,
    "Lion": {**_base, "beta_1": fields.share, "beta_2": fields.share},
    "Adadelta": _rho,
    "RMSprop": {**_rho, "momentum": fields.share, "centered": fields.flag},
    "Adagrad": {
        **_base, "initial_accumulator_value": fields.positive, "epsilon": fields.share,
    },
    "Ftrl": {
        **_base, "learning_rate_power": fields.real, "initial_accumulator_value": fields.positive,
        "l1_regularization_strength": fields.positive, "beta": fields.real,
        "l2_regularization_strength": fields.positive,
        "l2_shrinkage_regularization_strength": fields.positive,
    },
    "Adafactor": {
        **_base, "beta_2_decay": fields.real, "epsilon_1": fields.share, "epsilon_2": fields.share,
        "clip_threshold": fields.positive, "relative_step": fields.flag,
    },
    "Muon": {
        **_base, "adam_beta_1": fields.share, "adam_beta_2": fields.share, "epsilon": fields.share,
        "exclude_layers": fields.listed(fields.label, 0, 100), "muon_a": fields.real,
        "muon_b": fields.real, "muon_c": fields.real, "adam_lr_ratio": fields.positive,
        "momentum": fields.share, "ns_steps": fields.whole(1, 100), "nesterov": fields.flag,
        "exclude_embeddings": fields.flag, "adam_weight_decay": _some, "rms_rate": _some,
    },
}  # fmt: skip
# In half precision, Keras wraps the optimiser in one that scales losses.
_scaling: Table = {
    "name": fields.label,
    "inner_optimizer": objects.known("keras.optimizers", OPTIMIZERS),
    "initial_scale": fields.positive,
    "dynamic_growth_steps": fields.whole(1, 1_000_000_000),
}
OPTIMIZER_NAMES = (*OPTIMIZERS, *map(str.lower, OPTIMIZERS))
_ON_TORCH = "keras.src.backend.torch.optimizers.torch_"

check = fields.kinds(
    fields.choice(None, *OPTIMIZER_NAMES),
    made=objects.known("keras.optimizers", {**OPTIMIZERS, "LossScaleOptimizer": _scaling}),
)


def public(optimizer: Any) -> Any:
    """Give an optimiser by its public name.

    Args:
        optimizer: as Keras wrote it. On PyTorch, it writes the name of the class within.

    Returns:
        The same where it is no object, or no such class.
    """
    if not isinstance(optimizer, dict):
        return optimizer
    name = optimizer.get("class_name")
    written = {"module": f"{_ON_TORCH}{name}".lower(), "registered_name": name}
    if not isinstance(name, str) or name not in OPTIMIZERS or {**optimizer, **written} != optimizer:
        return optimizer
    return {**optimizer, "module": "keras.optimizers", "registered_name": None}
