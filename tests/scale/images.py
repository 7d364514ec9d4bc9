"""A model, and tables of images for it, some of them broken."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
from PIL import Image

from apparel.cli.predict import predict_files
from tests.made_model import MadeModel

SHAPE = (8, 9, 1)
BROKEN = {5, 43}


def made_model(folder):
    """The path of a model that takes them."""
    return MadeModel(folder / "m.onnx", SHAPE, novelty_threshold=1.0).path


def encoded(n):
    """PNG files of random pixels, some of them broken."""
    draw = np.random.default_rng(0)
    found = []
    for k in range(n):
        content = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, SHAPE[:2], dtype=np.uint8)).save(content, "png")
        found.append(b"broken" if k in BROKEN else content.getvalue())
    return found


def write_table(path, images, group_rows):
    """Write a Parquet file of images, in groups of rows."""
    pq.write_table(pa.table({"image": images}), path, row_group_size=group_rows)
    return path


def rows_of(place):
    """All rows of a data set, in order."""
    return pa.dataset.dataset(str(place), format="parquet").to_table().to_pylist()


def plain_rows(model, sources, folder):
    """The rows that the plain command gives."""
    predict_files(model, list(map(str, sources)), output=folder / "plain.parquet")
    return rows_of(folder / "plain.parquet")
