"""Measure the precision of label issues on planted label errors.

    python -m benchmarks.suspects_precision

Some training labels, chosen by the seed, are replaced by other classes at random. The label issues
are then ranked, and those in the first hundredth of the training images that were planted are
counted. Labels that Fashion-MNIST itself has wrong count as correct, so the precision is a lower
bound. Prints a line of JSON.
"""

import argparse
import json
from dataclasses import asdict, replace

import numpy as np

from apparel.core import backend
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.evaluation import intervals, label_issues
from apparel.training import cross_validation


def main() -> None:
    """Plant, search, count."""
    parser = argparse.ArgumentParser(description="Plant wrong labels and search for them.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.03, help="share of labels to replace")
    parser.add_argument("--limit", type=int, help="number of training images, for a trial run")
    asked = parser.parse_args()
    dataset = loading.load(limit=asked.limit)
    labels, random = dataset.train_labels.copy(), np.random.default_rng(asked.seed)
    planted = random.permutation(len(labels))[: round(asked.share * len(labels))]
    labels[planted] += random.integers(1, dataset.n_classes, len(planted))
    labels %= dataset.n_classes
    settings = Settings(model_name="fast", seed=asked.seed)
    said = cross_validation.cross_validate(
        replace(dataset, train_labels=labels), settings, backend.choose_number_format("auto")
    )
    found = label_issues.find(said.train, labels, dataset.class_names, split="train")
    first = np.isin(found.indices[: len(labels) // 100], planted)
    every = np.isin(found.indices, planted)
    print(
        json.dumps(
            {
                "seed": asked.seed,
                "n_images": len(labels),
                "n_planted": len(planted),
                "n_first": len(first),
                "precision_of_first": asdict(intervals.share_interval(first)),
                "n_suspects": len(found.indices),
                "precision": asdict(intervals.share_interval(every)),
                "recall": float(every.sum() / len(planted)),
            }
        )
    )


if __name__ == "__main__":
    main()
