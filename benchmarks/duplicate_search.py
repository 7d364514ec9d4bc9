"""Measure the search for duplicates: planted copies found, and genuine images taken for copies.

    python -m benchmarks.duplicate_search

Copies of Fashion-MNIST's 70,000 images, chosen and changed by the seed, are put among them: as they
are, mirrored, shifted by a pixel, or saved again as JPEG; and, as harder ones, mirrored and shifted
and then saved as JPEG, or saved at any quality from 50 to 95. A copy is found if its pair is. The
genuine images that are taken for copies of one another include true copies, which Fashion-MNIST
has. Then copies of 10 test images are put among the training images. Prints a line of JSON.
"""

import argparse
import io
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core.records import Duplicates
from apparel.data import loading
from apparel.data.quality.duplicates import find_duplicates
from apparel.evaluation import intervals

N_OF_A_KIND = 250
N_LEAKS = 10
DEFAULT_QUALITY = 75  # Pillow's
QUALITIES = (50, 95)
# Where the corner of a shifted image lies in one with a border of a pixel.
DIRECTIONS = [
    (down, across) for down in range(3) for across in range(3) if (down, across) != (1, 1)
]

Pixels = NDArray[np.uint8]
Positions = NDArray[np.int64]
Random = np.random.Generator


def mirrored(image: Pixels, _: Random) -> Pixels:
    """Mirror an image (h, w, c) left to right."""
    return image[:, ::-1]


def shifted(image: Pixels, random: Random) -> Pixels:
    """Shift an image by a pixel; the pixels that enter are 0 or those of the edge."""
    down, across = random.permutation(DIRECTIONS)[0]
    bordered = np.pad(image, ((1, 1), (1, 1), (0, 0)), random.choice(["constant", "edge"]))
    return bordered[down : down + image.shape[0], across : across + image.shape[1]]


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    """Save an image as JPEG and read it again."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))[..., np.newaxis]


KINDS: dict[str, Callable[[Pixels, Random], Pixels]] = {
    "exact": lambda image, _: image,
    "mirrored": mirrored,
    "shifted": shifted,
    "jpeg": lambda image, _: as_jpeg(image, DEFAULT_QUALITY),
    "mirrored_shifted_jpeg": lambda image, random: as_jpeg(
        shifted(mirrored(image, random), random), DEFAULT_QUALITY
    ),
    "jpeg_50_to_95": lambda image, random: as_jpeg(
        image, int(random.integers(*QUALITIES, endpoint=True))
    ),
}


def planted(images: Pixels, random: Random) -> tuple[Pixels, Positions, Positions]:
    """Put copies of images among them.

    Returns:
        The images, mixed; and of each the position of its original and its kind, as positions among
        `images` and in KINDS. Both are -1 for images that are no copies.
    """
    chosen = random.permutation(len(images))[: N_OF_A_KIND * len(KINDS)]
    kinds = np.repeat(np.arange(len(KINDS)), N_OF_A_KIND)
    changes = list(KINDS.values())
    copies = [changes[kind](images[k], random) for k, kind in zip(chosen, kinds, strict=True)]
    order = random.permutation(len(images) + len(copies))
    place = np.argsort(order)
    none = np.full(len(images), -1)
    original = np.concatenate([none, place[chosen]])[order]
    return np.concatenate([images, copies])[order], original, np.append(none, kinds)[order]


def pairs_of(found: Duplicates) -> set[tuple[int, int]]:
    """List every two images that were found to be copies of one another, the earlier first."""
    links = np.stack([found.first, found.second], axis=1)
    return {(first, second) for first, second in np.concatenate([links, found.alike]).tolist()}


def leaks_found(train: Pixels, test: Pixels, random: Random) -> int:
    """Count the copies of test images, put among the training images, that are found."""
    chosen = random.permutation(len(test))[:N_LEAKS]
    changes = list(KINDS.values())
    copies = [
        changes[k % len(changes)](test[position], random) for k, position in enumerate(chosen)
    ]
    places = np.sort(random.permutation(len(train) + N_LEAKS)[:N_LEAKS])
    images = np.insert(train, places - np.arange(N_LEAKS), copies, axis=0)
    pairs = pairs_of(find_duplicates(np.concatenate([images, test])))
    originals = len(images) + chosen
    return sum(pair in pairs for pair in zip(places.tolist(), originals.tolist(), strict=True))


def main() -> None:
    """Plant, search, count."""
    parser = argparse.ArgumentParser(description="Plant copies of images and search for them.")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    dataset, random = loading.load(), np.random.default_rng(asked.seed)
    train, test = np.asarray(dataset.train_images), np.asarray(dataset.test_images)
    images, original, kind = planted(np.concatenate([train, test]), random)
    start = time.perf_counter()
    found = find_duplicates(images)
    seconds = time.perf_counter() - start
    pairs = pairs_of(found)
    hits = np.array([tuple(sorted(pair)) in pairs for pair in enumerate(original.tolist())])
    flagged = {max(pair) for pair in pairs if original[pair[0]] < 0 and original[pair[1]] < 0}
    n_genuine = int((original < 0).sum())
    print(
        json.dumps(
            {
                "seed": asked.seed,
                "n_genuine": n_genuine,
                "n_planted": len(images) - n_genuine,
                "found": {
                    name: asdict(intervals.share_interval(hits[kind == k]))
                    for k, name in enumerate(KINDS)
                },
                "genuine_flagged": asdict(intervals.wilson_interval(len(flagged), n_genuine)),
                "n_genuine_flagged": len(flagged),
                "n_leaks": N_LEAKS,
                "leaks_found": leaks_found(train, test, random),
                "seconds": round(seconds, 1),
                "n_processors": os.cpu_count(),
                "platform": platform.platform(),
                "numpy": np.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
