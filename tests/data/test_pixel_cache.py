"""The cache of decoded images: known again, noticed when changed, and repaired when damaged."""

import errno
import hashlib
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import ApparelError
from apparel.data import image_files
from apparel.data.decode import read
from apparel.data.pixel_cache import ImageWriter
from tests.data.readers import never
from tests.data.test_image_files import files_in, look, same, save


@pytest.fixture
def known(folder, cache, noise):
    """Paths, one of them of a broken file, and the decoded images."""
    paths = save(folder, noise(6, 6, 5, 3))
    paths[2].write_bytes(b"no image")
    return paths, look(folder, cache, paths)


# -- known again ---------------------------------------------------------------------------


def test_images_in_the_cache_are_not_decoded_again(folder, cache, known, monkeypatch, capsys):
    paths, first = known
    capsys.readouterr()
    monkeypatch.setattr(image_files, "read_task", never)
    same(first, look(folder, cache, paths))
    same(first, look(str(folder), cache, [os.fsencode(path) for path in paths], None))
    moved = folder.rename(folder.with_name("moved"))
    same(first, look(moved, cache, [moved / path.name for path in paths]))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("position", [0, 2])
def test_a_changed_file_is_read_again(folder, cache, known, noise, position):
    paths, _ = known
    time_before = paths[position].stat().st_mtime_ns
    Image.fromarray(noise(6, 5, 3)).save(paths[position])
    os.utime(paths[position], ns=(0, time_before + 1))
    found = look(folder, cache, paths)
    at = found.positions.tolist().index(position)
    np.testing.assert_array_equal(found.pixels[at], read(paths[position], (6, 5, 3)))
    assert len(found.pixels) == (6 if position == 2 else 5)


@pytest.mark.parametrize("change", ["size", "order", "image_size", "limit", "missing"])
def test_every_change_that_may_matter_is_noticed(folder, cache, known, change, monkeypatch):
    paths, _ = known
    if change == "size":
        before = paths[1].stat().st_mtime_ns
        paths[1].write_bytes(paths[1].read_bytes() + b"\0")
        os.utime(paths[1], ns=(before, before))
    elif change == "order":
        paths.reverse()
    elif change == "limit":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 31)
    elif change == "missing":
        paths[1].unlink()
    monkeypatch.setattr(image_files, "read_task", never)
    with pytest.raises(AssertionError, match="from the cache"):
        look(folder, cache, paths, 9 if change == "image_size" else None)


# -- damaged -------------------------------------------------------------------------------

DAMAGE = {
    "cut": lambda content: content[:-7],
    "lengthened": lambda content: content + b"\0",
    "last byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "header": lambda content: content.replace(b"(5, 6, 5, 3)", b"(5, 3, 5, 6)"),
    "a size": lambda content: content.replace(b"[6, 5]", b"[5, 6]", 1),
}


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("images", name) for name in ("cut", "lengthened", "last byte", "header")),
        *(("listings", name) for name in ("cut", "a size")),
    ],
)
def test_a_damaged_cache_is_made_anew(folder, cache, known, kind, damage, caplog):
    paths, first = known
    (path,) = (cache / kind).iterdir()
    whole = path.read_bytes()
    damaged = DAMAGE[damage](whole)
    assert damaged != whole
    expected = first.pixels.copy()
    path.unlink()  # the mapped file must not change
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        found = look(folder, cache, paths)
    np.testing.assert_array_equal(found.pixels, expected)
    same(first, found)
    assert path.read_bytes() == whole
    (record,) = caplog.records
    assert record.name == "apparel"
    assert record.getMessage().startswith(f"{path} ")
    assert "It is removed, and made anew." in record.getMessage()
    if kind == "images" and damage in {"cut", "lengthened"}:
        assert f"has {len(damaged):,} bytes, but expected were 578. " in record.getMessage()
    assert len(files_in(cache)) == 2


def listing(**content):
    """A listing whose hash is right, for any content."""
    written = json.dumps(content)
    digest = hashlib.sha256(written.encode()).hexdigest()
    return json.dumps({"sha256": digest, "listing": content}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"[" * 100_000,
        listing(images="0" * 64, shape=[1, 2, 3], sizes=[], problems={}),
        listing(images="../../precious", shape=[1, 2, 3, 1], sizes=[], problems={}),
        listing(images="0" * 64, shape=[1, 2, 3, 1], sizes=[], problems={"x": "why"}),
    ],
)
def test_a_listing_of_another_kind_is_made_anew(folder, cache, known, content, caplog):
    paths, first = known
    precious = cache.with_name("precious.npy")
    precious.write_bytes(b"not to be removed")
    (path,) = (cache / "listings").iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    same(first, look(folder, cache, paths))
    assert len(caplog.records) == 1
    assert path.read_bytes() == whole
    assert precious.exists()


@pytest.mark.parametrize("kind", ["images", "listings"])
def test_a_file_of_the_cache_that_cannot_be_read_is_made_anew(
    folder, cache, known, kind, monkeypatch, caplog
):
    paths, first = known
    (path,) = (cache / kind).iterdir()
    real, failed = Path.open, []

    def fail_once(self, *how, **options):
        if self == path and not failed:
            failed.append(self)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, *how, **options)

    monkeypatch.setattr(Path, "open", fail_once)
    same(first, look(folder, cache, paths))
    assert failed
    (record,) = caplog.records
    assert "cannot be read (Input/output error). It is made anew." in record.getMessage()


# -- that cannot be written ----------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_explained(folder, tmp_path, noise):
    (tmp_path / "file").touch()
    for cache in (tmp_path / "file", tmp_path / "file" / "deep"):
        with pytest.raises(ApparelError, match="APPAREL_CACHE=FOLDER") as caught:
            look(folder, cache, save(folder, noise(3, 6, 5)))
        assert f"cannot be kept in {cache} (" in str(caught.value)


def test_a_full_disk_is_explained_and_leaves_nothing(folder, cache, noise, monkeypatch):
    def fail(self, images):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ImageWriter, "append", fail)
    with pytest.raises(ApparelError, match=r"\(No space left on device\).*Free some space"):
        look(folder, cache, save(folder, noise(3, 6, 5)))
    assert list((cache / "images").iterdir()) == []
