"""The same labelled images in every form that a source may have."""

import csv
import gzip
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def parts(arrays):
    """Name, name in IDX files, images and labels of each split of ((x, y), (x, y))."""
    return [(*names, *part) for names, part in zip(NAMES, arrays, strict=True)]


NAMES = (("train", "train"), ("test", "t10k"))


def as_idx(arrays, folder):
    for _, name, images, labels in parts(arrays):
        header = struct.pack(">4I", 0x803, *images.shape)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        content = struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    return folder


def as_folder(arrays, folder):
    for split, _, images, labels in parts(arrays):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / str(label) / f"{i * 7919 % 10007}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder


def as_kaggle(arrays, folder):
    for split, _, images, labels in parts(arrays):
        with (folder / f"mnist_{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["label", *(f"pixel{i}" for i in range(1, images[0].size + 1))])
            for image, label in zip(images, labels, strict=True):
                writer.writerow([label, *image.reshape(-1)])
    return folder


def as_npz(arrays, folder):
    members = {}
    for split, _, images, labels in parts(arrays):
        members |= {f"x_{split}": images, f"y_{split}": labels}
    np.savez_compressed(folder / "set.npz", **members)
    return folder / "set.npz"


def as_paths(arrays, folder):
    as_folder(arrays, folder / "pictures")
    with (folder / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for path in sorted(folder.glob("pictures/*/*/*.png")):
            writer.writerow([path.relative_to(folder), path.parent.name, path.parents[1].name])
    return folder / "set.csv"


def as_parquet(arrays, folder):
    """In the layout of Hugging Face's datasets, names in the metadata."""
    features = {
        "image": {"_type": "Image"},
        "label": {"names": [str(k) for k in range(10)], "_type": "ClassLabel"},
    }
    (folder / "data").mkdir()
    for split, _, images, labels in parts(arrays):
        encoded = []
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / "one.png")
            encoded.append({"bytes": (folder / "one.png").read_bytes(), "path": f"{i}.png"})
        table = pa.table({"image": encoded, "label": labels}).replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
        name = f"{split}-00000-of-00001.parquet"
        pq.write_table(table, folder / "data" / name, row_group_size=64)
    return folder


FORMS = [as_idx, as_folder, as_kaggle, as_npz, as_paths, as_parquet]
