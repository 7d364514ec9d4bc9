"""What a shard of a job costs besides its images: what a cluster of many workers would wait for.

    python -m benchmarks.scale_shards MODEL

Classifies small image files on two workers of this machine, with one file a shard instead of 4,096,
so that next to all of the time goes into planning, Ray's tasks and the files of each shard.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from apparel.data.inputs import shards
from apparel.scale.cluster import HERE
from apparel.scale.predict import predict_at_scale
from benchmarks.record import keep


def main() -> None:
    """Measure it."""
    parser = argparse.ArgumentParser(description="Time shards of one image.")
    parser.add_argument("model", type=Path, help="an .onnx file, or a run directory")
    parser.add_argument("--shards", type=int, default=3000)
    asked = parser.parse_args()
    shards.FILES = 1
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder, output = Path(temporary, "images"), Path(temporary, "answers.parquet")
        folder.mkdir()
        for k in range(asked.shards):
            pixels = draw.integers(0, 256, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{k:06d}.png")
        begin = time.perf_counter()
        predict_at_scale(asked.model, [str(folder)], address=HERE, output=str(output), exact=True)
        seconds = time.perf_counter() - begin
        ends = sorted(path.stat().st_mtime for path in output.glob("part-*"))
    found = {
        "shards": asked.shards,
        "seconds": round(seconds, 2),
        "shards_per_s": round(0.9 * len(ends) / (ends[-1] - ends[len(ends) // 10]), 1),
    }
    keep("scale-shards", found)


if __name__ == "__main__":
    main()
