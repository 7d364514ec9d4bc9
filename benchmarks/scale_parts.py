"""What a part of a job costs besides its images: what a cluster of many workers would wait for.

    python -m benchmarks.scale_parts MODEL

Classifies small image files on two workers of this machine, with one file a part instead of 4,096,
so that next to all of the time goes into planning, Ray Data and the files of each part. Prints a
line of JSON, and keeps it in benchmarks/results/.
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from apparel.data.inputs import shards
from apparel.scale.cluster import HERE, connected
from apparel.scale.predict import predict_at_scale
from benchmarks.record import FOLDER, measure, save


def main() -> None:
    """Measure it."""
    parser = argparse.ArgumentParser(description="Time parts of one image.")
    parser.add_argument("model", type=Path, help="an .onnx file, or a run directory")
    parser.add_argument("--parts", type=int, default=3000)
    asked = parser.parse_args()
    shards.FILES = 1
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary, connected(HERE):
        folder = Path(temporary, "images")
        folder.mkdir()
        for k in range(asked.parts):
            pixels = draw.integers(0, 256, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{k:06d}.png")
        output = Path(temporary, "answers.parquet")
        begin = time.perf_counter()
        predict_at_scale(asked.model, [str(folder)], address=HERE, output=str(output), exact=True)
        seconds = time.perf_counter() - begin
        parts = sorted(output.glob("part-*"), key=lambda path: path.stat().st_mtime_ns)
        between = parts[-1].stat().st_mtime - parts[len(parts) // 10].stat().st_mtime
    found = {
        "machine": measure("machine"),
        "command": " ".join(["python -m benchmarks.scale_parts", *sys.argv[1:]]),
        "parts": asked.parts,
        "seconds": round(seconds, 2),
        "parts_per_s": round(0.9 * len(parts) / between, 1),
    }
    save(FOLDER / "results" / f"scale-parts-{datetime.now(UTC):%Y-%m-%d}.json", found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
