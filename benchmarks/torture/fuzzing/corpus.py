"""Tiny honest files of every kind that is read, made by code."""

import csv
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# The names of files → what is in them.
Files = Mapping[str, bytes]

SIDE = 4
N_IMAGES = 12


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Images of noise."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def labels(n: int = N_IMAGES) -> NDArray[np.uint8]:
    """The labels of two classes in turn."""
    return (np.arange(n) % 2).astype(np.uint8)


def idx() -> Files:
    """Images and labels, plain and compressed, one with a name in its header."""
    images = noise(N_IMAGES, SIDE, SIDE)
    files = {}
    for name, array in (("train-images-idx3", images), ("train-labels-idx1", labels())):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        files[f"{name}-ubyte"] = header + array.tobytes()
        files[f"{name}-ubyte.gz"] = gzip.compress(header + array.tobytes(), mtime=0)
    named = io.BytesIO()
    with gzip.GzipFile("a name", "wb", fileobj=named, mtime=1) as file:
        file.write(files["train-images-idx3-ubyte"])
    return files | {"train-images-idx3-ubyte.gz": named.getvalue()}


def npz() -> Files:
    """Arrays of several types, stored and compressed."""
    images, classes = noise(N_IMAGES, SIDE, SIDE), labels()
    plain = {"x_train": images, "y_train": classes, "x_test": images[:4], "y_test": classes[:4]}
    other = {
        "x_train": np.asfortranarray(images / 255, np.float32),
        "y_train": np.array(["a", "b"])[classes],
        "x_test": images[:4] / 255,
        "y_test": np.array(["a", "b"])[classes[:4]][:, None],
    }
    colour = plain | {"x_train": noise(N_IMAGES, 3, 3, 3), "x_test": noise(4, 3, 3, 3)}
    return {
        "stored.npz": _saved(plain, zipfile.ZIP_STORED),
        "packed.npz": _saved(other, zipfile.ZIP_DEFLATED),
        "colour.npz": _saved(colour, zipfile.ZIP_DEFLATED),
    }


def _saved(arrays: Mapping[str, NDArray[np.generic]], compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, array in arrays.items():
            held = io.BytesIO()
            np.save(held, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), held.getvalue())
    return file.getvalue()


def pictures() -> Files:
    """Images in files, for tables that list them."""
    images = noise(N_IMAGES, SIDE, SIDE)
    return {f"{k}.png": encoded(image, "PNG") for k, image in enumerate(images)}


def csv_tables() -> Files:
    """A table of pixels, grey and coloured, and two of paths."""
    grey, colour = noise(N_IMAGES, 2, 2, 1), noise(N_IMAGES, 1, 1, 3)
    listed = [("path", "label", "split")]
    listed += [(f"{k}.png", "ab"[k // 2 % 2], ("train", "test")[k % 2]) for k in range(N_IMAGES)]
    plain = [("label", "path", "note"), *(("ab"[k % 2], f"{k}.png", "x,\ny") for k in range(9))]
    return {
        "grey.csv": _rows([("label", *(f"pixel{k}" for k in range(4))), *_pixels(grey)]),
        "colour.csv": b"\xef\xbb\xbf" + _rows([("label", "1x1", "1x2", "1x3"), *_pixels(colour)]),
        "paths.csv": _rows(listed),
        "quoted.csv": _rows(plain),
    }


def _pixels(images: NDArray[np.uint8]) -> list[tuple[object, ...]]:
    names = ("a", "b c")
    return [(names[k % 2], *image.reshape(-1).tolist()) for k, image in enumerate(images)]


def _rows(rows: Sequence[tuple[object, ...]]) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()


def parquet() -> Files:
    """Tables of encoded images, in several layouts and compressions."""
    import pyarrow as pa  # noqa: PLC0415  # an extra
    from pyarrow import parquet as pq  # noqa: PLC0415  # as above

    pngs = [encoded(image, "PNG") for image in noise(N_IMAGES, SIDE, SIDE)]
    numbers = labels().astype(np.int64)
    features = {"label": {"names": ["x", "y"], "_type": "ClassLabel"}}
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    structured = pa.table(
        {"image": [{"bytes": png, "path": None} for png in pngs], "label": numbers}
    ).replace_schema_metadata(described)
    plain = pa.table({"img": pngs, "label": np.array(["a", "b"])[numbers]})
    files = {}
    for name, table, options in (
        ("snappy.parquet", structured, {"compression": "snappy", "row_group_size": 5}),
        ("none.parquet", plain, {"compression": "none", "use_dictionary": False}),
        ("zstd.parquet", plain, {"compression": "zstd", "data_page_version": "2.0"}),
        ("checked.parquet", plain, {"compression": "gzip", "write_page_checksum": True}),
    ):
        file = io.BytesIO()
        pq.write_table(table, file, **options)
        files[name] = file.getvalue()
    return files


def encoded(image: NDArray[np.uint8] | Image.Image, form: str, **options: object) -> bytes:
    """An image file's content."""
    made = image if isinstance(image, Image.Image) else Image.fromarray(np.squeeze(image))
    file = io.BytesIO()
    made.save(file, form, **options)
    return file.getvalue()


def images() -> Files:
    """Images of every format and kind."""
    colour = Image.fromarray(noise(12, 10, 3))
    grey, palette = colour.convert("L"), colour.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [grey.rotate(180)]}
    deep = Image.fromarray(noise(12, 10).astype(np.uint16) * 257)
    return {
        "grey.png": encoded(grey, "PNG"),
        "colour.png": encoded(colour, "PNG", exif=exif, icc_profile=b"x" * 40),
        "palette.png": encoded(palette, "PNG", transparency=bytes([0, 99, 255])),
        "deep.png": encoded(deep, "PNG"),
        "clear.png": encoded(colour.convert("RGBA"), "PNG"),
        "frames.png": encoded(grey, "PNG", **frames),
        "colour.jpg": encoded(colour, "JPEG", exif=exif),
        "progressive.jpg": encoded(colour, "JPEG", progressive=True, comment=b"note"),
        "print.jpg": encoded(colour.convert("CMYK"), "JPEG"),
        "frames.jpg": encoded(colour, "MPO", save_all=True, append_images=[colour]),
        "lossy.webp": encoded(colour, "WEBP", exif=exif),
        "lossless.webp": encoded(colour.convert("RGBA"), "WEBP", lossless=True),
        "frames.webp": encoded(grey, "WEBP", **frames),
        "palette.gif": encoded(palette, "GIF", transparency=0, comment=b"note"),
        "frames.gif": encoded(grey, "GIF", **frames),
        "colour.bmp": encoded(colour, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "runs.bmp": _runs(),
        "plain.tiff": encoded(colour, "TIFF"),
        "lzw.tiff": encoded(colour, "TIFF", compression="tiff_lzw"),
        "deflate.tiff": encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tiff": encoded(colour, "TIFF", compression="jpeg"),
        "fax.tiff": encoded(colour.convert("1"), "TIFF", compression="group4"),
        "premultiplied.tiff": encoded(colour.convert("RGBA"), "TIFF"),
        "tiled.tiff": _tiled(),
    }


def _tiled() -> bytes:
    """A TIFF file of tiles, which Pillow reads but does not write."""
    pixels = zlib.compress(noise(16, 16).tobytes())
    tags = [(256, 12), (257, 10), (258, 8), (259, 8), (262, 1), (277, 1), (322, 16), (323, 16)]
    tags += [(324, 8 + 2 + 12 * 10 + 4), (325, len(pixels))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def _runs() -> bytes:
    """A BMP file of runs of pixels, which Pillow reads but does not write."""
    plain = bytearray(encoded(Image.fromarray(noise(6, 8)), "BMP"))
    begins = int.from_bytes(plain[10:14], "little")
    body = b"".join(bytes((8, row)) + b"\0\0" for row in range(5)) + b"\0\4abcd\4\1" + b"\0\1"
    plain[30:34] = (1).to_bytes(4, "little")
    plain[34:38] = len(body).to_bytes(4, "little")
    return bytes(plain[:begins]) + body


def names() -> Files:
    """What people name as the images to predict, one a line."""
    lists = (["0.png", "1.png"], ["."], ["*.png", "[12].png", "?.png"], ["**"], [".", "**"])
    return {f"{k}.txt": "\n".join(some).encode() for k, some in enumerate(lists)}
