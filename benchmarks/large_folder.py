"""Measure the memory of a run on a folder of images that exceed memory once decoded.

    python -m benchmarks.large_folder --folder /somewhere/with/room

Makes a folder of small coloured images of random pixels, in two classes of other brightness, and
runs `apparel run` on it with a budget, images brought to 128 x 128: by default 420,000, 20 GB
decoded. Prints a line of JSON with the peak of the resident memory of the command.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16
IMAGE_SIZE = 128
# Half of the default: a batch of 512 such images has 100 MB, and training holds ten times as much.
BATCH_SIZE = 256


def main() -> None:
    """Make, run, measure, clean up."""
    parser = argparse.ArgumentParser(description="Measure memory on a large folder.")
    parser.add_argument("--folder", type=Path, required=True, help="made, and deleted at the end")
    parser.add_argument("--images", type=int, default=420_000)
    parser.add_argument("--budget", default="180s")
    asked = parser.parse_args()
    asked.folder.mkdir()
    try:
        make_images(asked.folder / "images", asked.images)
        os.environ["APPAREL_CACHE"] = str(asked.folder / "cache")
        start = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "apparel", "run", "--data", asked.folder / "images"),
                *("--image-size", str(IMAGE_SIZE), "--model", "fast", "--width", "4"),
                *("--batch-size", str(BATCH_SIZE)),
                *("--budget", asked.budget, "--test-split", "0.02", "--validation-split", "0.02"),
                *("--run-dir", asked.folder / "run"),
            ],
            check=True,
            stdout=sys.stderr,
        )
        seconds = time.perf_counter() - start
        cached = sum(p.stat().st_size for p in asked.folder.glob("cache/images/*.npy"))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(
            json.dumps(
                {
                    "n_images": asked.images,
                    "decoded_gb": round(cached / 1e9, 2),
                    "peak_resident_gb": round(peak * 1024 / 1e9, 2),
                    "seconds": round(seconds),
                }
            )
        )
    finally:
        shutil.rmtree(asked.folder)


def make_images(folder: Path, count: int) -> None:
    """Write images of random pixels, darker ones in one class than in the other."""
    random = np.random.default_rng(0)
    for label in ("dark", "light"):
        (folder / label).mkdir(parents=True)
    for i in range(count):
        pixels = random.integers(0, 200, (SIDE, SIDE, 3), dtype=np.uint8)
        label = "light" if i % 2 else "dark"
        Image.fromarray((pixels + 55 * (i % 2)).astype(np.uint8)).save(
            folder / label / f"{i}.png", compress_level=1
        )


if __name__ == "__main__":
    main()
