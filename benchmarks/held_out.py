"""Score a choice on images held out of the training set, without the test images.

    python -m benchmarks.held_out '{"model_name": "fast", "width": 64, "epochs": 14}' \
        '{"erase": 0.5}' --seed 0

The first argument has options of `ApparelClassifier`; the second, which is optional, replaces
fields of the recipe. Of the 60,000 training images, 10,000 are held out and scored at the
end, 1,000 are for the epochs' validation, and 49,000 are trained on. Prints a line of JSON. The
second table of choices in docs/performance.md is of the same held-out images.
"""

import argparse
import contextlib
import io
import json
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from apparel import ApparelClassifier
from apparel.core import recipes
from apparel.training import fit

N_HELD_OUT = 10_000
# For the epochs' own validation, which decides nothing here.
VALIDATION_SPLIT = 0.02
# Which images are held out is the same for every choice.
SPLIT_SEED = 123


def held_out_classifier(options: dict[str, object], seed: int) -> ApparelClassifier:
    """A classifier whose test images are training images that it does not train on."""
    classifier = ApparelClassifier(seed=seed, validation_split=VALIDATION_SPLIT, **options)
    classifier.import_data()
    images, labels = classifier.train_images, classifier.train_labels
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    held_out, training = order[:N_HELD_OUT], order[N_HELD_OUT:]
    classifier.train_images, classifier.train_labels = images[training], labels[training]
    classifier.test_images, classifier.test_labels = images[held_out], labels[held_out]
    return classifier.prepare_data()


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description="Try a choice on held-out training images.")
    parser.add_argument("options", type=json.loads, help="of ApparelClassifier, as JSON")
    parser.add_argument("otherwise", type=json.loads, nargs="?", default={}, help="recipe, as JSON")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    def recipe_of(*arguments: object) -> object:
        return replace(recipes.recipe_of(*arguments), **asked.otherwise)

    with contextlib.redirect_stdout(io.StringIO()), patch.object(fit, "recipe_of", recipe_of):
        classifier = held_out_classifier(asked.options, asked.seed).create_model().setup_model()
        start = time.perf_counter()
        history = classifier.run_training()
        seconds = time.perf_counter() - start
        metrics = classifier.test_model().metrics
    found = {name: round(m.value, 4) for name, m in metrics.items() if "accuracy" in name}
    print(json.dumps({**found, "epochs": history.epochs, "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()
