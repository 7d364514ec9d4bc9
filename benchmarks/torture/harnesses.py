"""What is fuzzed: how each kind of file is read, honest files to begin with, and words in them.

A harness takes the content of a file and a folder to work in. It reads the file as the program
does, and raises anything but a refusal only where the program is wrong.
"""

import csv
import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core.errors import DataError, ModelFileError
from apparel.data import decode, fashion_photo, loading
from apparel.data.assembly import assemble
from apparel.data.decode.tasks import Task, read_task
from apparel.data.image_files import decode_files
from apparel.data.inputs.finding import FoundImage, find_sources
from apparel.data.inputs.shards import row_shards
from apparel.data.parquet.reader import ParquetReader
from apparel.data.sources.idx import read_idx
from apparel.predict.predictor import Predictor
from apparel.predict.reading import read_batches

N_IMAGES, SIDE = 12, 4
LABELS = np.arange(N_IMAGES, dtype=np.uint8) % 2
LONGEST_MESSAGE = 4_000
PNG = b"\x89PNG\r\n\x1a\n"


class Harness(NamedTuple):
    """How a kind of file is fuzzed.

    Attributes:
        read: reads a file, given its content and a folder to work in.
        seeds: makes honest files.
        words: what files of the kind are made of.
    """

    read: Callable[[bytes, Path], None]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes] = ()

    def run(self, content: bytes, folder: Path) -> bool:
        """Read a file; whether it was read and not refused.

        Raises:
            AssertionError: the refusal cannot be shown on a line.
            Exception: the reader fails.
        """
        try:
            self.read(content, folder)
        except (DataError, ModelFileError) as error:
            message = str(error)
            if not message.isprintable() or len(message) > LONGEST_MESSAGE:
                raise AssertionError(f"{len(message):,} letters: {ascii(message)[:300]}") from error
            return False
        return True


def noise(*shape: int) -> NDArray[np.uint8]:
    """Images of noise."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The content of an image file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@cache
def pictures() -> list[bytes]:
    """Honest images."""
    return [encoded(Image.fromarray(image), "PNG") for image in noise(N_IMAGES, SIDE, SIDE)]


def put(folder: Path, name: str, content: bytes) -> Path:
    """Write a file, beside the honest images."""
    for k, picture in enumerate(pictures()):
        if not (folder / f"{k}.png").exists():
            (folder / f"{k}.png").write_bytes(picture)
    (folder / name).write_bytes(content)
    return folder / name


# -- data sets -----------------------------------------------------------------------------


def idx_files() -> list[bytes]:
    """Images and labels, plain and compressed."""
    arrays = noise(N_IMAGES, SIDE, SIDE), LABELS
    plain = [bytes([0, 0, 8, a.ndim]) + np.array(a.shape, ">u4").tobytes() + a.tobytes()
             for a in arrays]  # fmt: skip
    return [*plain, *(gzip.compress(content, mtime=0) for content in plain)]


def read_idx_files(content: bytes, folder: Path) -> None:
    """Images or, where they are short, labels, beside honest ones of the other kind."""
    images, labels, *_ = idx_files()
    files = {"images": images, "labels": labels}
    kind = "labels" if len(content) < len(images) // 2 else "images"
    place = put(folder, "a.gz" if content[:2] == b"\x1f\x8b" else "a", content)
    paths = {k: place if k == kind else put(folder, k, files[k]) for k in files}
    found = read_idx(folder, {("train", k): path for k, path in paths.items()})
    assemble(found, source="idx", test_split=0.2, split_seed=0)


def npy(array: NDArray[Any]) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def npz(x_train: bytes) -> bytes:
    """A data set with an array of training images, given as a .npy file."""
    images = noise(N_IMAGES, SIDE, SIDE)
    members = {"y_train": npy(LABELS), "x_test": npy(images[:4]), "y_test": npy(LABELS[:4])}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"x_train": x_train, **members}.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npz_files() -> list[bytes]:
    """An archive, and arrays to go into one."""
    images = noise(N_IMAGES, SIDE, SIDE)
    odd = np.asfortranarray(images / 255, np.float32)
    return [npz(npy(images)), npy(images), npy(odd), npy(images / 255)]


def read_npz(content: bytes, folder: Path) -> None:
    """An archive, or else its array of training images."""
    loading.load(put(folder, "a.npz", content if content[:2] == b"PK" else npz(content)))


def tables() -> list[bytes]:
    """Tables of pixels, grey and coloured, and of paths."""
    grey, colour = noise(N_IMAGES, 4), noise(N_IMAGES, 3)
    rows = {
        ("label", *(f"pixel{k}" for k in range(4))): [("ab"[k % 2], *grey[k]) for k in range(12)],
        ("label", "1x1", "1x2", "1x3"): [("ab"[k % 2], *colour[k]) for k in range(12)],
        ("path", "label", "split"): [(f"{k}.png", "ab"[k // 2 % 2], ("train", "test")[k % 2])
                                     for k in range(12)],
    }  # fmt: skip
    files = [io.StringIO() for _ in rows]
    for file, (header, some) in zip(files, rows.items(), strict=True):
        csv.writer(file, lineterminator="\n").writerows([header, *some])
    return [file.getvalue().encode() for file in files]


def read_table(content: bytes, folder: Path) -> None:
    """A table beside the images that it may list."""
    loading.load(put(folder, "a.csv", content))


def parquet_files() -> list[bytes]:
    """Tables of encoded images."""
    import pyarrow as pa  # noqa: PLC0415  # an extra
    from pyarrow import parquet as pq  # noqa: PLC0415  # as above

    names = np.array(["a", "b"])[LABELS]
    structured = pa.table({"image": [{"bytes": png, "path": None} for png in pictures()],
                           "label": LABELS.astype(np.int64)})  # fmt: skip
    plain = pa.table({"img": pictures(), "label": names})
    files = []
    for table, options in (
        (structured, {"compression": "snappy", "row_group_size": 5}),
        (plain, {"compression": "none", "use_dictionary": False}),
        (plain, {"compression": "zstd", "data_page_version": "2.0"}),
    ):
        file = io.BytesIO()
        pq.write_table(table, file, **options)
        files.append(file.getvalue())
    return files


def read_parquet(content: bytes, folder: Path) -> None:
    """A table, as the subprocess reads it."""
    path, reader = put(folder, "a.parquet", content), ParquetReader()
    try:
        list(reader.labels(path))
        for shard in list(row_shards(str(path), reader.footer(str(path))))[:50]:
            list(reader.images(shard))
    except MemoryError as error:
        raise DataError("more memory than such a file needs. Write it again.") from error


# -- images --------------------------------------------------------------------------------


def image_files() -> list[bytes]:
    """Images of every format and kind."""
    colour = Image.fromarray(noise(12, 10, 3))
    grey, palette, exif = colour.convert("L"), colour.quantize(16), Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(noise(12, 10).astype(np.uint16) * 257)
    more = {"save_all": True, "append_images": [grey.rotate(180)]}
    return [
        encoded(grey, "PNG"), encoded(colour, "PNG", exif=exif), encoded(deep, "PNG"),
        encoded(palette, "PNG", transparency=bytes([0, 99, 255])), encoded(grey, "PNG", **more),
        encoded(colour, "JPEG", exif=exif), encoded(colour, "JPEG", progressive=True),
        encoded(colour.convert("CMYK"), "JPEG"), encoded(colour, "WEBP", exif=exif),
        encoded(colour.convert("RGBA"), "WEBP", lossless=True), encoded(grey, "WEBP", **more),
        encoded(palette, "GIF", transparency=0), encoded(grey, "GIF", **more),
        encoded(colour, "BMP"), encoded(palette, "BMP"), encoded(colour, "TIFF"),
        encoded(colour, "TIFF", compression="tiff_lzw"), encoded(deep, "TIFF"),
        encoded(colour.convert("1"), "TIFF", compression="group4"),
        encoded(colour, "TIFF", compression="jpeg"),
    ]  # fmt: skip


def with_checksums(png: bytes) -> bytes:
    """A PNG file whose chunks have the checksums that they need, so that they are looked into."""
    fixed, at = png[:8], 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4], "big")
        fixed += png[at:end] + zlib.crc32(png[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return fixed + png[at:]


def read_image(content: bytes, folder: Path) -> None:
    """An image, in all the ways in which images are read."""
    content = with_checksums(content) if content.startswith(PNG) else content
    path = put(folder, "a.png", content)
    sides = decode.image_size(content)
    pixels = decode.read(path, (28, 28, 1))
    decode.decode_within(content, 64)
    fashion_photo.read(content, name="a")
    chunk = read_task(Task([0], [str(path)], ["a"], "alike"))
    if pixels.shape != (28, 28, 1) or min(sides) < 1 or chunk.problems:
        raise AssertionError(f"read as {pixels.shape}, {sides} and {chunk.problems}")


def read_names(content: bytes, folder: Path) -> None:
    """Names and patterns of images, one a line, in a folder of its own."""
    put(folder, "names", b"")
    lines = content.replace(b"..", b".").split(b"\n")[:20]
    sources = find_sources([os.fsdecode(os.fsencode(folder) + b"/" + line) for line in lines])
    found = [image[:2] for image in sources if isinstance(image, FoundImage)]
    for batch in read_batches([found[:50]], (28, 28, 1), 8, as_photo=len(found) % 2 == 0):
        if any(image.pixels is None and not image.problem for image in batch):
            raise AssertionError("neither read nor refused")


# -- the cache of decoded images -----------------------------------------------------------


def decoded(folder: Path) -> NDArray[np.uint8]:
    """Read the honest images by way of the cache."""
    paths = [folder / f"{k}.png" for k in range(N_IMAGES)]
    for path in paths:
        os.utime(path, ns=(0, 0))  # by which files are known again
    return decode_files(paths, root=folder, image_size=None, cache=folder / "cache").pixels


@cache
def cache_files() -> dict[str, bytes]:
    """The files of an honest cache: a listing, and pixels."""
    import tempfile  # noqa: PLC0415  # once

    with tempfile.TemporaryDirectory() as name:
        put(Path(name), "0.png", pictures()[0])
        decoded(Path(name))
        found = [path for path in sorted(Path(name, "cache").rglob("*")) if path.is_file()]
        return {str(path.relative_to(name)): path.read_bytes() for path in found}


def read_cache(content: bytes, folder: Path) -> None:
    """A damaged file of the cache: other pixels must never come of it."""
    put(folder, "0.png", pictures()[0])
    damaged = next(
        name for name in cache_files() if name.endswith(".npy") == (content[:1] == b"\x93")
    )
    for name, honest in cache_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content if name == damaged else honest)
    for _ in range(2):
        if not np.array_equal(decoded(folder)[..., 0], noise(N_IMAGES, SIDE, SIDE)):
            raise AssertionError("other pixels came out of the cache")


# -- models --------------------------------------------------------------------------------


def models() -> list[bytes]:
    """Tiny models with the operators that may occur."""
    from tests.made_model import EVERY_OPERATOR, with_operator  # noqa: PLC0415  # loads onnx

    return [with_operator(*case).SerializeToString() for case in EVERY_OPERATOR]


def read_model(content: bytes, folder: Path) -> None:
    """A model, which answers images when it is opened."""
    Predictor(put(folder, "m.onnx", content), exact=True)


HARNESSES = {
    "idx": Harness(read_idx_files, idx_files),
    "npz": Harness(
        read_npz,
        npz_files,
        [b"'<f8'", b"'|O'", b"'<U9999'", b"True", b"False", b"'descr'", b"'shape'", b"(12, 4, 4)",
         b"(10**9,)", b"-1", b"'fortran_order'", b"lambda: 0", b"," * 50],
    ),
    "csv": Harness(
        read_table,
        tables,
        [b"label", b"path", b"split", b"digest", b"train", b"TEST", b"../0.png", b"/dev/zero",
         b"nan", b"1e300", b"256", b'"', b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1b[2J", b"1x1"],
    ),
    "parquet": Harness(read_parquet, parquet_files),
    "image": Harness(read_image, image_files),
    "names": Harness(
        read_names,
        lambda: [b"0.png\n1.png", b".", b"*.png\n[12].png\n?.png", b"**", b".\n**"],
        [b"[!a-", b"**/", b"~", b"\0", b"\xff", b"-", b"0.png"],
    ),
    "cache": Harness(read_cache, lambda: list(cache_files().values())),
    "onnx": Harness(read_model, models),
}  # fmt: skip
