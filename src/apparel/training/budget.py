"""A time budget → the model, its size and how long it trains.

The machine is measured, not guessed: a few training steps of `fast` say how many times it could
see all images in the given time, and a table says what is best at that many.
"""

import time
from dataclasses import replace

from apparel.core.backend import NumberFormat
from apparel.core.errors import UsageError
from apparel.core.recipes import recipe_of
from apparel.core.settings import Plan, Recipe, Settings
from apparel.models import architectures
from apparel.training import fit

# From so many passes of `fast` at its own width on, which model and width are best; found on
# Fashion-MNIST's validation images, see docs/performance.md.
TIERS = ((0.0, "fast", 16), (3.0, "fast", 32), (12.0, "fast", 64), (120.0, "best", 96))
# Beyond, training only repeats itself: a small data set does not use up a large budget.
MOST_PASSES = 200
# What one validation takes beside its images, mostly to build the graph the first time.
VALIDATION_START_SECONDS = 1.0
# An image's time grows with the width to this power, below and above `fast`'s own width; measured
# between 16 and 96 channels on three processors: 1.0 to 1.3 below, 1.5 to 2.0 above. Near enough
# for a plan: while training, the clock decides.
NARROW_EXPONENT, WIDE_EXPONENT = 1.2, 1.7
# Without gradients, an image takes less than half the time.
VALIDATION_SPEEDUP = 2.0


def plan(
    settings: Settings,
    *,
    n_classes: int,
    img_shape: tuple[int, int, int],
    n_training: int,
    n_validation: int,
    number_format: NumberFormat,
) -> Plan:
    """Measure this machine and choose.

    Args:
        settings: give `budget`, which must be set, and the model, unless it is "auto".
        n_classes: of the data.
        img_shape: of the data.
        n_training: images to train on.
        n_validation: images held out.
        number_format: of training.

    Raises:
        UsageError: the budget is used up before training could begin.
    """
    start = time.perf_counter()
    budget = settings.budget or 0.0
    auto = settings.model_name == "auto"
    # The table counts in passes of this one, whatever width the user wants.
    measured = replace(settings, model_name="fast", width=None) if auto else settings
    rate = _images_per_second(measured, n_classes, img_shape, number_format)
    chosen = settings
    if auto:
        chosen = _fitting(settings, passes=budget * rate / n_training)
        # Not measured once more: that would cost a short budget a tenth of its time.
        rate *= relative_speed(recipe_of(chosen), recipe_of(measured))
    validation = VALIDATION_START_SECONDS + n_validation / (VALIDATION_SPEEDUP * rate)
    seconds = budget - (time.perf_counter() - start)
    if seconds <= validation:
        raise UsageError(
            f"a budget of {budget:.0f} s is too short: measuring this machine took "
            f"{budget - seconds:.0f} s, and validation needs {validation:.0f} s. Give more time."
        )
    passes = (seconds - validation) * rate / n_training
    if passes > MOST_PASSES:
        seconds = validation + MOST_PASSES * n_training / rate
        passes = MOST_PASSES
    recipe = recipe_of(chosen)
    return Plan(
        model_name=recipe.model_name,
        width=recipe.width,
        images_per_second=rate,
        passes=passes,
        seconds=seconds,
        validation_seconds=validation,
    )


def _images_per_second(
    settings: Settings,
    n_classes: int,
    img_shape: tuple[int, int, int],
    number_format: NumberFormat,
) -> float:
    """Measure how fast this machine trains what the settings name."""
    recipe = recipe_of(settings)
    model = architectures.create(
        recipe.model_name,
        n_classes=n_classes,
        img_shape=img_shape,
        seed=settings.seed,
        width=recipe.width,
    )
    fit.compile_model(model, settings)
    return fit.images_per_second(model, settings, number_format)


def _fitting(settings: Settings, *, passes: float) -> Settings:
    """The model and, unless the user has chosen it, the width for so many passes of `fast`."""
    name, width = next((name, w) for least, name, w in reversed(TIERS) if passes >= least)
    return replace(settings, model_name=name, width=settings.width or width)


def relative_speed(recipe: Recipe, measured: Recipe) -> float:
    """Images a second of a recipe, as a multiple of those of a measured one, by their widths."""
    narrower = (measured.width or 1) / (recipe.width or 1)
    return float(narrower ** (NARROW_EXPONENT if narrower > 1 else WIDE_EXPONENT))
