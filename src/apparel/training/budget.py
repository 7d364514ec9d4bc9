"""A time budget → the model, its size and the time it trains.

The machine is measured, not guessed: a few training steps of `fast` tell how many passes over all
images fit into the given time, and a table says which model is best at that many.
"""

import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np

from apparel.core.backend import NumberFormat
from apparel.core.errors import UsageError
from apparel.core.recipes import Plan, Recipe, recipe_of
from apparel.core.settings import Settings
from apparel.training import fit

# The best model and width from a number of passes of `fast` at its own width on; found on
# Fashion-MNIST's validation images, see docs/performance.md.
TIERS = ((0.0, "fast", 16), (3.0, "fast", 32), (12.0, "fast", 64), (120.0, "best", 96))
# Beyond, training only repeats itself: a small data set does not use up a large budget.
MOST_PASSES = 200
# Time of a validation beside its images, mostly to build the graph the first time.
VALIDATION_START_SECONDS = 1.0
# An image's time grows with the width to this power, below and above `fast`'s own width; measured
# between 16 and 96 channels on three processors: 1.0 to 1.3 below, 1.5 to 2.0 above. Near enough
# for a plan: while training, the clock decides.
NARROW_EXPONENT, WIDE_EXPONENT = 1.2, 1.7
# Without gradients, an image takes less than half the time.
VALIDATION_SPEEDUP = 2.0
# Steps, and seconds with them, to measure the machine's speed by.
LEAST_STEPS = 6
MEASURING_SECONDS = 3.0


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
        n_classes: number of classes.
        img_shape: height, width and channels of an image.
        n_training: number of training images.
        n_validation: number of validation images.
        number_format: of training.

    Raises:
        UsageError: the budget is used up before training could begin.
    """
    start = time.perf_counter()
    budget = settings.budget or 0.0
    auto = settings.model_name == "auto"
    # The table counts passes of this one, for any requested width.
    measured = replace(settings, model_name="fast", width=None) if auto else settings
    model = fit.compiled_model(measured, n_classes=n_classes, img_shape=img_shape)
    rate = images_per_second(model, measured, number_format)
    chosen = settings
    if auto:
        passes = budget * rate / n_training
        name, width = next((name, w) for least, name, w in reversed(TIERS) if passes >= least)
        chosen = replace(settings, model_name=name, width=settings.width or width)
        # Not measured again: that would cost a short budget a tenth of its time.
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


def images_per_second(model: Any, settings: Settings, number_format: NumberFormat) -> float:
    """Measure how fast this machine trains a model, without changing its weights.

    Args:
        model: a compiled float32 `keras.Model`.
        settings: give, with the model's recipe, batch size and optimiser.
        number_format: of training.

    Returns:
        Images a second, in the median of a few steps on noise.
    """
    recipe = recipe_of(settings)
    copy = fit.compiled_copy(model, recipe, number_format, recipe.batch_size)
    random = np.random.default_rng(0)
    images = random.random((recipe.batch_size, *model.input_shape[1:]), dtype=np.float32)
    labels = np.eye(model.output_shape[-1], dtype=np.float32)[
        random.integers(0, model.output_shape[-1], recipe.batch_size)
    ]
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < LEAST_STEPS or time.perf_counter() - begin < MEASURING_SECONDS:
        start = time.perf_counter()
        copy.train_on_batch(images, labels)
        times.append(time.perf_counter() - start)
    return recipe.batch_size / statistics.median(times[1:])  # the first one builds the graph


def relative_speed(recipe: Recipe, measured: Recipe) -> float:
    """Images a second of a recipe, as a multiple of those of a measured one, by their widths."""
    narrower = (measured.width or 1) / (recipe.width or 1)
    return float(narrower ** (NARROW_EXPONENT if narrower > 1 else WIDE_EXPONENT))
