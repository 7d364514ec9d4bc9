"""The cache of decoded images: known again, noticed when changed, and repaired when damaged."""

import errno
import hashlib
import json
import logging
import os

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import ApparelError
from apparel.data import image_files, pixel_cache
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


def naming_another_folder(content):
    """A listing with the right hash of its content."""
    listing = json.loads(content)["listing"] | {"images": "../../precious"}
    digest = hashlib.sha256(json.dumps(listing).encode()).hexdigest()
    return json.dumps({"sha256": digest, "listing": listing}).encode()


DAMAGE = {
    "cut": lambda content: content[:-7],
    "lengthened": lambda content: content + b"\0",
    "last byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "header": lambda content: content.replace(b"(5, 6, 5, 3)", b"(5, 3, 5, 6)"),
    "a size": lambda content: content.replace(b"[6, 5]", b"[5, 6]", 1),
    "another kind": lambda _: b"[" * 100_000,
    "another folder": naming_another_folder,
}


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("images", name) for name in ("cut", "lengthened", "last byte", "header")),
        *(("listings", name) for name in ("cut", "a size", "another kind", "another folder")),
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


def test_a_file_of_the_cache_that_cannot_be_read_is_made_anew(
    folder, cache, known, monkeypatch, caplog
):
    paths, first = known
    real, errors = pixel_cache.open_images, [OSError(errno.EIO, os.strerror(errno.EIO))]

    def fail_once(*args, **options):
        if errors:
            raise errors.pop()
        return real(*args, **options)

    monkeypatch.setattr(pixel_cache, "open_images", fail_once)
    same(first, look(folder, cache, paths))
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
