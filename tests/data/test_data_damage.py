"""A short form of `python -m benchmarks.torture.data_damage`: the same functions, made-up files."""

import gzip
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from benchmarks.torture import data_damage

from apparel.data.sources.keras_cache import KnownFile
from tests.data.forms import idx

RANDOM = np.random.default_rng(0)


@pytest.fixture
def files(tmp_path: Path) -> list[KnownFile]:
    """Files of the form of Fashion-MNIST's: one with a name in its header, as gzip writes it."""
    made = []
    for name, array in (
        ("train-images-idx3-ubyte.gz", RANDOM.integers(0, 200, (60, 9, 9), np.uint8)),
        ("train-labels-idx1-ubyte.gz", np.arange(60) % 10),
    ):
        content, packed = idx(array), io.BytesIO()
        with gzip.GzipFile("t" if "images" in name else "", "wb", fileobj=packed) as file:
            file.write(content)
        (tmp_path / name).write_bytes(packed.getvalue())
        made.append(KnownFile(name, len(content), hashlib.sha256(content).hexdigest()))
    return made


def test_no_flip_or_cut_of_the_data_set_poisons_the_cache(tmp_path, files) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = data_damage.known_files(tmp_path, files, flips=80, cuts=20)
    assert found.wrong == []
    assert (found.flips, found.cuts) == (80, 20)
    assert found.caught + found.harmless == 100
    # The ten bytes of two headers have half a dozen whose flip changes nothing; names some more.
    assert found.harmless < 20
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_no_flip_or_cut_of_the_decoded_images_gives_other_pixels() -> None:
    found = data_damage.decoded_images(flips=30, cuts=10)
    assert found.wrong == []
    assert (found.flips, found.cuts) == (30, 10)
    assert found.caught > 30
