"""Runs with several seeds ↔ what a folder of runs records of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apparel.core.errors import ModelFileError
from apparel.core.records import SeedsResult
from apparel.runs.files.evaluation import METRICS_FILE


def seeds(result: SeedsResult) -> dict[str, Any]:
    """What is recorded."""
    return {
        "seeds": list(result.seeds),
        "n_images": result.n_images,
        "measures": {
            name: {
                **asdict(spread.mean),
                "deviation": spread.deviation,
                "values": list(spread.values),
            }
            for name, spread in result.metrics.items()
        },
    }


def read_measures(folders: Sequence[Path]) -> tuple[int, dict[str, list[float]]]:
    """Read what each of several runs measured on the test images.

    Args:
        folders: the run directories.

    Returns:
        How many test images there are, and of each measure that all runs have, one value a run.

    Raises:
        ModelFileError: a run is not finished, or its figures are broken.
    """
    read = []
    for folder in folders:
        path = folder / METRICS_FILE
        try:
            read.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ModelFileError(
                f"{path} cannot be read ({error}). Run it once more with this seed."
            ) from error
    names = [
        name
        for name, value in read[0].items()
        if isinstance(value, dict) and all("value" in each.get(name, {}) for each in read)
    ]
    return read[0]["n"], {name: [each[name]["value"] for each in read] for name in names}
