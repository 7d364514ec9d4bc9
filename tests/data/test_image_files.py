"""Many image files → one array, by all processors."""

import errno
import io
import mmap
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import ApparelError
from apparel.data import image_files
from apparel.data.decode import opening, processes, read, tasks
from apparel.data.image_files import decode_encoded, decode_files
from tests.data.readers import never, read_or_die


@pytest.fixture
def in_processes(monkeypatch):
    """Read few files like many."""
    monkeypatch.setattr(image_files, "FEWEST_FOR_PROCESSES", 0)
    monkeypatch.setattr(image_files, "n_processors", lambda: 2)
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", 3)


def save(folder, images):
    """Save each image as PNG; give the paths, in an order that is not the files'."""
    paths = []
    for k, image in enumerate(images):
        paths.append(folder / f"{(k * 7) % len(images):04}-{k}.png")
        Image.fromarray(np.squeeze(image)).save(paths[-1])
    return paths


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def look(folder, cache, paths, image_size=None):
    return decode_files(paths, root=folder, image_size=image_size, cache=cache)


def same(first, second):
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.sizes, second.sizes)
    assert first.problems == second.problems
    assert second.pixels.dtype == np.uint8
    assert not second.pixels.flags.writeable


# -- files -----------------------------------------------------------------------------


def test_many_files_are_read_in_their_order_by_several_processes(folder, cache, noise, capsys):
    images = noise(image_files.FEWEST_FOR_PROCESSES + 23, 6, 5)
    found = look(folder, cache, save(folder, images))
    np.testing.assert_array_equal(found.pixels, images[..., np.newaxis])
    np.testing.assert_array_equal(found.positions, np.arange(len(images)))
    np.testing.assert_array_equal(found.sizes, [[6, 5]] * len(images))
    assert found.problems == {}
    assert capsys.readouterr().err == "Reading 523 images\n"
    assert isinstance(found.pixels.base, mmap.mmap)
    (stored,) = (cache / "images").iterdir()
    np.testing.assert_array_equal(np.load(stored, allow_pickle=False), images[..., np.newaxis])


def test_broken_files_are_named_and_the_others_read(folder, cache, noise, in_processes):
    images = noise(7, 6, 5)
    paths = save(folder, images)
    paths[1].write_bytes(b"no image")
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    paths[4].unlink()
    found = look(folder, cache, paths)
    good = [0, 2, 5, 6]
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


# -- grey or colour --------------------------------------------------------------------


def grey_as_colour(image):
    return np.stack([image] * 3, axis=-1)


@pytest.mark.parametrize("coloured", [0, 5])
def test_one_coloured_image_gives_all_three_channels(folder, cache, noise, coloured, monkeypatch):
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", 3)
    images = [*noise(11, 6, 5)]
    images[2] = grey_as_colour(images[2])
    assert look(folder, cache, save(folder, images)).pixels.shape == (11, 6, 5, 1)
    images[coloured] = grey_as_colour(images[coloured])
    images[coloured][5, 4, 2] ^= 1
    found = look(folder, cache, save(folder, images))
    assert found.pixels.shape == (11, 6, 5, 3)
    for image, pixels in zip(images, found.pixels, strict=True):
        np.testing.assert_array_equal(pixels, image if image.ndim == 3 else grey_as_colour(image))


# -- size ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "asked", "size"),
    [
        ([(65, 10)] * 3, None, (64, 64)),
        ([(20, 30), (20, 30), (5, 5), (5, 5)], None, (18, 18)),  # the median 17.5, rounded to even
        ([(900, 90), (9, 9), (8, 8)], None, (9, 9)),
        ([(20, 30), (40, 50)], 16, (16, 16)),
        ([(100, 100)] * 2, (100, 100), (100, 100)),
    ],
)
@pytest.mark.parametrize("files_at_once", [1, 256])
def test_the_size_follows_from_the_images(
    folder, cache, noise, sizes, asked, size, files_at_once, monkeypatch
):
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", files_at_once)
    paths = save(folder, [noise(*sides, 3) for sides in sizes])
    found = look(folder, cache, paths, asked)
    assert found.pixels.shape == (len(sizes), *size, 3)
    assert found.sizes.tolist() == [list(sides) for sides in sizes]
    for path, pixels in zip(paths, found.pixels, strict=True):
        np.testing.assert_array_equal(pixels, read(path, (*size, 3)))


@pytest.mark.parametrize("broken", [[0], [1, 2, 4]])
@pytest.mark.parametrize(("only_its_header", "files_at_once"), [((50, 50), 2), ((300, 300), 256)])
def test_broken_files_have_no_say_in_the_size(
    folder, cache, noise, broken, only_its_header, files_at_once, monkeypatch
):
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", files_at_once)
    images = [*noise(6, 20, 30)]
    for k in broken:
        images[k] = noise(*only_its_header)
    paths = save(folder, images)
    for k in broken:
        paths[k].write_bytes(paths[k].read_bytes()[:400])
    found = look(folder, cache, paths)
    good = [k for k in range(6) if k not in broken]
    assert list(found.problems) == broken
    np.testing.assert_array_equal(found.pixels, [images[k][..., np.newaxis] for k in good])
    assert found.sizes.tolist() == [[20, 30]] * len(good)


# -- problems that may pass, and images in a table ---------------------------------------


def test_transient_problems_are_not_remembered(folder, cache, noise, monkeypatch):
    paths = save(folder, noise(3, 6, 5))
    io_file = io.FileIO

    def open_or_fail(path):
        if path == str(paths[1]):
            raise OSError(errno.EIO, "Input/output error")
        return io_file(path)

    monkeypatch.setattr(opening.io, "FileIO", open_or_fail)
    (why,) = look(folder, cache, paths).problems.values()
    assert why.startswith(f"{paths[1].name} cannot be read (Input/output error).")
    monkeypatch.undo()

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("apparel.data.decode.image._fitted", fail)
    assert len(look(folder, cache, paths).problems) == 3
    monkeypatch.undo()
    assert look(folder, cache, paths).problems == {}


@pytest.mark.parametrize("bytes_at_once", [200, 1 << 22])
def test_encoded_images_are_read_like_files(folder, cache, noise, bytes_at_once, monkeypatch):
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


def test_other_processes_have_the_same_limit_of_pixels(
    folder, cache, noise, in_processes, monkeypatch
):
    paths = save(folder, [*noise(4, 6, 5), noise(6, 7)])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 41)
    found = look(folder, cache, paths)
    assert len(found.pixels) == 4
    assert "has more than the 41 pixels" in found.problems[4]


def test_a_file_that_kills_its_process_is_named_and_the_others_read(
    folder, cache, noise, in_processes, monkeypatch
):
    images = noise(8, 6, 5)
    paths = save(folder, images)
    paths[4] = paths[4].rename(folder / "killer.png")
    monkeypatch.setattr(image_files, "read_task", read_or_die)
    found = look(folder, cache, paths)
    good = np.delete(np.arange(8), 4)
    np.testing.assert_array_equal(found.positions, good)
    np.testing.assert_array_equal(found.pixels[..., 0], images[good])
    assert list(found.problems) == [4]
    assert found.problems[4].startswith("killer.png kills the process that reads it")
    monkeypatch.setattr(image_files, "read_task", never)
    same(found, look(folder, cache, paths))
    # Where many die, the machine is to blame.
    monkeypatch.setattr(processes, "MOST_CRASHES", 0)
    monkeypatch.setattr(image_files, "read_task", read_or_die)
    with pytest.raises(ApparelError, match=r"More than 0 files killed.*killer\.png kills"):
        look(folder, cache / "other", paths)
    assert files_in(cache / "other") == []


SCRIPT = """
import signal, sys
from pathlib import Path
from apparel.data import image_files
from apparel.data.decode import tasks
from tests.data import readers
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests' parent ignores it
image_files.FEWEST_FOR_PROCESSES, tasks.MOST_FILES_AT_ONCE = 0, 300
image_files.read_task = readers.read_slowly
folder, cache = map(Path, sys.argv[1:])
image_files.decode_files(sorted(folder.iterdir()), root=folder, image_size=None, cache=cache)
"""


@pytest.mark.slow
def test_an_interruption_leaves_no_process_and_no_half_file(folder, cache, noise):
    script = folder.with_name("script.py")  # without a guard of its main module
    script.write_text(SCRIPT)
    save(folder, noise(1200, 6, 5))
    program = subprocess.Popen(
        [sys.executable, script, folder, cache],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not folder.with_name("begun").exists():  # the test's own time-out is the limit
            time.sleep(0.05)
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does
        _, complaint = program.communicate()
        with suppress(ProcessLookupError):  # raised where no process of the group is left
            while True:
                os.killpg(program.pid, 0)
                time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    assert program.returncode == -signal.SIGINT
    assert complaint.count("Traceback") == complaint.count("\nKeyboardInterrupt\n") == 1
    assert files_in(cache) == list((cache / "images").iterdir()) == []


def test_a_terminal_gets_a_bar(folder, cache, noise, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    look(folder, cache, save(folder, noise(12, 2, 2)))
    assert "Reading 12 images" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
