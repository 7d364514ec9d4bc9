"""What is fuzzed: how a file of each kind is read, and what may come of it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from apparel.core.errors import ApparelError, DataError, ModelFileError
from apparel.data import decode, fashion_photo, loading
from apparel.data.assembly import assemble
from apparel.data.decode.tasks import Task, read_task
from apparel.data.image_files import decode_files
from apparel.data.inputs import shards
from apparel.data.inputs.shards import row_shards
from apparel.data.parquet.reader import ParquetReader
from apparel.data.sources.idx import find_idx, read_idx
from apparel.predict import reading
from benchmarks.torture.fuzzing import corpus, mutators, structured
from benchmarks.torture.fuzzing.mutators import BLIND, Mutator

# Beside the mutant: honest files that it is read with, the cache of decoded images, and what is
# written for a moment.
CACHE = "cache"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of file.

    Attributes:
        name: of the kind.
        modules: whose lines are counted.
        seeds: makes honest files.
        mutators: what is done to them, beside what is done to any file.
        read: reads a mutant.
        refusal: the error that may come of it.
        beside: makes honest files that lie beside the mutant.
        share: of all mutants, against other kinds.
    """

    name: str
    modules: Sequence[str]
    seeds: Callable[[], corpus.Files]
    read: Callable[[Path], None]
    refusal: type[ApparelError] = DataError
    mutators: Sequence[Mutator] = ()
    beside: Callable[[], corpus.Files] = field(default=dict)
    share: float = 1

    def all_mutators(self) -> Sequence[Mutator]:
        """Those of the kind as often as those of any file."""
        times = max(len(BLIND) // max(len(self.mutators), 1), 1)
        return (*BLIND, *(mutator for mutator in self.mutators for _ in range(times)))


def _idx(path: Path) -> None:
    folder = path.parent
    find_idx(folder)
    files = {
        "images": folder / "train-images-idx3-ubyte",
        "labels": folder / "train-labels-idx1-ubyte",
    }
    files["images" if "images" in path.name else "labels"] = path
    found = read_idx(
        folder, {("train", "images"): files["images"], ("train", "labels"): files["labels"]}
    )
    assemble(found, source=str(path.parent), test_split=0.2, seed=0)


def _load(path: Path) -> None:
    os.environ["APPAREL_CACHE"] = str(path.parent / CACHE)
    loading.load(path)


def _parquet(path: Path) -> None:
    reader = ParquetReader()
    list(reader.labels(path))
    for shard in list(row_shards(str(path), reader.footer(str(path))))[:50]:
        list(reader.images(shard))


def _image(path: Path) -> None:
    content = path.read_bytes()
    height, width = decode.image_size(content)
    pixels = decode.read(path, (28, 28, 1))
    decode.decode_within(content, 64)
    fashion_photo.read(content, name="mutant")
    chunk = read_task(Task([0], [str(path)], ["mutant"], "alike"))
    if pixels.shape != (28, 28, 1) or min(height, width) < 1 or chunk.problems:
        raise AssertionError(f"read as {pixels.shape}, {height} x {width} and {chunk.problems}")


def _onnx(path: Path) -> None:
    from apparel.predict.predictor import load  # noqa: PLC0415  # ONNX Runtime, for this target alone

    predictor = load(path, exact=True)
    images = np.zeros((1, *predictor.img_shape), np.uint8)
    rows = predictor.predict_proba(images)
    if rows.shape != (1, len(predictor.class_names)):
        raise AssertionError(f"answered with shape {rows.shape}")


def _models() -> corpus.Files:
    from benchmarks.torture.fuzzing.models import onnx  # noqa: PLC0415  # loads onnx, as above

    return onnx()


def _names(path: Path) -> None:
    folder = path.parent
    lines = path.read_bytes().replace(b"..", b".").split(b"\n")[:20]
    found = shards.find_images([os.fsdecode(os.fsencode(folder) + b"/" + k) for k in lines])
    some = found[:50]
    for batch in reading.read_batches([some], (28, 28, 1), 32, as_photo=len(found) % 2 == 0):
        if any(image.pixels is None and not image.problem for image in batch):
            raise AssertionError("neither read nor refused")


def _cached(path: Path) -> None:
    """A damaged file of the cache of decoded images: other pixels must never come of it."""
    folder = path.parent
    cache = folder / CACHE
    place = cache / ("images" if path.suffix == ".npy" else "listings") / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    for name, content in _cache_files().items():
        kind = "images" if name.endswith(".npy") else "listings"
        (cache / kind).mkdir(exist_ok=True)
        (cache / kind / name).unlink(missing_ok=True)
        (cache / kind / name).write_bytes(content)
    place.unlink(missing_ok=True)
    place.write_bytes(path.read_bytes())
    found = _decode_pictures(folder, cache)
    expected = corpus.noise(corpus.N_IMAGES, corpus.SIDE, corpus.SIDE)
    if not np.array_equal(found[..., 0], expected):
        raise AssertionError("other pixels came out of the cache")
    healed = (cache / place.parent.name).iterdir()
    if {p.name: p.read_bytes() for p in healed}.get(path.name) != _cache_files()[path.name]:
        same = path.suffix == ".json"  # may be written in another way, with the same meaning
        if not same or not np.array_equal(_decode_pictures(folder, cache)[..., 0], expected):
            raise AssertionError("the cache is still damaged")


def _decode_pictures(folder: Path, cache: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    paths = [folder / f"{k}.png" for k in range(corpus.N_IMAGES)]
    for path in paths:
        os.utime(path, ns=(0, 0))  # by which files are known again
        path.chmod(0o644)
    return decode_files(paths, root=folder, image_size=None, cache=cache).pixels


_CACHE_FILES: dict[str, bytes] = {}


def _cache_files() -> corpus.Files:
    """The files of an honest cache of the pictures."""
    if not _CACHE_FILES:
        import tempfile  # noqa: PLC0415  # once

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for picture, content in corpus.pictures().items():
                (folder / picture).write_bytes(content)
            _decode_pictures(folder, folder / CACHE)
            for path in (folder / CACHE).rglob("*.*"):
                _CACHE_FILES[path.name] = path.read_bytes()
    return _CACHE_FILES


CELLS = (
    *(b"", b" ", b"0", b"-1", b"256", b"255", b"nan", b"1e300", b"9" * 400, b"a" * 5000, b'"'),
    *(b'""', b'"a\nb"', b"\0", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1b[2J", b"#"),
    *(b"label", b"path", b"split", b"digest", b"train", b"TEST", b"../0.png", b"/dev/zero"),
    *(b"/etc/passwd", b".", b"0.png", b"\r", b"\n", b",", b"\xf0\x9f\x91\x97", b"1x1", b"pixel1"),
)
HEADERS = (
    *(b"'<f8'", b"'|O'", b"'<U9999'", b"'|V8'", b"True", b"False", b"(", b")", b"{", b"}", b"["),
    *(b"'fortran_order'", b"'descr'", b"'shape'", b"(12, 4, 4)", b"(10**9,)", b"-1", b"9" * 30),
    *(b"\\x00", b"\\u1234", b"'", b'"', b"lambda: 0", b"," * 50, b"(" * 300, b"0j", b"1.5"),
)
PATTERNS = (
    b"*",
    b"?",
    b"[",
    b"]",
    b"[!a-",
    b"**",
    b"**/",
    b"~",
    b"\0",
    b"\xff",
    b"-",
    b"/",
    b"0.png",
)

TARGETS: tuple[Target, ...] = (
    Target(
        name="idx",
        modules=("apparel.data.sources.idx", "apparel.data.assembly"),
        seeds=corpus.idx,
        beside=corpus.idx,
        read=_idx,
        mutators=(structured.inside_gzip(),),
    ),
    Target(
        name="npz",
        modules=("apparel.data.sources.npz", "apparel.data.arrays"),
        seeds=corpus.npz,
        read=_load,
        mutators=(
            structured.inside_zip(
                (*BLIND, mutators.insert_text(HEADERS), structured.written_number)
            ),
        ),
    ),
    Target(
        name="csv",
        modules=("apparel.data.sources.table", "apparel.data.image_files"),
        seeds=corpus.csv_tables,
        beside=corpus.pictures,
        read=_load,
        mutators=(structured.cells(CELLS), mutators.insert_text(CELLS)),
    ),
    Target(
        name="parquet",
        modules=("apparel.data.parquet.reader",),
        seeds=corpus.parquet,
        read=_parquet,
    ),
    Target(
        name="image",
        modules=(
            "apparel.data.decode",
            "apparel.data.decode.cost",
            "apparel.data.decode.opening",
            "apparel.data.decode.image",
            "apparel.data.decode.tasks",
            "apparel.data.fashion_photo",
        ),
        seeds=corpus.images,
        read=_image,
        mutators=(structured.png_chunk,),
        share=2,
    ),
    Target(
        name="onnx",
        modules=("apparel.predict.onnx_check.*",),
        seeds=_models,
        read=_onnx,
        refusal=ModelFileError,
        mutators=(structured.protobuf_field,),
        share=2,
    ),
    Target(
        name="names",
        modules=("apparel.data.inputs.shards", "apparel.predict.reading"),
        seeds=corpus.names,
        beside=corpus.pictures,
        read=_names,
        mutators=(mutators.insert_text(PATTERNS),),
        share=0.5,
    ),
    Target(
        name="cache",
        modules=("apparel.data.pixel_cache", "apparel.data.image_files"),
        seeds=_cache_files,
        beside=corpus.pictures,
        read=_cached,
        share=0.5,
    ),
)


def by_name(name: str) -> Target:
    """Find a target."""
    return next(target for target in (*TARGETS, PYTHON) if target.name == name)


def _python(path: Path) -> None:
    """Do what a test of the fuzzer asks for."""
    exec(path.read_text(encoding="utf-8"), {})  # noqa: S102  # a reader that does harm


# Not among the targets: by it the fuzzer itself is tested.
PYTHON = Target(name="python", modules=(), seeds=lambda: {"a.py": b"pass"}, read=_python)
