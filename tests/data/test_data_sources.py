"""Where the files come from: every source, every way in which one can fail; no network."""

import errno
import gzip
import hashlib
import logging
import multiprocessing
import os
import socket
import struct
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from apparel.core import backend
from apparel.core.errors import ApparelError, DataUnavailableError
from apparel.data.sources import fashion_mnist, keras_cache, mirrors
from apparel.data.sources.keras_cache import KnownFile
from apparel.data.sources.mirrors import Mirror, MirrorError, folder_mirror, keras_mirror, tempfile

CONTENT = {"one.gz": b"first " * 500, "two.gz": bytes(range(256)) * 4}
FILES = tuple(
    KnownFile(name, len(content), hashlib.sha256(content).hexdigest())
    for name, content in CONTENT.items()
)


def put(folder: Path, **changed: bytes | None) -> Path:
    """Write the files; by keyword (`one`, `two`), other compressed bytes, or None for no file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        compressed = changed.get(name.removesuffix(".gz"), gzip.compress(content))
        if compressed is not None:
            (folder / name).write_bytes(compressed)
    return folder


def fill(home: Path, *places: Mirror, files: Sequence[KnownFile] = FILES) -> None:
    keras_cache.ensure_cached(home, files, places, title="The set", remedy="  do this")


def held(folder: Path) -> dict[str, bytes]:
    """What a folder holds, decompressed; hidden left-overs show up as well."""
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


def named(folder: Path) -> Mirror:
    return folder_mirror("the folder", folder)


def never(_wanted: Sequence[str]) -> Iterator[Path]:
    raise AssertionError("this source should not have been opened")


def failing(error: BaseException) -> Mirror:
    @contextmanager
    def fail(_wanted: Sequence[str]) -> Iterator[Path]:
        raise error
        yield

    return Mirror("the failing source", fail)


UNTOUCHED = Mirror("untouched", never)
BOMB = gzip.compress(bytes(5_000_000))
FAULTS = {
    "cut": (gzip.compress(CONTENT["one.gz"])[:-12], "is cut short"),
    "cut in the header": (gzip.compress(CONTENT["one.gz"])[:5], "is cut short"),
    "empty": (b"", "holds 0 bytes, expected 3000"),
    "no gzip": (b"<html>404</html>", "is no intact gzip file"),
    "flipped bits": (gzip.compress(CONTENT["one.gz"])[:20] + b"\xff" * 30, "is no intact gzip|cut"),
    "other content": (gzip.compress(b"second" * 500), "holds the wrong content"),
    "too short": (gzip.compress(b"first "), "holds 6 bytes, expected 3000"),
    "bomb": (BOMB, "holds more than the expected 3000 bytes"),
    "bomb of empty members": (gzip.compress(b"") * 5000, "is larger than its content"),
}


def test_a_right_cache_is_left_alone(tmp_path: Path) -> None:
    home = put(tmp_path / "cache")
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    home.chmod(0o555)
    fill(home, UNTOUCHED)
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


def test_the_first_source_that_has_the_files_wins(tmp_path: Path) -> None:
    fill(tmp_path / "cache", named(tmp_path / "nowhere"), named(put(tmp_path / "b")), UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    assert held(tmp_path / "b") == CONTENT


def test_sources_complete_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half, rest = put(tmp_path / "a", two=None), put(tmp_path / "b", one=None)
    fill(tmp_path / "cache", named(half), named(rest), UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    out, err = capsys.readouterr()
    assert out == ""
    assert f"Taken from the folder ({half}): 1 files." in err


@pytest.mark.parametrize(("compressed", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_file_in_the_cache_is_named_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, compressed: bytes, message: str
) -> None:
    home = put(tmp_path / "cache", one=compressed)
    fill(home, named(put(tmp_path / "a")), UNTOUCHED)
    assert held(home) == CONTENT
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("apparel", logging.WARNING)
    assert str(home / "one.gz") in record.getMessage()
    caplog.clear()
    with pytest.raises(DataUnavailableError, match=message):
        fill(put(tmp_path / "again", one=compressed))
    assert held(tmp_path / "again") == {"two.gz": CONTENT["two.gz"]}


@pytest.mark.parametrize(("compressed", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_file_in_a_source_never_enters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, compressed: bytes, message: str
) -> None:
    wrong = put(tmp_path / "a", one=compressed)
    with pytest.raises(DataUnavailableError, match=message):
        fill(tmp_path / "cache", named(wrong))
    assert held(tmp_path / "cache") == {"two.gz": CONTENT["two.gz"]}
    assert (wrong / "one.gz").read_bytes() == compressed
    assert [str(wrong / "one.gz") in record.getMessage() for record in caplog.records] == [True]


def test_a_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    file = KnownFile("one.gz", 1_000_000, "0" * 64)
    folder = put(tmp_path / "a", one=bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DataUnavailableError, match="holds more than the expected"):
            fill(tmp_path / "cache", named(folder), files=[file])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_folder_or_pipe_in_place_of_a_file(tmp_path: Path) -> None:
    folder = put(tmp_path / "a", one=None, two=None)
    (folder / "one.gz").mkdir()
    os.mkfifo(folder / "two.gz")
    with pytest.raises(DataUnavailableError, match=r"one\.gz is not a file; two\.gz is not a file"):
        fill(tmp_path / "cache", named(folder))


def test_a_folder_in_the_cache_is_not_removed(tmp_path: Path) -> None:
    home = put(tmp_path / "cache", one=None)
    (home / "one.gz").mkdir()
    with pytest.raises(ApparelError, match=r"one\.gz is wrong and cannot be removed"):
        fill(home, named(put(tmp_path / "a")))


def test_the_message_lists_every_source(tmp_path: Path) -> None:
    home = tmp_path / "cache"
    with pytest.raises(DataUnavailableError) as caught:
        fill(
            home,
            named(tmp_path / "nowhere"),
            named(put(tmp_path / "a", one=None, two=b"x")),
            failing(MirrorError("no\n network")),
            failing(OSError(errno.EIO, "disk on fire")),
        )
    assert caught.value.exit_code == 5
    lines = str(caught.value).splitlines()
    assert lines[0] == "The set could not be had. Tried:"
    assert lines[1] == f"  - Keras's cache ({home}): one.gz is missing; two.gz is missing"
    assert lines[2] == f"  - the folder ({tmp_path / 'nowhere'}): there is no such folder"
    assert lines[3].startswith(
        f"  - the folder ({tmp_path / 'a'}): one.gz is missing; two.gz is no"
    )
    assert lines[4] == "  - the failing source: no network"
    assert lines[5].endswith("disk on fire")
    assert lines[6:] == ["What helps:", "  do this"]
    assert not home.exists()


def test_an_interrupt_passes_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        fill(home, failing(KeyboardInterrupt()), UNTOUCHED)
    assert not home.exists()

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise KeyboardInterrupt

    folder = put(tmp_path / "a")
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        fill(home, named(folder))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "disk is full: one.gz needs 0.0 MB"),
        (errno.EACCES, "KERAS_HOME to a folder that you may write to"),
    ],
)
def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    folder = put(tmp_path / "a")

    def refuse(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ApparelError, match=message) as caught:
        fill(tmp_path / "cache", named(folder), UNTOUCHED)
    assert caught.value.exit_code == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_right_file_put_there_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = put(tmp_path / "cache", one=b"wrong")
    read = keras_cache.read_known

    def slow(folder: Path, expected: KnownFile) -> bytes:
        try:
            return read(folder, expected)
        finally:
            put(tmp_path / "other")
            (tmp_path / "other" / expected.name).replace(home / expected.name)

    monkeypatch.setattr(keras_cache, "read_known", slow)
    fill(home)
    assert held(home) == CONTENT


def _fill_often(home: str, folder: str) -> None:
    for _ in range(30):
        fill(Path(home), named(Path(folder)))
        if held_names := set(CONTENT) - {path.name for path in Path(home).iterdir()}:
            raise AssertionError(f"gone: {held_names}")


def test_several_processes_at_once(tmp_path: Path) -> None:
    home = put(tmp_path / "cache", one=b"wrong", two=None)
    folder = put(tmp_path / "a")
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_fill_often, args=(str(home), str(folder))) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert held(home) == CONTENT


class FakeKeras:
    """Stands for Keras: downloads what `do` does."""

    def __init__(self, do) -> None:
        self.utils = self
        self.do = do

    def get_file(self, name: str, *, origin: str, cache_dir: str, cache_subdir: str) -> str:
        print(f"bar of {origin}")
        self.timeout = socket.getdefaulttimeout()
        self.do(Path(cache_dir, cache_subdir, name))
        return ""


def serve(path: Path) -> None:
    path.write_bytes(gzip.compress(CONTENT[path.name]))


def test_the_keras_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keras = FakeKeras(serve)
    monkeypatch.setattr(backend, "load_keras", lambda: keras)
    fill(tmp_path / "cache", keras_mirror("https://host.invalid/"), UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    assert keras.timeout == 30
    assert socket.getdefaulttimeout() is None
    out, err = capsys.readouterr()
    assert out == ""
    assert "Downloading https://host.invalid/one.gz\n" in err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fill(tmp_path / "second", keras_mirror("https://host.invalid/"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "bar of https://host.invalid/one.gz\n" in err


@pytest.mark.parametrize("error", [Exception("URL fetch failure"), TimeoutError("timed out")])
def test_the_keras_download_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_path: Path) -> None:
        raise error

    monkeypatch.setattr(backend, "load_keras", lambda: FakeKeras(fail))
    monkeypatch.setattr(tempfile, "tempdir", str(put(tmp_path / "t", one=None, two=None)))
    fill(tmp_path / "c", keras_mirror("https://host.invalid/"), named(put(tmp_path / "a")))
    assert held(tmp_path / "c") == CONTENT
    with pytest.raises(DataUnavailableError, match=f"Keras's download: {error}"):
        fill(tmp_path / "d", keras_mirror("https://host.invalid/"))
    assert socket.getdefaulttimeout() is None
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_a_bug_or_interrupt_in_the_download_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(_path: Path) -> None:
        raise error

    monkeypatch.setattr(backend, "load_keras", lambda: FakeKeras(fail))
    monkeypatch.setattr(tempfile, "tempdir", str(put(tmp_path / "t", one=None, two=None)))
    with pytest.raises(type(error)):
        fill(tmp_path / "c", keras_mirror("https://host.invalid/"))
    assert list((tmp_path / "t").iterdir()) == []


FAKE_APT_GET = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *update) touch {folder}/updated; {update};;
  *download*)
    {download}
    echo "dlstatus:1:50.0000:Retrieving file 1 of 1"
    touch some-data_1.0_all.deb;;
esac
"""
FAKE_DPKG_DEB = '#!/bin/sh\nmkdir -p "$3/usr/data" && cp {files}/*.gz "$3/usr/data/"\n'


@pytest.fixture
def fake_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put made-up apt-get and dpkg-deb first on PATH; give the function that writes them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(download: str = ":", update: str = ":") -> Path:
        log = tmp_path / "log"
        texts = {
            "apt-get": FAKE_APT_GET.format(
                log=log, folder=folder, download=download.format(folder=folder), update=update
            ),
            "dpkg-deb": FAKE_DPKG_DEB.format(files=put(tmp_path / "package")),
        }
        for name, text in texts.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        return log

    yield write
    assert list((tmp_path / "tmp").iterdir()) == []


NO_LISTS = "[ -e {folder}/updated ] || {{ echo 'E: Unable to locate package'; exit 100; }}"
PACKAGE = mirrors.apt_mirror("some-data", "usr/data")


def test_apt(tmp_path: Path, fake_apt, capfd: pytest.CaptureFixture[str]) -> None:
    log = fake_apt()
    fill(tmp_path / "cache", PACKAGE, UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    assert len(log.read_text().splitlines()) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "Downloading the package some-data" in err


def test_apt_without_package_lists(tmp_path: Path, fake_apt) -> None:
    log = fake_apt(NO_LISTS)
    fill(tmp_path / "cache", PACKAGE, UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    first, update, second = log.read_text().splitlines()
    assert first.endswith("download some-data")
    # The machine's own lists stay as they are: these need no root.
    assert f"Dir::State::lists={tmp_path / 'tmp'}" in update
    assert update.endswith("update")
    assert f"Dir::State::lists={tmp_path / 'tmp'}" in second


def test_apt_fails(tmp_path: Path, fake_apt) -> None:
    fake_apt("echo 'E: Unable to locate package'; exit 100", "echo 'W: Failed to fetch x'")
    with pytest.raises(
        DataUnavailableError,
        match="apt-get download some-data: E: Unable to locate package; W: Failed to fetch x",
    ):
        fill(tmp_path / "cache", PACKAGE)


def test_apt_hangs(tmp_path: Path, fake_apt, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt("exec sleep 60")
    monkeypatch.setattr(mirrors, "DOWNLOAD_SECONDS", 0.2)
    with pytest.raises(DataUnavailableError, match="apt-get took longer than 0 seconds"):
        fill(tmp_path / "cache", PACKAGE)


def test_apt_leaves_no_package(tmp_path: Path, fake_apt) -> None:
    fake_apt("exit 0")
    with pytest.raises(DataUnavailableError, match="left no package"):
        fill(tmp_path / "cache", PACKAGE)


def test_apt_is_interrupted(tmp_path: Path, fake_apt, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt("exec sleep 60")
    started = []

    def interrupt(process, what: str) -> str:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(mirrors, "_follow", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "cache", PACKAGE)
    assert started[0].returncode == -9


def test_no_apt_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataUnavailableError, match="apt-get is not on this machine"):
        fill(tmp_path / "cache", PACKAGE)
    assert "apt-get" not in fashion_mnist._remedy()


def names(home: Path, data_dir: str | None = None) -> list[str]:
    found = fashion_mnist.find_mirrors(home, home / fashion_mnist.CACHE_SUBFOLDER, data_dir)
    return [source.name.partition(" (")[0] for source in found]


REST = [
    "the folder of the package dataset-fashion-mnist",
    "Keras's download",
    "apt-get download dataset-fashion-mnist",
]


def test_the_order_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPAREL_DATA_DIR", raising=False)
    assert names(tmp_path) == REST
    assert names(tmp_path, str(tmp_path)) == ["the folder you named", *REST]
    monkeypatch.setenv("APPAREL_DATA_DIR", str(tmp_path / "b"))
    assert names(tmp_path) == ["the folder you named", *REST]
    home = tmp_path / fashion_mnist.CACHE_SUBFOLDER
    found = fashion_mnist.find_mirrors(tmp_path, home, tmp_path / "a")
    assert found[0].name == f"the folder you named ({tmp_path / 'a'})"
    found = fashion_mnist.find_mirrors(tmp_path, tmp_path / "elsewhere", None)
    assert found[0].name == f"Keras's home, read-only ({home})"


def test_a_named_folder_that_lacks_files_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names(tmp_path, str(tmp_path / "slip"))
    (record,) = caplog.records
    assert str(tmp_path / "slip") in record.getMessage()
    assert all(file.name in record.getMessage() for file in fashion_mnist.FILES)


def test_the_cache_is_where_keras_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = backend.load_keras()
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))
    assert fashion_mnist.keras_cache(tmp_path) == tmp_path / "datasets" / "fashion-mnist"
    put(tmp_path / "datasets" / "fashion-mnist", two=None)
    found = keras.utils.get_file(
        "one.gz", origin="https://host.invalid/", cache_subdir="datasets/fashion-mnist"
    )
    assert Path(found).parent == fashion_mnist.keras_cache(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert fashion_mnist.keras_cache(tmp_path) == Path("/tmp/.keras/datasets/fashion-mnist")  # noqa: S108


def test_load_fills_the_cache_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way with the real files, from a named folder into an empty home."""
    keras = backend.load_keras()
    fashion_mnist.load_fashion_mnist()
    folder = fashion_mnist.keras_cache(Path(keras.src.backend.config.keras_home()))
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))
    made = fashion_mnist.load_fashion_mnist(folder)
    assert made.train_images.shape == (60000, 28, 28, 1)
    stored = tmp_path / "datasets" / "fashion-mnist"
    assert {path.name for path in stored.iterdir()} == {file.name for file in fashion_mnist.FILES}


def test_load_reports_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = backend.load_keras()
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "find_mirrors", lambda *_: ())
    monkeypatch.setattr(fashion_mnist.shutil, "which", lambda _: "/usr/bin/apt-get")
    with pytest.raises(DataUnavailableError) as caught:
        fashion_mnist.load_fashion_mnist()
    message = str(caught.value)
    assert "sudo apt-get update && sudo apt-get install dataset-fashion-mnist" in message
    assert "--data-dir FOLDER" in message
    assert message.count("train-images-idx3-ubyte.gz") == 2


@pytest.fixture
def small_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A Keras that reads four small files from an empty home, and a source that has them."""
    arrays = [np.arange(40, dtype=np.uint8).reshape(10, 2, 2), np.arange(10, dtype=np.uint8)]
    arrays += [array[:5] for array in arrays]
    contents = {}
    for file, array in zip(fashion_mnist.FILES, arrays, strict=True):
        contents[file.name] = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
        contents[file.name] += array.tobytes()
        (tmp_path / file.name).write_bytes(gzip.compress(contents[file.name]))
    known = tuple(
        KnownFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    monkeypatch.setattr(fashion_mnist, "FILES", known)
    monkeypatch.setattr(fashion_mnist, "find_mirrors", lambda *_: [named(tmp_path)])
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return arrays


def test_what_is_read_is_what_was_checked(small_set) -> None:
    np.testing.assert_array_equal(fashion_mnist.load_images("train")[..., 0], small_set[0])
    np.testing.assert_array_equal(fashion_mnist.load_images("test")[..., 0], small_set[2])


@pytest.mark.parametrize(
    ("times", "change"),
    [
        (1, lambda path: path.write_bytes(gzip.compress(bytes(path.stat().st_size)))),
        (1, lambda path: path.write_bytes(path.read_bytes()[:-9])),
        (1, lambda path: path.unlink()),
        (2, lambda path: path.write_bytes(path.read_bytes()[:-9])),
    ],
)
def test_a_file_that_changes_after_the_check_is_fetched_once_more(
    small_set, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, times, change
) -> None:
    real, changed = fashion_mnist.read_idx_file, []

    def read(path: Path, kind: str):
        if len(changed) < times:
            changed.append(path)
            change(path)
        return real(path, kind)

    monkeypatch.setattr(fashion_mnist, "read_idx_file", read)
    if times == 1:
        found = fashion_mnist.load_images("train")
        np.testing.assert_array_equal(found[..., 0], small_set[0])
        assert "changed in" in caplog.text
        return
    with pytest.raises(DataUnavailableError, match="test this machine's disk and memory") as caught:
        fashion_mnist.load_images("train")
    assert caught.value.exit_code == 5


def test_what_keras_gives_is_compared_with_what_was_checked(
    small_set, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One bit of one pixel, however it came about."""
    keras = backend.load_keras()
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", os.environ["KERAS_HOME"])
    flipped = small_set[2].copy()
    flipped[3, 1, 1] ^= 16
    train_images, train_labels, test_images, test_labels = small_set
    answers = [
        ((train_images, train_labels), (flipped, test_labels)),
        ((train_images, train_labels), (test_images, test_labels)),
        EOFError("Compressed file ended before the end-of-stream marker was reached"),
        Exception("URL fetch failure on https://host.invalid"),
    ]

    def answer():
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", answer)
    made = fashion_mnist.load_fashion_mnist()
    np.testing.assert_array_equal(made.test_images[..., 0], test_images)
    assert "t10k-images-idx3-ubyte.gz: other content than was checked" in caplog.text
    with pytest.raises(DataUnavailableError, match="URL fetch failure"):
        fashion_mnist.load_fashion_mnist()
    answers.append(ZeroDivisionError())  # a mistake of ours is no broken file
    with pytest.raises(ZeroDivisionError):
        fashion_mnist.load_fashion_mnist()
