"""The search space: what a trial may differ in, and what becomes of it in training.

Whatever suits a short training does not suit a long one: more time wants a wider network and more
variety of images. So a trial's width is a step away from what a budget chooses for the time of a
trial, and the same step away from what it chooses for a full training. Step sizes and batch sizes
are multiples of the recipe's, and None leaves a choice to the recipe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from apparel.core.recipes import RECIPES, recipe_of
from apparel.core.settings import Plan, Settings
from apparel.training.budget import relative_speed

# A trial needs so many passes over the images to say anything.
LEAST_PASSES = 2.0
# `fast` and `best` are one architecture.
LADDER = (("fast", 16), ("fast", 32), ("fast", 64), ("best", 96), ("best", 128))
PLANNED, NARROWER, WIDER, CNN = "planned", "narrower", "wider", "cnn"
# What `apparel run --budget` trains with.
DEFAULT: Mapping[str, Any] = {
    "network": PLANNED,
    "learning_rate": 1.0,
    "batch_size": 1.0,
    "label_smoothing": 0.1,
    "flip": True,
    "shift": None,
    "erase": None,
}

# For each network that is tried, the model and the width of a trial, and those of a full training.
Networks: TypeAlias = Mapping[str, Sequence[tuple[str, int | None]]]


class Chooser(Protocol):
    """Gives values; Optuna's trials do."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Choose one of a few values."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Choose a number."""


def networks(trial: Plan, full: Plan) -> Networks:
    """Choose the networks that are tried.

    Args:
        trial: what the time of a trial buys.
        full: what that of a full training buys.

    Returns:
        The planned network, `cnn`, and the narrower and the wider one where there are such and
        trials have the time for them.
    """
    short, long = (_rung(plan) for plan in (trial, full))
    found = {PLANNED: (LADDER[short], LADDER[long])}
    if min(short, long) > 0:
        found[NARROWER] = (LADDER[short - 1], LADDER[long - 1])
    top = max(short, long) + 1 == len(LADDER)
    if not top and _passes(trial, LADDER[short + 1]) >= LEAST_PASSES:
        found[WIDER] = (LADDER[short + 1], LADDER[long + 1])
    return {**found, CNN: (("cnn", None), ("cnn", None))}


def suggest(chooser: Chooser, names: Sequence[str]) -> dict[str, Any]:
    """Choose a place of the search space.

    Args:
        chooser: chooses each value, given the earlier ones.
        names: of the networks.

    Returns:
        Values by name; for `cnn`, which is trained on images as they are, only some.
    """
    chosen: dict[str, Any] = {
        "network": chooser.suggest_categorical("network", tuple(names)),
        "learning_rate": chooser.suggest_float("learning_rate", 1 / 3, 3.0, log=True),
        "batch_size": chooser.suggest_categorical("batch_size", (0.25, 0.5, 1.0, 2.0)),
    }
    if chosen["network"] == CNN:
        return chosen
    return {
        **chosen,
        "label_smoothing": chooser.suggest_float("label_smoothing", 0.0, 0.2, step=0.02),
        "flip": chooser.suggest_categorical("flip", (True, False)),
        "shift": chooser.suggest_categorical("shift", (None, 0, 1, 2)),
        "erase": chooser.suggest_categorical("erase", (None, 0.0, 0.25, 0.5)),
    }


def trial_settings(parameters: Mapping[str, Any], found: Networks, base: Settings) -> Settings:
    """The settings of a trial.

    Args:
        parameters: by `suggest`.
        found: by `networks`.
        base: gives the budget of a trial, the seed and what decides about the images.
    """
    return _settings(parameters, found[parameters["network"]][0], base)


def full_settings(parameters: Mapping[str, Any], found: Networks, base: Settings) -> Settings:
    """The same place of the search space, for a full training; see `trial_settings`."""
    return _settings(parameters, found[parameters["network"]][1], base)


def _settings(
    parameters: Mapping[str, Any], network: tuple[str, int | None], base: Settings
) -> Settings:
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


def _rung(plan: Plan) -> int:
    """Where in the ladder the planned network stands."""
    return LADDER.index((plan.model_name, plan.width or 0))


def _passes(plan: Plan, network: tuple[str, int]) -> float:
    """How many passes over the images another network makes in the time of a plan."""
    recipe, planned = (
        recipe_of(Settings(model_name=name, width=width))
        for name, width in (network, (plan.model_name, plan.width))
    )
    return plan.passes * relative_speed(recipe, planned)
