"""Measure the share of images of each kind that the novelty score calls unfamiliar.

    python -m benchmarks.novelty [--mnist SOURCE]

For each seed, a tenth of the training images is held out, and the score and its threshold are
fitted as in a run. Then images above the threshold are counted. Few of the test images, unchanged
or changed a little, should be, and many of the images that show no clothes. scikit-learn's
handwritten digits have 8 x 8 pixels and are enlarged to 20 or 28; MNIST's, which this project does
not have, can be given as any source that `apparel check` takes. Prints a line of JSON per seed.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from apparel.data import loading
from apparel.evaluation import intervals
from apparel.models import novelty

SEEDS = (0, 1, 2, 3, 4)
N_MADE_UP = 2000
SIDE = 28
ONE_IN_TEN_WHITE = np.array([0] * 9 + [255], np.uint8)

Pixels = NDArray[np.uint8]


def digits(side: int) -> Pixels:
    """scikit-learn's digits, enlarged to this side in the middle of black images."""
    found = np.zeros((len(load_digits().images), SIDE, SIDE, 1), np.uint8)
    first = (SIDE - side) // 2
    for image, digit in zip(found, load_digits().images, strict=True):
        enlarged = Image.fromarray((digit * 255 / 16).astype(np.uint8)).resize((side, side))
        image[first : first + side, first : first + side, 0] = enlarged
    return found


def kinds(test_images: Pixels, mnist: str | None) -> Iterator[tuple[str, Pixels]]:
    """Images by kind: first kinds that should be familiar, then others."""
    random = np.random.default_rng(0)
    shape = (N_MADE_UP, SIDE, SIDE, 1)
    yield "test images", test_images
    yield "test images, mirrored", test_images[:, :, ::-1]
    yield "test images, moved by two pixels", np.roll(test_images, 2, axis=1)
    for side in (20, SIDE):
        yield f"handwritten digits, {side} pixels", digits(side)
    if mnist:
        yield "MNIST", loading.load(mnist).test_images
    yield "noise, uniform", random.integers(0, 256, shape, dtype=np.uint8)
    normal = np.clip(random.normal(128, 40, shape), 0, 255)
    yield "noise, normal", normal.astype(np.uint8)
    yield "noise, one pixel in ten white", random.choice(ONE_IN_TEN_WHITE, shape)
    yield "test images, inverted", 255 - test_images


def main() -> None:
    """Fit and count for each seed, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", metavar="SOURCE", help="MNIST's images")
    mnist = parser.parse_args().mnist
    dataset = loading.load("fashion-mnist")
    unit = dataset.train_images / np.float32(255)
    machine = {
        "n_processors": os.cpu_count(),
        "platform": platform.platform(),
        "numpy": np.__version__,
    }
    for seed in SEEDS:
        labels = dataset.train_labels
        training, validation = train_test_split(
            np.arange(len(labels)), test_size=0.1, stratify=labels, random_state=seed
        )
        started = time.perf_counter()
        learnt = novelty.fit(unit, training, validation, seed=seed)
        seconds = time.perf_counter() - started
        unlike = {}
        for kind, images in kinds(dataset.test_images, mnist):
            scores = novelty.score(learnt, images / np.float32(255))
            count = int((scores > learnt.threshold).sum())
            share = intervals.wilson_interval(count, len(images))
            unlike[kind] = {"n": len(images), "unlike": count, **asdict(share)}
        print(json.dumps({"seed": seed, "seconds_to_learn": seconds, **machine, "kinds": unlike}))


if __name__ == "__main__":
    main()
