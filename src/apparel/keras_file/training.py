"""How a model was compiled: its loss and measures, by names that Keras has."""

from collections.abc import Mapping
from typing import Any

from apparel.keras_file import fields, objects, optimizers
from apparel.keras_file.fields import Check, Table

_loss: Table = {
    "name": fields.optional(fields.label),
    "reduction": fields.choice(
        None, "sum", "mean", "sum_over_batch_size", "mean_with_sample_weight", "none"
    ),
    "dtype": fields.optional(objects.policy),
}
_axis = fields.whole(-8, 8)
_crossentropy: Table = {
    **_loss, "from_logits": fields.flag, "label_smoothing": fields.share, "axis": _axis,
}  # fmt: skip
_focal: Table = {
    **_crossentropy, "alpha": fields.kinds(fields.real, many=fields.listed(fields.real, 1, 10_000)),
    "gamma": fields.positive,
}  # fmt: skip
LOSSES: Mapping[str, Table] = {
    "CategoricalCrossentropy": _crossentropy,
    "BinaryCrossentropy": _crossentropy,
    "SparseCategoricalCrossentropy": {
        **_loss, "from_logits": fields.flag, "ignore_class": fields.optional(fields.any_whole),
        "axis": _axis,
    },
    "CategoricalFocalCrossentropy": _focal,
    "BinaryFocalCrossentropy": {**_focal, "apply_class_balancing": fields.flag},
    "CategoricalHinge": _loss,
    "Hinge": _loss,
    "SquaredHinge": _loss,
    "KLDivergence": _loss,
    "Poisson": _loss,
    "MeanSquaredError": _loss,
    "MeanAbsoluteError": _loss,
}  # fmt: skip
_metric: Table = {"name": fields.optional(fields.label), "dtype": fields.optional(objects.policy)}
_thresholds = fields.optional(fields.kinds(fields.share, many=fields.listed(fields.share, 1, 1000)))
_confusion: Table = {
    **_metric, "thresholds": _thresholds, "top_k": fields.optional(fields.whole(1, 10_000)),
    "class_id": fields.optional(fields.whole(0, 10_000)),
}  # fmt: skip
_measured: Table = {
    **_metric, "from_logits": fields.flag, "label_smoothing": fields.share, "axis": _axis,
}  # fmt: skip
_f_score: Table = {
    **_metric, "average": fields.choice(None, "micro", "macro", "weighted"),
    "threshold": fields.optional(fields.share), "beta": fields.positive,
}  # fmt: skip
METRICS: Mapping[str, Table] = {
    "Accuracy": _metric,
    "CategoricalAccuracy": _metric,
    "SparseCategoricalAccuracy": _metric,
    "BinaryAccuracy": {**_metric, "threshold": fields.share},
    "TopKCategoricalAccuracy": {**_metric, "k": fields.whole(1, 10_000)},
    "SparseTopKCategoricalAccuracy": {
        **_metric, "k": fields.whole(1, 10_000), "from_sorted_ids": fields.flag,
    },
    "Precision": _confusion,
    "Recall": _confusion,
    "F1Score": _f_score,
    "FBetaScore": _f_score,
    "AUC": {
        **_metric, "num_thresholds": fields.whole(2, 10_000), "curve": fields.choice("ROC", "PR"),
        "summation_method": fields.choice("interpolation", "minoring", "majoring"),
        "multi_label": fields.flag, "num_labels": fields.optional(fields.whole(1, 10_000)),
        "label_weights": fields.optional(fields.listed(fields.real, 1, 10_000)),
        "from_logits": fields.flag, "thresholds": _thresholds,
    },
    "CategoricalCrossentropy": _measured,
    "BinaryCrossentropy": _measured,
    "SparseCategoricalCrossentropy": {
        **_metric, "from_logits": fields.flag, "axis": _axis,
        "ignore_class": fields.optional(fields.any_whole),
    },
    "KLDivergence": _metric,
    "MeanSquaredError": _metric,
    "MeanAbsoluteError": _metric,
    "RootMeanSquaredError": _metric,
}  # fmt: skip
LOSS_NAMES = (
    "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy",
    "categorical_focal_crossentropy", "binary_focal_crossentropy", "categorical_hinge", "hinge",
    "squared_hinge", "kl_divergence", "poisson", "mean_squared_error", "mean_absolute_error",
    "mse", "mae", "MSE", "MAE", "bce", "BCE", "kld", "KLD", *LOSSES,
)  # fmt: skip
METRIC_NAMES = (
    "accuracy", "acc", "crossentropy", "ce", "categorical_accuracy",
    "sparse_categorical_accuracy", "binary_accuracy", "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy", *LOSS_NAMES, *METRICS,
)  # fmt: skip
# How Keras writes a function of its own, with the name as its config.
_FUNCTION = {
    "module": "builtins", "class_name": "function", "config": "", "registered_name": "function",
    "shared_object_id": 0,
}  # fmt: skip


def _named(names: tuple[str, ...], module: str, classes: Mapping[str, Table]) -> Check:
    """A name; a function of Keras, as it is written, which says its name alone; or an object."""
    known = objects.known(module, classes)

    def made(value: dict[str, Any], name: str) -> None:
        is_function = {**value, "config": "", "shared_object_id": 0} == _FUNCTION
        if not (is_function and value.get("config") in names):
            known(value, name)

    return fields.kinds(fields.choice(None, *names), made=made)


_loss_check = _named(LOSS_NAMES, "keras.losses", LOSSES)
_metric_check = _named(METRIC_NAMES, "keras.metrics", METRICS)
_some_metrics = fields.kinds(_metric_check, many=fields.listed(_metric_check, 0, 50))
_metrics = fields.optional(fields.listed(_some_metrics, 0, 50))
_compiled: Table = {
    "optimizer": optimizers.check,
    "loss": fields.kinds(_loss_check, many=fields.listed(_loss_check, 1, 1)),
    "loss_weights": fields.optional(
        fields.kinds(fields.positive, many=fields.listed(fields.positive, 1, 1))
    ),
    "metrics": _metrics,
    "weighted_metrics": _metrics,
    "run_eagerly": fields.flag,
    "steps_per_execution": fields.whole(1, 100_000),
    "jit_compile": fields.rule(
        lambda value: value is True or value is False or value == "auto", "true, false or auto"
    ),
    "auto_scale_loss": fields.flag,
}


def check_compiled(config: dict[str, Any]) -> dict[str, Any]:
    """Refuse a way to compile a model that is not known.

    Args:
        config: what Keras wrote; empty for a model that was not compiled.

    Returns:
        The same for Keras, with names in the place of functions.

    Raises:
        ProblemError: it names something that is not known.
    """
    if "optimizer" in config:
        config = {**config, "optimizer": optimizers.public(config["optimizer"])}
    fields.check_table(config, _compiled, "its compile_config")
    return {key: _without_functions(value) for key, value in objects.cleaned(config).items()}


def _without_functions(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_functions(inner) for inner in value]
    is_function = isinstance(value, dict) and value["class_name"] == _FUNCTION["class_name"]
    return value["config"] if is_function else value
