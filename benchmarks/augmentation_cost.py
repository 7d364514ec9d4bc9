"""What changing the images costs: the time of training with and without, in turns.

    python -m benchmarks.augmentation_cost

Batches are mirrored, shifted and erased in a thread of their own while a step computes, but two
cores do both. For each width, trains a number of steps with all changes and with none, in turns,
and prints the median of the pairs' ratios, less 1.
"""

import statistics
from dataclasses import replace
from unittest.mock import patch

from apparel import ApparelClassifier, backend, models, prepare, train
from apparel.backend import NumberFormat
from apparel.recipes import recipe_of
from apparel.records import Splits
from apparel.settings import Recipe, Settings

PAIRS = 7
IMAGES = 20_000
EPOCHS = 2


def training_seconds(splits: Splits, recipe: Recipe, number_format: NumberFormat) -> float:
    """Seconds of the last epoch of a training by this recipe."""
    settings = Settings(model_name=recipe.model_name, width=recipe.width)
    model = models.create(
        recipe.model_name, n_classes=10, img_shape=(28, 28, 1), seed=0, width=recipe.width
    )
    train.compile_model(model, settings)
    with patch.object(train, "recipe_of", lambda *_, **__: recipe):
        history = train.fit(model, splits, settings, number_format)
    return history.seconds[-1]


def main() -> None:
    """Print a line for each width."""
    settings = Settings(model_name="fast")
    number_format = backend.choose_number_format("auto")
    classifier = ApparelClassifier(limit=IMAGES).import_data().prepare_data()
    arrays = (classifier.train_images, classifier.train_labels)
    splits = prepare.split(*arrays, *arrays, settings=settings, manifest={})
    for width in (16, 32, 64):
        # All images in every epoch, so that both ways take the same number of steps.
        plain = replace(recipe_of(settings), width=width, epochs=EPOCHS, prune=1e-9, flip=False)
        changed = replace(plain, flip=True, shift=1, erase=6)
        ratios = []
        for pair in range(PAIRS):
            ways = (plain, changed) if pair % 2 else (changed, plain)
            seconds = {way: training_seconds(splits, way, number_format) for way in ways}
            ratios.append(seconds[changed] / seconds[plain])
        cost = 100 * (statistics.median(ratios) - 1)
        low, high = (100 * (r - 1) for r in (min(ratios), max(ratios)))
        print(
            f"width {width}: {cost:+.1f} % of a step ({low:+.1f} to {high:+.1f} in {PAIRS} pairs), "
            f"{backend.processor_name()}, {number_format.policy}",
            flush=True,
        )


if __name__ == "__main__":
    main()
