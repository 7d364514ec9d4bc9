"""Parquet files of encoded images for tests."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.made_images import encoded

GREYS = list(range(0, 240, 20))
PICTURES = [encoded(np.full((4, 5), grey, np.uint8), "PNG") for grey in GREYS]


def written(path: Path, columns: dict, names: list[str] | None = None, **options) -> Path:
    """Write a table, with the class names that Hugging Face's `datasets` writes."""
    table = pa.table(columns)
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    pq.write_table(table, path, **({"row_group_size": 5} | options))
    return path


def rows(path, n, group_rows, *, column="image", wrap=True, of="0"):
    """Write a file whose image k is `<of> k`, and give its images."""
    images = [f"{of} {k}".encode() for k in range(n)]
    values = [{"bytes": image, "path": "p"} for image in images] if wrap else images
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": [0] * n, column: values}), path, row_group_size=group_rows)
    return images
