"""Flip bits of, and cut, the files that are kept between runs: none may lead to other pixels.

    python -m benchmarks.torture.data_damage     1,000 flips and 100 cuts of Fashion-MNIST's files
                                                 and of the cache of decoded images; minutes

A file of the data set is damaged in the cache, or in the mirror that the cache is filled from. The
next mirror has the right one. Afterwards the cache must hold the right content, always. A flip that
leaves the content as it is, in the bytes of gzip's header that say when and on which system a file
was packed, need not be noticed; every other one must be. Prints a line of JSON, and exits with 1
where something does not hold.
"""

import argparse
import gzip
import json
import logging
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from apparel.core.errors import DataUnavailableError
from apparel.data.image_files import decode_files
from apparel.data.sources.fashion_mnist import FILES, keras_cache, keras_home, load_images
from apparel.data.sources.keras_cache import LOGGER, KnownFile, ensure_cached
from apparel.data.sources.mirrors import folder_mirror

# Bytes at the beginning and the end, which have headers and checksums: half of the flips go there.
EDGE = 64
N_PICTURES, SIDE = 12, 6


@dataclass(kw_only=True)
class Count:
    """The results of the damage.

    Attributes:
        flips: bits that were flipped, one at a time.
        cuts: files that were cut.
        caught: damaged files that were named and replaced, or not used.
        harmless: damaged files with the same content.
        wrong: broken promises.
    """

    flips: int = 0
    cuts: int = 0
    caught: int = 0
    harmless: int = 0
    wrong: list[str]


def damage(random: Random, content: bytes, *, cut: bool) -> bytes:
    """Cut a file, or flip one bit of it."""
    if cut:
        return content[: random.randrange(len(content))]
    near = random.choice((range(EDGE), range(-EDGE, 0), None, None))
    at = random.randrange(len(content)) if near is None else random.choice(near)
    at = max(min(at % len(content), len(content) - 1), 0)
    changed = bytearray(content)
    changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


def known_files(
    folder: Path, files: Sequence[KnownFile], *, flips: int, cuts: int, seed: int = 0
) -> Count:
    """Damage files whose content is known, in the cache or in the mirror they come from.

    Args:
        folder: that holds them; nothing in it is changed.
        files: in the folder.
        flips: number of flipped bits, divided among the files.
        cuts: number of cuts, likewise.
        seed: random seed of their places.
    """
    random, count = Random(seed), Count(wrong=[])  # noqa: S311  # no secret
    with tempfile.TemporaryDirectory() as scratch, _silence():
        for k in range(flips + cuts):
            file, is_cut = files[k % len(files)], k >= flips
            whole = (folder / file.name).read_bytes()
            damaged = damage(random, whole, cut=is_cut)
            what = f"{'cut' if is_cut else 'flip'} {k} of {file.name}"
            attempt = _in_the_cache if k % 3 else _in_a_mirror
            _judge(count, what, is_cut, attempt(Path(scratch), folder, file, damaged))
    return count


def _judge(count: Count, what: str, is_cut: bool, outcome: str) -> None:
    if is_cut:
        count.cuts += 1
    else:
        count.flips += 1
    if outcome == "caught":
        count.caught += 1
    elif outcome == "harmless":
        count.harmless += 1
    else:
        count.wrong.append(f"{what}: {outcome}")


def _in_the_cache(scratch: Path, folder: Path, file: KnownFile, damaged: bytes) -> str:
    """Damage a file in the cache: it must be replaced."""
    cache = _emptied(scratch / "cache")
    (cache / file.name).write_bytes(damaged)
    ensure_cached(cache, [file], [folder_mirror("right", folder)], title="", remedy="")
    return _state(cache, file, damaged, right=(folder / file.name).read_bytes())


def _in_a_mirror(scratch: Path, folder: Path, file: KnownFile, damaged: bytes) -> str:
    """Damage a file in a mirror: it must not enter the cache, with or without another mirror."""
    cache, mirror = _emptied(scratch / "cache"), _emptied(scratch / "mirror")
    (mirror / file.name).write_bytes(damaged)
    mirrors = [folder_mirror("damaged", mirror)]
    try:
        ensure_cached(cache, [file], mirrors, title="", remedy="")
        outcome = _state(cache, file, damaged, right=(folder / file.name).read_bytes())
    except DataUnavailableError as error:
        outcome = "caught" if error.exit_code == 5 and not any(cache.iterdir()) else "half a file"  # noqa: PLR2004  # as the README says
    if outcome == "caught":
        mirrors.append(folder_mirror("right", folder))
        ensure_cached(cache, [file], mirrors, title="", remedy="")
        return _state(cache, file, damaged, right=(folder / file.name).read_bytes())
    return outcome


def _state(cache: Path, file: KnownFile, damaged: bytes, *, right: bytes) -> str:
    """Judge the content of the cache."""
    if [path.name for path in cache.iterdir()] != [file.name]:
        return "other files in the cache"
    held = (cache / file.name).read_bytes()
    if held == right:
        return "caught"
    try:  # as Keras reads it, against what zlib makes of the right one
        same = gzip.decompress(held) == zlib.decompress(right, wbits=31)
    except (EOFError, OSError, zlib.error):
        same = False
    return "harmless" if same and held == damaged else "the cache is poisoned"


def decoded_images(*, flips: int, cuts: int, seed: int = 0) -> Count:
    """Damage the files of the cache of decoded images.

    Args:
        flips: number of flipped bits, divided among the files.
        cuts: number of cuts, likewise.
        seed: random seed of their places.
    """
    random, count = Random(seed), Count(wrong=[])  # noqa: S311  # as above
    with tempfile.TemporaryDirectory() as scratch, _silence():
        folder, cache = Path(scratch, "pictures"), Path(scratch, "cache")
        read = _pictures(folder, cache)
        expected = read().copy()
        files = {path: path.read_bytes() for path in cache.rglob("*.*") if path.is_file()}
        for k in range(flips + cuts):
            (path, whole), is_cut = list(files.items())[k % len(files)], k >= flips
            path.unlink()  # the mapped file must not change
            path.write_bytes(damage(random, whole, cut=is_cut))
            same = np.array_equal(read(), expected)
            healed = {p: p.read_bytes() for p in cache.rglob("*.*") if p.is_file()} == files
            outcome = "caught" if healed else "harmless" if _means(path) == _means(whole) else ""
            what = f"{'cut' if is_cut else 'flip'} {k} of {path.name}"
            _judge(count, what, is_cut, outcome if same and outcome else "poisoned, or not healed")
            path.write_bytes(whole)
    return count


def _means(file: Path | bytes) -> object:
    """Read a listing, however it is written."""
    try:
        return json.loads(file if isinstance(file, bytes) else file.read_bytes())
    except ValueError:
        return object()


def _pictures(
    folder: Path, cache: Path
) -> Callable[[], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Write images, one of them broken; give a function that reads them through the cache."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (N_PICTURES, SIDE, SIDE), dtype=np.uint8)
    paths = [folder / f"{k} ü.png" for k in range(N_PICTURES)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    paths[3].write_bytes(b"no image")
    return lambda: decode_files(paths, root=folder, image_size=None, cache=cache).pixels


def _emptied(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder


@contextmanager
def _silence() -> Iterator[None]:
    """Silence thousands of warnings."""
    before, level = sys.stderr, LOGGER.level
    LOGGER.setLevel(logging.CRITICAL)
    try:
        with open("/dev/null", "w", encoding="utf-8") as sys.stderr:  # noqa: PTH123  # a device
            yield
    finally:
        sys.stderr = before
        LOGGER.setLevel(level)


def torture(flips: int, cuts: int, *, seed: int = 0) -> dict[str, object]:
    """Damage the real files and the cache of decoded images.

    Args:
        flips: number of flipped bits of each.
        cuts: number of cuts of each.
        seed: random seed of their places.

    Returns:
        The results of each; under "holds", whether nothing wrong was ever used.
    """
    for split in ("train", "test"):
        load_images(split)  # so that the cache has them
    real = keras_cache(keras_home())
    with tempfile.TemporaryDirectory() as folder:
        # Copies: other programs read the originals.
        for file in FILES:
            (Path(folder) / file.name).write_bytes((real / file.name).read_bytes())
        found = {
            "fashion-mnist": known_files(Path(folder), FILES, flips=flips, cuts=cuts, seed=seed),
            "decoded images": decoded_images(flips=flips, cuts=cuts, seed=seed),
        }
    told = {name: asdict(count) for name, count in found.items()}
    return {"holds": not any(count.wrong for count in found.values()), "seed": seed, **told}


def main() -> int:
    """Damage the real files, and report the results."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    started = time.perf_counter()
    found = torture(asked.flips, asked.cuts, seed=asked.seed)
    print(json.dumps({**found, "seconds": round(time.perf_counter() - started, 1)}))
    return int(not found["holds"])


if __name__ == "__main__":
    sys.exit(main())
