"""The same labelled images in every form that a source may have."""

import csv
import gzip
import struct

import numpy as np
from PIL import Image

from tests.data.made_images import encoded
from tests.data.made_parquet import written


def parts(arrays):
    """Name, name in IDX files, images and labels of each split of ((x, y), (x, y))."""
    return [(*names, *part) for names, part in zip(NAMES, arrays, strict=True)]


NAMES = (("train", "train"), ("test", "t10k"))


def idx(array):
    """An array in IDX, by its definition: 0, 0, type 8, dimensions, sizes, content."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def as_idx(arrays, folder):
    for _, name, images, labels in parts(arrays):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
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
    (folder / "data").mkdir()
    for split, _, images, labels in parts(arrays):
        files = [{"bytes": encoded(image, "PNG"), "path": "x.png"} for image in images]
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        written(path, {"image": files, "label": labels}, [str(k) for k in range(10)])
    return folder


FORMS = [as_idx, as_folder, as_kaggle, as_npz, as_paths, as_parquet]
