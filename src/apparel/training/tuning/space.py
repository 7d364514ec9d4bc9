"""The search space: the hyperparameters of a trial, and the settings that they become.

What suits a short training does not suit a long one: more time calls for a wider network and
stronger augmentation. So the width of a trial is a step away from what a budget chooses for the
time of a trial, and the same step away from what it chooses for a full training. Learning rates
and batch sizes are multiples of the recipe's, and None leaves a choice to the recipe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from apparel.core.recipes import RECIPES, Plan, recipe_of
from apparel.core.settings import Settings
from apparel.training.budget import relative_speed

# The least number of passes over the images in a trial, for its accuracy to say anything.
LEAST_PASSES = 2.0
# `fast` and `best` are one architecture.
LADDER = (("fast", 16), ("fast", 32), ("fast", 64), ("best", 96), ("best", 128))
PLANNED, NARROWER, WIDER, CNN = "planned", "narrower", "wider", "cnn"
# As `apparel run --budget` trains.
DEFAULT: Mapping[str, Any] = {
    "network": PLANNED,
    "learning_rate": 1.0,
    "batch_size": 1.0,
    "label_smoothing": 0.1,
    "flip": True,
    "shift": None,
    "erase": None,
}

# For each network that is tried, model and width of a trial, and those of a full training.
Networks: TypeAlias = Mapping[str, Sequence[tuple[str, int | None]]]


def networks(trial: Plan, full: Plan) -> Networks:
    """Choose the networks that are tried.

    Args:
        trial: what the time of a trial buys.
        full: what the time of a full training buys.

    Returns:
        The planned network, `cnn`, and the narrower and the wider one if they exist and
        trials have the time for them.
    """
    short, long = (LADDER.index((plan.model_name, plan.width or 0)) for plan in (trial, full))
    found = {PLANNED: (LADDER[short], LADDER[long])}
    if min(short, long) > 0:
        found[NARROWER] = (LADDER[short - 1], LADDER[long - 1])
    top = max(short, long) + 1 == len(LADDER)
    if not top and _passes(trial, LADDER[short + 1]) >= LEAST_PASSES:
        found[WIDER] = (LADDER[short + 1], LADDER[long + 1])
    return {**found, CNN: (("cnn", None), ("cnn", None))}


def suggest(sampler: Any, names: Sequence[str]) -> dict[str, Any]:
    """Sample hyperparameters.

    Args:
        sampler: samples each value, as Optuna's trials do.
        names: of the networks.

    Returns:
        Values by name; only some for `cnn`, which is trained without augmentation.
    """
    chosen: dict[str, Any] = {
        "network": sampler.suggest_categorical("network", tuple(names)),
        "learning_rate": sampler.suggest_float("learning_rate", 1 / 3, 3.0, log=True),
        "batch_size": sampler.suggest_categorical("batch_size", (0.25, 0.5, 1.0, 2.0)),
    }
    if chosen["network"] == CNN:
        return chosen
    return {
        **chosen,
        "label_smoothing": sampler.suggest_float("label_smoothing", 0.0, 0.2, step=0.02),
        "flip": sampler.suggest_categorical("flip", (True, False)),
        "shift": sampler.suggest_categorical("shift", (None, 0, 1, 2)),
        "erase": sampler.suggest_categorical("erase", (None, 0.0, 0.25, 0.5)),
    }


def settings_for(
    parameters: Mapping[str, Any], network: tuple[str, int | None], base: Settings
) -> Settings:
    """Give the settings of a trial, or of a full training with the same hyperparameters.

    Args:
        parameters: hyperparameters by `suggest`.
        network: model and width, by `networks`.
        base: gives the budget, the seed and everything about the images.
    """
    model_name, width = network
    recipe = RECIPES[model_name]
    names = ("label_smoothing", "flip", "shift", "erase")
    return replace(
        base,
        model_name=model_name,
        width=width,
        # Three digits, so that the command for it gives the same number back.
        learning_rate=float(f"{recipe.learning_rate * parameters['learning_rate']:.3g}"),
        batch_size=max(round(recipe.batch_size * parameters["batch_size"]), 1),
        **{name: parameters[name] for name in names if name in parameters},
    )


def _passes(plan: Plan, network: tuple[str, int]) -> float:
    """The number of passes over the images that a network makes in the time of a plan."""
    recipe, planned = (
        recipe_of(Settings(model_name=name, width=width))
        for name, width in (network, (plan.model_name, plan.width))
    )
    return plan.passes * relative_speed(recipe, planned)
