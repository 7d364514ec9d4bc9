"""Time the reading of a folder of many small image files, for the first and the second time.

    python -m benchmarks.read_folder

Writes Fashion-MNIST (or noise, where it cannot be had) as PNG files into a temporary folder: 70,000
files of 28x28 grey pixels. Times are compared with that of a bare loop over Pillow in as many
processes, which checks nothing and keeps nothing. All files are in the system's cache. Prints a
line of JSON.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core.errors import DataUnavailableError
from apparel.data import loading
from apparel.data.image_files import decode_files

N_IMAGES = 70_000


def pixels_of(path: str) -> NDArray[Any]:
    """Read a file with bare Pillow."""
    return np.asarray(Image.open(path))


def bare_loop(paths: Sequence[str]) -> NDArray[Any]:
    """Read files with all processors."""
    with Pool(os.cpu_count()) as pool:
        return np.stack(pool.map(pixels_of, paths))


def write_images(folder: Path, n_images: int) -> list[str]:
    """Write each image as a file; give their paths."""
    try:
        dataset = loading.load()
        images = np.concatenate([dataset.train_images, dataset.test_images])[:n_images]
    except DataUnavailableError:
        images = np.random.default_rng(0).integers(0, 256, (n_images, 28, 28, 1), dtype=np.uint8)
    paths = []
    for k, image in enumerate(images):
        path = folder / str(k % 10) / f"{k:05}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
        paths.append(str(path))
    return paths


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Call a function; give its result and the seconds that it takes."""
    begin = time.perf_counter()
    result = function()
    return result, time.perf_counter() - begin


def main() -> None:
    """Write, read, read again."""
    parser = argparse.ArgumentParser(description="Time the reading of a folder of images.")
    parser.add_argument("--images", type=int, default=N_IMAGES, help="number of images, for a try")
    n_images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as scratch:
        folder, cache = Path(scratch, "images"), Path(scratch, "cache")
        folder.mkdir()
        paths = write_images(folder, n_images)

        def read() -> NDArray[np.uint8]:
            return decode_files(paths, root=folder, image_size=None, cache=cache).pixels

        expected, bare = timed(lambda: bare_loop(paths))
        first_pixels, first = timed(read)
        second_pixels, second = timed(read)
        for pixels in (first_pixels, second_pixels):
            np.testing.assert_array_equal(pixels[..., 0], expected)
    print(
        json.dumps(
            {
                "n_images": len(paths),
                "n_processors": os.cpu_count(),
                "bare_loop_seconds": round(bare, 2),
                "first_read_seconds": round(first, 2),
                "second_read_seconds": round(second, 2),
                "first_to_bare": round(first / bare, 2),
                "second_to_bare": round(second / bare, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
