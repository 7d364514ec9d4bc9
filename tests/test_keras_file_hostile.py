"""Files that must not reach Keras: each is refused quickly, and touches no other file."""

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest

from apparel import keras_file
from apparel.core.errors import ModelFileError
from apparel.export import keras_format
from apparel.keras_file import hdf5
from tests import fuzz_keras, made_keras
from tests.hostile_keras import cases

SECONDS, BYTES = 2, 150 << 20
CANARY = Path(tempfile.gettempdir(), f"apparel-canary-{os.getpid()}")
CASES = cases(CANARY)

# Examines files in a process of its own, and says what that process did.
EXAMINE = """
import json, pathlib, sys, time
from apparel import keras_file
from apparel.errors import ModelFileError

seen = []
watched = {"compile", "exec", "import", "open", "os.system", "socket.connect", "subprocess.Popen"}
sys.addaudithook(lambda event, values: seen.append((event, str(values[0])))
                 if event in watched and not isinstance(values[0], int) else None)


def peak():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


before = peak()
found = {}
for path in sys.stdin.read().splitlines():
    start, seen[:] = time.perf_counter(), []
    try:
        keras_file.read(path)
        message = None
    except ModelFileError as error:
        message = str(error)
    others = [event for event in seen if event != ("open", path)]
    found[path] = (message, time.perf_counter() - start, others)
grown = peak() - before
heavy = {name.partition(".")[0] for name in sys.modules} & {
    "keras", "tensorflow", "h5py", "torch", "jax", "pickle5", "joblib", "onnxruntime"}
print(json.dumps({"found": found, "grown": grown, "heavy": sorted(heavy)}))
"""


def refuse(path, match):
    """Check that a file is refused with a message, in little time and memory."""
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda *a, really=os.open: opened.append(a[0]) or really(*a))
        start = time.process_time()
        with pytest.raises(ModelFileError, match=match) as caught:
            keras_file.read(path)
        assert time.process_time() - start < SECONDS
    assert set(opened) <= {path}
    message = str(caught.value)
    assert "\n" not in message
    assert "\x1b" not in message
    assert str(path) in message
    assert len(message) < 600 + len(str(path))
    assert caught.value.exit_code == 4
    return message


def write(folder, case):
    path = folder / f"m{case.suffix}"
    path.write_bytes(case.content)
    return path


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused(tmp_path, name):
    refuse(write(tmp_path, CASES[name]), CASES[name].match)
    assert not CANARY.exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_there_are_many_cases_and_all_are_different():
    assert len(CASES) >= 120
    assert len({(case.content, case.suffix) for case in CASES.values()}) == len(CASES)


def test_examining_them_all_imports_nothing_and_takes_little(tmp_path):
    CANARY.write_text("a secret of somebody else")
    paths = {}
    for k, (name, case) in enumerate(CASES.items()):
        path = tmp_path / f"{k}{case.suffix}"
        path.write_bytes(case.content)
        paths[str(path)] = name
    try:
        result = subprocess.run(
            [sys.executable, "-c", EXAMINE], input="\n".join(paths), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert CANARY.read_text() == "a secret of somebody else"
    finally:
        CANARY.unlink()
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    said = json.loads(result.stdout)
    assert said["heavy"] == []
    assert 0 < said["grown"] < BYTES
    for path, (message, seconds, others) in said["found"].items():
        assert message is not None, paths[path]
        assert seconds < SECONDS, paths[path]
        assert "secret" not in message, paths[path]
        assert others == [], paths[path]


@pytest.mark.parametrize("name", [name for name in CASES if "inflate" in name or "000" in name])
def test_what_would_take_much_takes_little_memory(tmp_path, name):
    path = write(tmp_path, CASES[name])
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            keras_file.read(path)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a Lambda", "an external link", "text", "a pickle called .pkl"])
def test_loading_one_never_asks_keras(tmp_path, monkeypatch, name):
    def asked():
        raise AssertionError("Keras was asked for")

    monkeypatch.setattr("apparel.export.keras_format.backend.load_keras", asked)
    with pytest.raises(ModelFileError, match=CASES[name].match):
        keras_format.load_keras_model(write(tmp_path, CASES[name]))


# -- files -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing.keras", "missing.h5", "x" * 300 + ".keras", "a\0b"])
def test_a_missing_file_is_named(tmp_path, name):
    refuse(tmp_path / name, "there is no model file|cannot be read")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "link.keras").symlink_to(tmp_path / "pipe.keras")
    (tmp_path / "circle.keras").symlink_to(tmp_path / "circle.keras")
    for path in (tmp_path, tmp_path / "pipe.keras", tmp_path / "link.keras"):
        refuse(path, "there is no model file .* it is a folder, pipe or device")
    for device in ("/dev/zero", "/dev/null", "/dev/tty"):
        with pytest.raises(ModelFileError, match="it is a folder, pipe or device"):
            keras_file.read(device)
    refuse(tmp_path / "circle.keras", "cannot be read")


def test_a_pipe_that_takes_the_files_place_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)
    real = os.open

    def replaced(name, flags):
        path.unlink()
        os.mkfifo(path)
        return real(name, flags)

    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(ModelFileError, match=r"replaced while it was opened|cannot be read"):
        keras_file.read(path)


def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)
    os.truncate(path, keras_file.MAX_FILE + 1)
    refuse(path, "has 536,870,913 bytes, and models of at most 536,870,912 are opened")


@pytest.mark.parametrize("limit", ["MAX_STRUCTURES", "MAX_MESSAGES"])
def test_weights_of_too_many_parts_are_refused(tmp_path, monkeypatch, limit):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)
    monkeypatch.setattr(hdf5, limit, 20)
    refuse(path, "its weights have more than 20 (structures|messages)")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ModelFileError, match=r"cannot be read .*Permission denied"):
        keras_file.read(path)


def test_a_file_that_shrinks_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)
    was = path.stat()
    monkeypatch.setattr(os, "fstat", lambda _: was)
    path.write_bytes(made_keras.WHOLE[:100])
    refuse(path, "ends within")


# -- damage ------------------------------------------------------------------------------

SMALL = {
    "sequential": made_keras.WHOLE,
    "functional": made_keras.zipped(made_keras.functional()),
    "newer": made_keras.zipped(held=made_keras.weights(libver="latest")),
}


@pytest.mark.parametrize("name", SMALL)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    n = 400
    read, _ = fuzz_keras.fuzz(SMALL[name], tmp_path, n)
    assert 0 < read < n / 2  # so that it is damage, and that not all of it matters
