"""The cost of augmentation: the time of drawing a batch, as a share of a training step.

    python -m benchmarks.augmentation_cost

Batches are drawn in a thread of their own while a step computes, so training pays less than this:
at most what is printed, where no core is idle meanwhile.
"""

import statistics
import time
from dataclasses import replace

import numpy as np

from apparel.core import backend
from apparel.core.recipes import Recipe, recipe_of
from apparel.core.records import Splits
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.splits import prepare
from apparel.training import budget, fit
from apparel.training.augmentation import TrainingBatches
from apparel.training.infobatch import LossFeedback
from apparel.training.progress import StepProgress

WIDTHS = (16, 32, 64)
BATCHES = 300


def seconds_a_batch(splits: Splits, recipe: Recipe) -> float:
    """Median seconds of drawing a batch."""
    progress = StepProgress(BATCHES)
    feedback = LossFeedback(len(splits.training), progress)
    batches = TrainingBatches(
        splits.train_images[splits.training],
        splits.train_labels[splits.training],
        recipe,
        seed=0,
        progress=progress,
        feedback=feedback,
    )
    times = []
    for _ in range(BATCHES):
        start = time.perf_counter()
        next(batches)
        times.append(time.perf_counter() - start)
        feedback.measured(np.ones(recipe.batch_size, np.float32))  # as a training step would
    return statistics.median(times)


def seconds_a_step(width: int) -> float:
    """Seconds of a training step of `fast`."""
    settings = Settings(model_name="fast", width=width)
    model = fit.compiled_model(settings, n_classes=10, img_shape=(28, 28, 1))
    rate = budget.images_per_second(model, settings, backend.choose_number_format("auto"))
    return recipe_of(settings).batch_size / rate


def main() -> None:
    """Print a line for each set of changes."""
    settings = Settings(model_name="fast")
    splits = prepare(loading.load(), settings)
    plain = replace(recipe_of(settings), flip=False)
    changes = {
        "mirroring": replace(plain, flip=True),
        "mirroring, shifts": replace(plain, flip=True, shift=1),
        "mirroring, shifts, erasing": replace(plain, flip=True, shift=1, erase=0.5),
    }
    steps = {width: seconds_a_step(width) for width in WIDTHS}
    base = seconds_a_batch(splits, plain)
    print(backend.processor_name())
    for name, recipe in changes.items():
        cost = seconds_a_batch(splits, recipe) - base
        shares = ", ".join(
            f"{100 * cost / step:.1f} % of a step at width {width}" for width, step in steps.items()
        )
        print(f"{name}: {1000 * cost:.1f} ms a batch; {shares}", flush=True)


if __name__ == "__main__":
    main()
