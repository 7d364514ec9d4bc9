"""How many photos of clothes a model of Fashion-MNIST names rightly, with and without the steps.

    git clone https://github.com/alexeygrigorev/clothing-dataset-small
    apparel run --model fast --epochs 4 --run-dir fast
    python -m benchmarks.photos --photos clothing-dataset-small/test --model fast/model.onnx

The photos were taken at home, on floors, beds and hangers. Those of the seven kinds that
Fashion-MNIST has as well are used; each counts as right if its kind may be called by the class that
the model names. Prints a line of JSON.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from apparel import Predictor
from apparel.core.records import Prediction
from apparel.evaluation import intervals

# The folder of a kind of clothes, and what it is called in Fashion-MNIST.
NAMES = {
    "dress": {"Dress"},
    "longsleeve": {"Pullover"},
    "outwear": {"Coat"},
    "pants": {"Trouser"},
    "shirt": {"Shirt"},
    "shoes": {"Sandal", "Sneaker", "Ankle boot"},
    "t-shirt": {"T-shirt/top"},
}


def summary(predictions: Sequence[Prediction]) -> dict[str, object]:
    """The share of right answers, and of images that are unlike the training images."""
    right = [p.label in NAMES[Path(p.name).parent.name] for p in predictions]
    return {
        "right": asdict(intervals.share_interval(np.array(right))),
        "unlike": asdict(
            intervals.share_interval(np.array([bool(p.is_unlike) for p in predictions]))
        ),
    }


def main() -> None:
    """Name the photos twice, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of class folders")
    parser.add_argument("--model", type=Path, required=True, help="an exported .onnx file")
    asked = parser.parse_args()
    paths = [path for kind in NAMES for path in sorted((asked.photos / kind).iterdir())]
    predictor = Predictor(asked.model)
    found = {
        "n": len(paths),
        "with_steps": summary(predictor.predict_images(paths)),
        "raw": summary(predictor.predict_images(paths, raw=True)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
