"""Known files from mirrors into Keras's cache: each mirror, and each way to fail; no network."""

import errno
import gzip
import hashlib
import logging
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from apparel.core import backend
from apparel.core.errors import ApparelError, DataUnavailableError
from apparel.data.sources import keras_cache, mirrors
from apparel.data.sources.keras_cache import KnownFile
from apparel.data.sources.mirrors import Mirror, MirrorError, folder_mirror, keras_mirror, tempfile

CONTENT = {"one.gz": b"first " * 500, "two.gz": bytes(range(256)) * 4}
FILES = tuple(
    KnownFile(name, len(content), hashlib.sha256(content).hexdigest())
    for name, content in CONTENT.items()
)


def put(folder, **changed):
    """Write the files; by keyword (`one`, `two`), other compressed bytes, or None for no file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        compressed = changed.get(name.removesuffix(".gz"), gzip.compress(content))
        if compressed is not None:
            (folder / name).write_bytes(compressed)
    return folder


def fill(home, *places, files=FILES):
    keras_cache.ensure_cached(home, files, places, title="The set", remedy="  do this")


def held(folder):
    """The content of a folder, decompressed; hidden left-overs show up as well."""
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


def named(folder):
    return folder_mirror("the folder", folder)


def failing(error):
    @contextmanager
    def fail(_wanted):
        raise error
        yield

    return Mirror("the failing mirror", fail)


UNTOUCHED = failing(AssertionError("this mirror should not have been opened"))
FAULTS = {
    "cut": (gzip.compress(CONTENT["one.gz"])[:-12], "is cut short"),
    "no gzip": (b"<html>404</html>", "is no intact gzip file"),
    "other content": (gzip.compress(b"second" * 500), "holds the wrong content"),
    "too short": (gzip.compress(b"first "), "holds 6 bytes, expected 3000"),
    "bomb": (gzip.compress(bytes(5_000_000)), "holds more than the expected 3000 bytes"),
    "bomb of empty members": (gzip.compress(b"") * 5000, "is larger than its content"),
}


# -- the cache ---------------------------------------------------------------------------


def test_a_right_cache_is_left_alone(tmp_path):
    home = put(tmp_path / "cache")
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    home.chmod(0o555)
    fill(home, UNTOUCHED)
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


def test_mirrors_complete_each_other_in_their_order(tmp_path, capsys):
    half, rest = put(tmp_path / "a", two=None), put(tmp_path / "b", one=None)
    fill(tmp_path / "cache", named(tmp_path / "nowhere"), named(half), named(rest), UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    assert f"Taken from the folder ({half}): 1 files." in capsys.readouterr().err


@pytest.mark.parametrize(("compressed", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_file_is_named_and_never_used(tmp_path, caplog, compressed, message):
    home = put(tmp_path / "cache", one=compressed)
    fill(home, named(put(tmp_path / "a")), UNTOUCHED)
    assert held(home) == CONTENT
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("apparel", logging.WARNING)
    assert str(home / "one.gz") in record.getMessage()
    caplog.clear()
    wrong = put(tmp_path / "wrong", one=compressed)
    with pytest.raises(DataUnavailableError, match=message):
        fill(tmp_path / "new", named(wrong))
    assert held(tmp_path / "new") == {"two.gz": CONTENT["two.gz"]}
    assert (wrong / "one.gz").read_bytes() == compressed
    assert [str(wrong / "one.gz") in record.getMessage() for record in caplog.records] == [True]


def test_a_folder_in_place_of_a_file_is_to_be_removed_by_hand(tmp_path):
    home = put(tmp_path / "home", one=None)
    (home / "one.gz").mkdir()
    with pytest.raises(ApparelError, match=r"one\.gz is wrong and cannot be removed"):
        fill(home, named(put(tmp_path / "b")))


def test_the_message_lists_every_mirror(tmp_path):
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
    assert lines[:3] == [
        "The set could not be had. Tried:",
        f"  - Keras's cache ({home}): one.gz is missing; two.gz is missing",
        f"  - the folder ({tmp_path / 'nowhere'}): there is no such folder",
    ]
    assert lines[3].startswith(f"  - the folder ({tmp_path / 'a'}): one.gz is missing; two.gz is n")
    assert lines[4] == "  - the failing mirror: no network"
    assert lines[5].endswith("disk on fire")
    assert lines[6:] == ["What helps:", "  do this"]
    assert not home.exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "disk is full: one.gz needs 0.0 MB"),
        (errno.EACCES, "KERAS_HOME to a folder that you may write to"),
    ],
)
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, code, message):
    folder = put(tmp_path / "a")

    def refuse(path, content):
        path.touch()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ApparelError, match=message):
        fill(tmp_path / "cache", named(folder), UNTOUCHED)
    assert list((tmp_path / "cache").iterdir()) == []


# -- Keras's download --------------------------------------------------------------------


class FakeKeras:
    """Stands for Keras: `do` downloads."""

    def __init__(self, do):
        self.utils, self.do = self, do

    def get_file(self, name, *, origin, cache_dir, cache_subdir):
        print(f"bar of {origin}")
        self.timeout = socket.getdefaulttimeout()
        self.do(Path(cache_dir, cache_subdir, name))


DOWNLOAD = keras_mirror("https://host.invalid/")


def test_the_keras_download(tmp_path, monkeypatch, capsys):
    keras = FakeKeras(lambda path: path.write_bytes(gzip.compress(CONTENT[path.name])))
    monkeypatch.setattr(backend, "load_keras", lambda: keras)
    fill(tmp_path / "cache", DOWNLOAD, UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    assert keras.timeout == 30
    assert "Downloading https://host.invalid/one.gz\n" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fill(tmp_path / "second", DOWNLOAD)
    out, err = capsys.readouterr()
    assert out == ""
    assert "bar of https://host.invalid/one.gz\n" in err


def test_a_failed_download_is_named_and_a_bug_passes(tmp_path, monkeypatch):
    errors = [ZeroDivisionError("x"), Exception("URL fetch failure")]

    def fail(_path):
        raise errors.pop()

    monkeypatch.setattr(backend, "load_keras", lambda: FakeKeras(fail))
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    with pytest.raises(DataUnavailableError, match="URL fetch failure"):
        fill(tmp_path / "c", DOWNLOAD)
    with pytest.raises(ZeroDivisionError):
        fill(tmp_path / "c", DOWNLOAD)
    assert socket.getdefaulttimeout() is None
    assert list((tmp_path / "t").iterdir()) == []


# -- a Debian package --------------------------------------------------------------------

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
def fake_apt(tmp_path, monkeypatch):
    """Put made-up apt-get and dpkg-deb first on PATH; give the function that writes them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(download=":", update=":"):
        log = tmp_path / "log"
        download = download.format(folder=folder)
        texts = {
            "apt-get": FAKE_APT_GET.format(
                log=log, folder=folder, download=download, update=update
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


def test_without_package_lists_fresh_ones_are_fetched_that_need_no_root(tmp_path, fake_apt, capfd):
    log = fake_apt(NO_LISTS)
    fill(tmp_path / "cache", PACKAGE, UNTOUCHED)
    assert held(tmp_path / "cache") == CONTENT
    assert "Downloading the package some-data" in capfd.readouterr().err
    first, update, second = log.read_text().splitlines()
    assert first.endswith("download some-data")
    assert f"Dir::State::lists={tmp_path / 'tmp'}" in update
    assert update.endswith("update")
    assert f"Dir::State::lists={tmp_path / 'tmp'}" in second


@pytest.mark.parametrize(
    ("download", "update", "seconds", "message"),
    [
        ("echo 'E: Unable to locate package'; exit 100", "echo 'W: Failed to fetch x'", 1800,
         "apt-get download some-data: E: Unable to locate package; W: Failed to fetch x"),
        ("exec sleep 60", ":", 0.1, "apt-get took longer than 0 seconds"),
        ("exit 0", ":", 1800, "left no package"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_had(
    tmp_path, fake_apt, monkeypatch, download, update, seconds, message
):
    fake_apt(download, update)
    monkeypatch.setattr(mirrors, "DOWNLOAD_SECONDS", seconds)
    with pytest.raises(DataUnavailableError, match=message):
        fill(tmp_path / "cache", PACKAGE)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataUnavailableError, match="apt-get is not on this machine"):
        fill(tmp_path / "cache", PACKAGE)
