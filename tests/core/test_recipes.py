"""Settings and a model's own recipe together."""

from dataclasses import replace

import pytest

from apparel.core.errors import UsageError
from apparel.core.recipes import RECIPES, Plan, check, recipe_of
from apparel.core.settings import Settings


def test_the_small_cnn_is_trained_as_the_original_program_did():
    recipe = recipe_of(Settings())
    assert (recipe.model_name, recipe.epochs, recipe.batch_size) == ("cnn", 15, 128)
    assert (recipe.optimizer, recipe.learning_rate) == ("adam", 1e-3)
    assert (recipe.schedule, recipe.label_smoothing, recipe.prune) == ("constant", 0, 0)


@pytest.mark.parametrize(
    ("epochs", "shift", "erase"), [(1, 0, 0), (7, 0, 0), (8, 1, 0), (13, 1, 0), (14, 1, 0.5)]
)
def test_longer_training_gets_more_variety_unless_the_user_says_otherwise(epochs, shift, erase):
    recipe = recipe_of(Settings(model_name="fast", epochs=epochs))
    assert (recipe.shift, recipe.erase) == (shift, erase)
    plan = Plan(
        model_name="fast", width=32, images_per_second=1, passes=epochs + 0.3, seconds=1,
        validation_seconds=1,
    )  # fmt: skip
    assert recipe_of(Settings(model_name="fast", budget=60), plan) == recipe
    for name, given in (
        ("fast", {"width": 24, "batch_size": 99, "learning_rate": 0.3, "flip": False}),
        ("best", {"shift": 2, "erase": 0.25, "label_smoothing": 0.0}),
        ("best", {"shift": 0, "erase": 0.0}),
    ):
        found = recipe_of(Settings(model_name=name, epochs=epochs, **given))
        own = replace(RECIPES[name], epochs=epochs, shift=shift, erase=erase)
        assert found == replace(own, **given)


def test_patience_switches_averaging_off():
    assert recipe_of(Settings()).weight_averaging == 0.1
    recipe = recipe_of(Settings(patience=2))
    assert (recipe.patience, recipe.weight_averaging) == (2, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 8}, "the model cnn has one size"),
        ({"flip": True}, "the model cnn is not trained on mirrored images"),
        ({"label_smoothing": 0.1}, "the model cnn is not trained on smoothed labels. Leave label"),
        ({"model_name": "fast", "weight_averaging": 0.1}, "keeps batch statistics"),
    ],
)
def test_what_a_model_does_not_have_is_refused(settings, message):
    with pytest.raises(UsageError) as caught:
        recipe_of(Settings(**settings))
    assert message in str(caught.value)


def test_settings_of_a_model_that_a_budget_will_choose_are_checked_as_well():
    check(Settings(model_name="auto", budget=60, width=8))
    with pytest.raises(UsageError, match="keeps batch statistics"):
        check(Settings(model_name="auto", budget=60, weight_averaging=0.1))
