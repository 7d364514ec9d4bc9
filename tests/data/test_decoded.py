import errno
import hashlib
import io
import json
import logging
import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import ApparelError
from apparel.data import image_files
from apparel.data.decode import decode, opening, processes, read, tasks
from apparel.data.image_files import decode_encoded, decode_files
from apparel.data.pixel_cache import ImageWriter

RANDOM = np.random.default_rng(0)


# Other processes import these.


def read_or_die(task):
    for name in task.names:
        if "killer" in name:
            os._exit(1)  # as a decoder does that crashes
    return tasks.read_task(task)


def read_slowly(task):
    def slowly(source, size, *, name):
        time.sleep(1)
        return decode(source, size, name=name)

    tasks.decode = slowly
    Path(task.sources[0]).parent.with_name("begun").touch()
    return tasks.read_task(task)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def in_processes(monkeypatch):
    """Read few files like many."""
    monkeypatch.setattr(image_files, "FEWEST_FOR_PROCESSES", 0)
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", 3)


def save(folder, images):
    """Save each image as PNG; give the paths, in an order that is not the files'."""
    paths = []
    for k, image in enumerate(images):
        paths.append(folder / f"{(k * 7) % len(images):04}-{k}.png")
        Image.fromarray(np.squeeze(image)).save(paths[-1])
    return paths


def noise(n, *shape):
    return RANDOM.integers(0, 256, (n, *shape), dtype=np.uint8)


def never(task):
    raise AssertionError("the files were to come from the cache")


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def look(folder, cache, paths, image_size=None):
    return decode_files(paths, root=folder, image_size=image_size, cache=cache)


# -- what is read ----------------------------------------------------------------------


def test_many_files_are_read_in_their_order_by_several_processes(folder, cache, capsys):
    images = noise(image_files.FEWEST_FOR_PROCESSES + 123, 6, 5)
    found = look(folder, cache, save(folder, images))
    np.testing.assert_array_equal(found.pixels, images[..., np.newaxis])
    np.testing.assert_array_equal(found.positions, np.arange(len(images)))
    np.testing.assert_array_equal(found.sizes, [[6, 5]] * len(images))
    assert found.problems == {}
    assert (found.pixels.dtype, found.positions.dtype, found.sizes.dtype) == (
        np.uint8, np.int64, np.int32,
    )  # fmt: skip
    assert capsys.readouterr().err == "Reading 623 images\n"


def test_the_array_is_mapped_and_cannot_be_changed(folder, cache):
    images = noise(4, 6, 5)
    found = look(folder, cache, save(folder, images))
    assert isinstance(found.pixels.base, mmap.mmap)
    with pytest.raises(ValueError, match="read-only"):
        found.pixels[0] = 0
    (stored,) = (cache / "images").iterdir()
    np.testing.assert_array_equal(np.load(stored, allow_pickle=False), images[..., np.newaxis])


@pytest.mark.parametrize("n", [5, 11])
def test_broken_files_are_named_and_the_others_read(folder, cache, n, in_processes):
    images = noise(n, 6, 5)
    paths = save(folder, images)
    paths[1].write_bytes(b"no image")
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    paths[4].unlink()
    found = look(folder, cache, paths)
    good = [k for k in range(n) if k not in {1, 3, 4}]
    np.testing.assert_array_equal(found.positions, good)
    np.testing.assert_array_equal(found.pixels[..., 0], images[good])
    assert len(found.sizes) == len(good)
    assert list(found.problems) == [1, 3, 4]
    for k, said in ((1, "is no image"), (3, "cannot be read as an image"), (4, "there is no file")):
        assert said in found.problems[k]
        assert paths[k].name in found.problems[k]
        assert str(folder) not in found.problems[k]


@pytest.mark.parametrize("paths", [[], ["a.png", "b.png"]])
def test_where_nothing_can_be_read_there_are_no_images(folder, cache, paths):
    for _ in range(2):
        found = look(folder, cache, [folder / path for path in paths])
        assert (found.pixels.shape, found.sizes.shape) == ((0, 64, 64, 1), (0, 2))
        assert list(found.problems) == list(range(len(paths)))
    assert look(folder, cache, [], (7, 9)).pixels.shape == (0, 7, 9, 1)


def test_any_kind_of_path_is_taken(folder, cache):
    odd = folder / os.fsdecode(b"latin\xe9\n.png")
    (first,) = save(folder, noise(1, 6, 5))
    shutil.copy(first, odd)
    broken = folder / os.fsdecode(b"broken\xe9\n.png")
    broken.touch()
    found = look(folder, cache, [first, str(odd), os.fsencode(odd), broken, os.fsencode(broken)])
    assert len(found.pixels) == 3
    assert found.problems[4] == found.problems[3]
    assert found.problems[3].startswith(r"broken\udce9\n.png is empty")
    assert look(folder, cache, [first, odd, odd, broken, broken]).problems == found.problems


# -- grey or colour --------------------------------------------------------------------


def grey_as_colour(image):
    return np.stack([image] * 3, axis=-1)


@pytest.mark.parametrize("stored", [lambda image: image, grey_as_colour])
def test_grey_images_have_one_channel_however_they_are_stored(folder, cache, stored):
    images = noise(5, 6, 5)
    found = look(folder, cache, save(folder, [stored(image) for image in images]))
    np.testing.assert_array_equal(found.pixels, images[..., np.newaxis])


@pytest.mark.parametrize("coloured", [0, 5, 10])
def test_one_coloured_image_gives_all_three_channels(folder, cache, coloured, in_processes):
    images = [*noise(11, 6, 5)]
    images[2] = grey_as_colour(images[2])
    images[coloured] = grey_as_colour(images[coloured])
    images[coloured][5, 4, 2] ^= 1
    found = look(folder, cache, save(folder, images))
    assert found.pixels.shape == (11, 6, 5, 3)
    for image, pixels in zip(images, found.pixels, strict=True):
        np.testing.assert_array_equal(pixels, image if image.ndim == 3 else grey_as_colour(image))


def test_the_same_images_have_the_same_file_wherever_colour_appears(folder, cache):
    images = [*noise(6, 6, 5), *noise(1, 6, 5, 3)]
    paths = save(folder, images)
    look(folder, cache, paths)
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).convert("RGB").save(path)
    look(folder, cache, paths)
    assert len(files_in(cache / "images")) == 1
    assert len(files_in(cache / "listings")) == 2


# -- size ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "asked", "size"),
    [
        ([(20, 30)] * 3, None, (20, 30)),
        ([(64, 10)] * 3, None, (64, 10)),
        ([(65, 10)] * 3, None, (64, 64)),
        ([(20, 30), (20, 30), (30, 20)], None, (30, 30)),
        (
            [(20, 30), (20, 30), (5, 5), (5, 5)],
            None,
            (18, 18),
        ),  # the median 17.5 is rounded to even
        ([(40, 3), (3, 20), (10, 10), (50, 50), (30, 30)], None, (30, 30)),
        ([(9, 9), (900, 90), (90, 900)], None, (64, 64)),
        ([(900, 90), (9, 9), (8, 8)], None, (9, 9)),
        ([(20, 20), (20, 20), (30, 10)], None, (20, 20)),
        ([(20, 30), (40, 50)], 16, (16, 16)),
        ([(20, 30), (40, 50)], (16, 12), (16, 12)),
        ([(100, 100)] * 2, (100, 100), (100, 100)),
    ],
)
@pytest.mark.parametrize("files_at_once", [1, 256])
def test_the_size_follows_from_the_images(
    folder, cache, sizes, asked, size, files_at_once, monkeypatch
):
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", files_at_once)
    paths = save(folder, [noise(1, *sides, 3)[0] for sides in sizes])
    found = look(folder, cache, paths, asked)
    assert found.pixels.shape == (len(sizes), *size, 3)
    assert found.sizes.tolist() == [list(sides) for sides in sizes]
    for path, pixels in zip(paths, found.pixels, strict=True):
        np.testing.assert_array_equal(pixels, read(path, (*size, 3)))


@pytest.mark.parametrize("broken", [[0], [2], [0, 4], [1, 2, 4]])
@pytest.mark.parametrize("only_its_header", [(50, 50), (20, 29), (300, 300)])
@pytest.mark.parametrize("files_at_once", [1, 2, 256])
def test_broken_files_have_no_say_in_the_size(
    folder, cache, broken, only_its_header, files_at_once, monkeypatch
):
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", files_at_once)
    images = [*noise(6, 20, 30)]
    for k in broken:
        images[k] = noise(1, *only_its_header)[0]
    paths = save(folder, images)
    for k in broken:
        paths[k].write_bytes(paths[k].read_bytes()[:400])
    found = look(folder, cache, paths)
    good = [k for k in range(6) if k not in broken]
    assert list(found.problems) == broken
    np.testing.assert_array_equal(found.pixels, [images[k][..., np.newaxis] for k in good])
    assert found.sizes.tolist() == [[20, 30]] * len(good)


def test_a_broken_first_file_costs_no_second_reading(folder, cache, monkeypatch):
    paths = save(folder, noise(6, 20, 30))
    paths[0].write_bytes(paths[0].read_bytes()[:400])
    modes = []

    def noted(task):
        modes.append(task.mode)
        return tasks.read_task(task)

    monkeypatch.setattr(image_files, "read_task", noted)
    assert look(folder, cache, paths).pixels.shape == (5, 20, 30, 1)
    assert modes == ["alike"]


@pytest.mark.parametrize(
    ("sizes", "n_decoded"),
    [([(6, 5), (6, 5), (5, 6), (7, 8), (6, 5)], 3), ([(65, 9), (65, 9), (6, 5)], 0)],
)
def test_of_images_that_are_not_alike_headers_are_enough(folder, sizes, n_decoded, monkeypatch):
    asked = []

    def noted(source, size, *, name):
        asked.append(size)
        return decode(source, size, name=name)

    monkeypatch.setattr(tasks, "decode", noted)
    paths = [str(path) for path in save(folder, [noise(1, *sides)[0] for sides in sizes])]
    chunk = tasks.read_task(tasks.Task(range(len(paths)), paths, paths, "alike"))
    assert chunk.sizes == sizes
    assert chunk.pixels is None
    assert asked == [sizes[0]] * n_decoded


# -- the cache -------------------------------------------------------------------------


def same(first, second):
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.sizes, second.sizes)
    assert first.problems == second.problems
    assert second.pixels.dtype == np.uint8
    assert not second.pixels.flags.writeable


@pytest.fixture
def known(folder, cache):
    """Paths, one of them of a broken file, and what they were decoded to."""
    paths = save(folder, noise(6, 6, 5, 3))
    paths[2].write_bytes(b"no image")
    return paths, look(folder, cache, paths)


def test_what_is_in_the_cache_is_not_decoded_again(folder, cache, known, monkeypatch, capsys):
    paths, first = known
    capsys.readouterr()
    monkeypatch.setattr(image_files, "read_task", never)
    same(first, look(folder, cache, paths))
    same(first, look(str(folder), cache, [os.fsencode(path) for path in paths], None))
    assert capsys.readouterr() == ("", "")


def test_a_moved_folder_is_known_again(folder, cache, known, monkeypatch):
    paths, first = known
    moved = folder.rename(folder.with_name("moved"))
    monkeypatch.setattr(image_files, "read_task", never)
    same(first, look(moved, cache, [moved / path.name for path in paths]))


def test_a_copied_folder_shares_the_pixels(folder, cache, known):
    paths, first = known
    copy = folder.with_name("copy")
    copy.mkdir()
    for path in paths:
        (copy / path.name).write_bytes(path.read_bytes())
        os.utime(copy / path.name, ns=(1, 1))
    same(first, look(copy, cache, [copy / path.name for path in paths]))
    assert len(files_in(cache / "images")) == 1
    assert len(files_in(cache / "listings")) == 2


def replace(path):
    Image.fromarray(noise(1, 6, 5, 3)[0]).save(path)


@pytest.mark.parametrize("position", [0, 2, 5])
def test_a_changed_file_is_read_again(folder, cache, known, position):
    paths, _ = known
    time_before = paths[position].stat().st_mtime_ns
    replace(paths[position])
    os.utime(paths[position], ns=(0, time_before + 1))
    found = look(folder, cache, paths)
    at = found.positions.tolist().index(position)
    np.testing.assert_array_equal(found.pixels[at], read(paths[position], (6, 5, 3)))
    assert len(found.pixels) == (6 if position == 2 else 5)


@pytest.mark.parametrize("change", ["mode", "size", "order", "image_size", "limit", "missing"])
def test_whatever_may_change_the_result_is_noticed(folder, cache, known, change, monkeypatch):
    paths, _ = known
    image_size = 9 if change == "image_size" else None
    if change == "mode":
        paths[1].chmod(0o600)
    elif change == "size":
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
        look(folder, cache, paths, image_size)


def cut(content):
    return content[:-7]


def nothing(content):
    return b""


def lengthen(content):
    return content + b"\0"


def alter_the_last(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def alter_the_header(content):
    return content.replace(b"(5, 6, 5, 3)", b"(5, 3, 5, 6)")


def alter_a_size(content):
    return content.replace(b"[6, 5]", b"[5, 6]", 1)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("images", f) for f in (cut, nothing, lengthen, alter_the_last, alter_the_header)),
        *(("listings", f) for f in (cut, nothing, lengthen, alter_a_size)),
    ],
)
def test_a_damaged_cache_is_made_anew(folder, cache, known, kind, damage, caplog):
    paths, first = known
    (path,) = (cache / kind).iterdir()
    whole = path.read_bytes()
    assert damage(whole) != whole
    expected = first.pixels.copy()
    path.unlink()  # what is mapped must not change under our feet
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        found = look(folder, cache, paths)
    np.testing.assert_array_equal(found.pixels, expected)
    same(first, found)
    assert path.read_bytes() == whole
    (record,) = caplog.records
    assert record.name == "apparel"
    assert record.getMessage().startswith(f"{path} ")
    assert "It is removed, and made anew." in record.getMessage()
    if kind == "images" and damage in {cut, nothing, lengthen}:
        assert f"has {len(damage(whole)):,} bytes, but expected were 578. " in record.getMessage()
    assert len(files_in(cache)) == 2


def listing(**content):
    """A listing whose hash is right, whatever is in it."""
    written = json.dumps(content)
    return json.dumps(
        {"sha256": hashlib.sha256(written.encode()).hexdigest(), "listing": content}
    ).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"[]",
        b"{}",
        b'{"listing": {}, "sha256": "0"}',
        b"[" * 100_000,
        listing(),
        listing(images="0" * 64, shape=[1, 2, 3], sizes=[], problems={}),
        listing(images=7, shape=[1, 2, 3, 1], sizes=[], problems={}),
        listing(images="0" * 64, shape=[1, 2, 3, 1], sizes=[], problems={"x": "why"}),
    ],
)
def test_a_listing_of_another_kind_is_made_anew(folder, cache, known, content, caplog):
    paths, first = known
    (path,) = (cache / "listings").iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    same(first, look(folder, cache, paths))
    assert len(caplog.records) == 1
    assert path.read_bytes() == whole


def test_a_listing_leads_to_no_file_outside_of_the_cache(folder, cache, known, caplog):
    paths, first = known
    precious = cache.with_name("precious.npy")
    precious.write_bytes(b"not to be removed")
    (path,) = (cache / "listings").iterdir()
    path.write_bytes(listing(images="../../precious", shape=[1, 2, 3, 1], sizes=[], problems={}))
    same(first, look(folder, cache, paths))
    assert precious.exists()
    assert "names images that no cache has" in caplog.text


@pytest.mark.parametrize("kind", ["images", "listings"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
def test_a_file_of_the_cache_that_cannot_be_read_is_made_anew(
    folder, cache, known, kind, code, monkeypatch, caplog
):
    paths, first = known
    (path,) = (cache / kind).iterdir()
    real, failed = Path.open, []

    def fail_once(self, *how, **options):
        if self == path and not failed:
            failed.append(self)
            raise OSError(code, os.strerror(code))
        return real(self, *how, **options)

    monkeypatch.setattr(Path, "open", fail_once)
    same(first, look(folder, cache, paths))
    assert failed
    (record,) = caplog.records
    assert f"cannot be read ({os.strerror(code)}). It is made anew." in record.getMessage()


@pytest.mark.parametrize("kind", ["images", "listings"])
def test_what_is_damaged_is_removed_even_if_nothing_replaces_it(
    folder, cache, known, kind, monkeypatch
):
    paths, _ = known
    (path,) = (cache / kind).iterdir()
    path.unlink()
    path.touch()
    monkeypatch.setattr(image_files, "read_task", never)
    with pytest.raises(AssertionError, match="from the cache"):
        look(folder, cache, paths)
    assert not path.exists()


def test_missing_images_are_made_anew_without_a_word(folder, cache, known, caplog):
    paths, first = known
    shutil.rmtree(cache / "images")
    same(first, look(folder, cache, paths))
    assert caplog.records == []


def test_problems_that_may_pass_are_not_remembered(folder, cache, monkeypatch):
    paths = save(folder, noise(3, 6, 5))

    def open_or_fail(path):
        if path == str(paths[1]):
            raise OSError(errno.EIO, "Input/output error")
        return io_file(path)

    io_file = io.FileIO
    monkeypatch.setattr(opening.io, "FileIO", open_or_fail)
    (why,) = look(folder, cache, paths).problems.values()
    assert why.startswith(f"{paths[1].name} cannot be read (Input/output error).")
    monkeypatch.undo()
    assert look(folder, cache, paths).problems == {}


def test_too_little_memory_for_once_is_not_remembered(folder, cache, monkeypatch):
    paths = save(folder, noise(3, 6, 5))

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("apparel.data.decode.image._fitted", fail)
    assert len(look(folder, cache, paths).problems) == 3
    monkeypatch.undo()
    assert look(folder, cache, paths).problems == {}


@pytest.mark.parametrize("inside", ["", "deep/er"])
def test_a_cache_that_cannot_be_written_is_explained(folder, tmp_path, inside):
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / inside
    with pytest.raises(ApparelError, match="APPAREL_CACHE=FOLDER") as caught:
        look(folder, cache, save(folder, noise(3, 6, 5)))
    assert f"cannot be kept in {cache} (" in str(caught.value)


def test_a_full_disk_is_explained_and_leaves_nothing(folder, cache, monkeypatch):
    def fail(self, images):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ImageWriter, "append", fail)
    with pytest.raises(ApparelError, match=r"\(No space left on device\).*Free some space"):
        look(folder, cache, save(folder, noise(3, 6, 5)))
    assert list((cache / "images").iterdir()) == []


# -- images in a table -----------------------------------------------------------------


@pytest.mark.parametrize(("bytes_at_once", "fewest"), [(1, 500), (200, 0), (1 << 22, 500)])
def test_encoded_images_are_read_like_files(folder, cache, bytes_at_once, fewest, monkeypatch):
    monkeypatch.setattr(image_files, "FEWEST_FOR_PROCESSES", fewest)
    monkeypatch.setattr(tasks, "MOST_BYTES_AT_ONCE", bytes_at_once)
    paths = save(folder, [*noise(4, 6, 5), *noise(4, 9, 7, 3)])
    paths[3].write_bytes(b"no image")
    (folder / "table").touch()
    images = [path.read_bytes() for path in paths]
    names = [f"table#{k}" for k in range(8)]

    def look_into():
        return decode_encoded(
            images, names, stored_in=folder / "table", image_size=None, cache=cache
        )

    found, expected = look_into(), look(folder, cache, paths)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    np.testing.assert_array_equal(found.positions, [0, 1, 2, 4, 5, 6, 7])
    np.testing.assert_array_equal(found.sizes, expected.sizes)
    assert found.problems[3].startswith("table#3 is no image")
    images.clear()
    same(found, look_into())
    (folder / "table").write_text("changed")
    with pytest.raises(IndexError):
        look_into()


# -- processes -------------------------------------------------------------------------

SCRIPT = """
import hashlib, signal, sys, time
from pathlib import Path
from apparel.data import decode as decode_module
from apparel.data import image_files
from apparel.data.image_files import decode_files
from apparel.data.decode import tasks
from tests.data import test_decoded
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests' parent ignores it
image_files.FEWEST_FOR_PROCESSES, tasks.MOST_FILES_AT_ONCE = 0, 3
if len(sys.argv) > 3:
    image_files.read_task = getattr(test_decoded, sys.argv[3])
    tasks.MOST_FILES_AT_ONCE = 300
folder = Path(sys.argv[1])
found = decode_files(
    sorted(folder.iterdir()), root=folder, image_size=None, cache=Path(sys.argv[2])
)
print(hashlib.sha256(found.pixels).hexdigest(), len(found.problems))
"""


@pytest.fixture
def start(folder, cache):
    """Read the folder from a program that does not guard its main module."""
    script, programs = folder.with_name("script.py"), []
    script.write_text(SCRIPT)

    def run(*how):
        programs.append(
            subprocess.Popen(
                [sys.executable, script, folder, cache, *how],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return programs[-1]

    yield run
    for program in programs:  # what a failed test leaves
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def test_two_programs_at_once_do_each_other_no_harm(folder, cache, start):
    save(folder, [*noise(40, 6, 5), *noise(1, 6, 5, 3)])
    (folder / "broken.png").touch()
    programs = [start() for _ in range(2)]
    said = [program.communicate(timeout=60) for program in programs]
    found = look(folder, cache, sorted(folder.iterdir()))
    expected = f"{hashlib.sha256(found.pixels).hexdigest()} 1\n"
    assert said == [(expected, "Reading 42 images\n")] * 2
    assert [len(files_in(cache / kind)) for kind in ("images", "listings")] == [1, 1]
    assert all(path.is_file() for path in (cache / "images").iterdir())


def in_time(condition):
    """Wait up to half a minute until something is so."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_gone(group):
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_no_process_and_no_half_file(folder, cache, start, sent):
    save(folder, noise(1200, 6, 5))  # ten minutes of them
    program = start("read_slowly")
    assert in_time(folder.with_name("begun").exists)
    if sent == signal.SIGINT:
        os.killpg(program.pid, sent)  # as a terminal does
    else:
        program.kill()
    _, complaint = program.communicate(timeout=60)
    assert program.returncode == -sent
    assert in_time(lambda: is_gone(program.pid))
    if sent == signal.SIGINT:
        assert complaint.count("Traceback") == complaint.count("\nKeyboardInterrupt\n") == 1
        assert list((cache / "images").iterdir()) == []
        assert files_in(cache) == []


def test_other_processes_have_the_same_limit_of_pixels(folder, cache, in_processes, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 41)
    found = look(folder, cache, save(folder, [*noise(4, 6, 5), *noise(1, 6, 7)]))
    assert len(found.pixels) == 4
    assert "has more than the 41 pixels" in found.problems[4]


def test_a_file_that_kills_its_process_is_named_and_the_others_read(
    folder, cache, in_processes, monkeypatch
):
    images = noise(20, 6, 5)
    paths = save(folder, images)
    for k in (4, 5, 17):
        paths[k] = paths[k].rename(folder / f"killer{k}.png")
    monkeypatch.setattr(image_files, "read_task", read_or_die)
    found = look(folder, cache, paths)
    good = np.delete(np.arange(20), [4, 5, 17])
    np.testing.assert_array_equal(found.positions, good)
    np.testing.assert_array_equal(found.pixels[..., 0], images[good])
    assert list(found.problems) == [4, 5, 17]
    for k, why in found.problems.items():
        assert why.startswith(f"killer{k}.png kills the process that reads it")
    monkeypatch.setattr(image_files, "read_task", never)
    same(found, look(folder, cache, paths))


def test_a_machine_on_which_processes_die_is_not_blamed_on_files(
    folder, cache, in_processes, monkeypatch
):
    paths = [path.rename(folder / f"killer{path.name}") for path in save(folder, noise(9, 6, 5))]
    monkeypatch.setattr(processes, "MOST_CRASHES", 2)
    monkeypatch.setattr(image_files, "read_task", read_or_die)
    with pytest.raises(ApparelError, match="More than 2 files killed") as caught:
        look(folder, cache, paths)
    assert f"The last one: {paths[2].name} kills" in str(caught.value)
    assert files_in(cache) == []


def test_a_mistake_of_ours_is_not_taken_for_a_broken_file(folder, cache, in_processes, monkeypatch):
    monkeypatch.setattr(image_files, "read_task", never)
    with pytest.raises(AssertionError, match="from the cache"):
        look(folder, cache, save(folder, noise(9, 6, 5)))
    assert list((cache / "images").iterdir()) == []


# -- progress --------------------------------------------------------------------------


def test_a_terminal_gets_a_bar(folder, cache, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    look(folder, cache, save(folder, noise(1234, 2, 2)))
    assert "Reading 1,234 images" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
