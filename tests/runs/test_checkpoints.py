"""Checkpoints: what is written is read back, what is damaged is found, nothing is half there."""

import hashlib

import numpy as np
import pytest
from benchmarks.torture import crash
from benchmarks.torture.corruption import CORRUPTIONS, corrupted
from safetensors.numpy import load_file

from apparel.runs.checkpoints import DAMAGED, Checkpoint, CheckpointFolder

PARTS = {
    "model": {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "scalar": np.array(7)},
    "log": {"losses": [0.1, 1 / 3], "epoch": 2, "nothing": None, "seed": 2**127 + 1},
    "empty": {},
    "bits": {"mask": np.array([True, False]), "none": np.zeros((0, 5), np.int64)},
}


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "checkpoints", "a training")


def save(folder, *steps):
    return [folder.save(Checkpoint(step, PARTS)) for step in steps]


def test_what_is_written_is_read_back(folder):
    assert folder.load() is None
    assert not folder.exist
    save(folder, 20)
    assert folder.exist
    read = folder.load()
    assert read.step == 20
    assert read.parts.keys() == PARTS.keys()
    for part, state in PARTS.items():
        assert read.parts[part].keys() == state.keys()
        for name, value in state.items():
            found = read.parts[part][name]
            if isinstance(value, np.ndarray):
                assert (found.dtype, found.shape) == (value.dtype, value.shape)
                np.testing.assert_array_equal(found, value)
            else:
                assert found == value
                assert type(found) is type(value)


def test_the_name_has_steps_and_digest_and_two_are_kept(folder):
    notes = folder.path / "notes.txt"
    folder.path.mkdir()
    notes.write_text("mine")
    paths = save(folder, 5, 30, 200)
    assert [path.exists() for path in paths] == [False, True, True]
    digest = hashlib.sha256(paths[2].read_bytes()).hexdigest()
    assert paths[2].name == f"000000200-{digest}.safetensors"
    assert sorted(folder.path.iterdir()) == [*paths[1:], notes]
    np.testing.assert_array_equal(load_file(paths[2])["model/a"], PARTS["model"]["a"])


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_damaged_one_is_named_and_the_one_before_is_used(folder, capsys, kind):
    old, new = save(folder, 5, 30)
    corrupted(new, kind, np.random.default_rng(0))
    assert folder.load().step == 5
    said = capsys.readouterr().err
    assert f"The checkpoint {new} is not used: its content is not what was written." in said
    assert not new.exists()
    assert new.with_name(new.name + DAMAGED).exists()
    save(folder, 40)
    assert folder.load().step == 40
    assert old.exists()


@pytest.mark.parametrize(
    ("content", "step", "why"),
    [
        (b"", 7, "it is no checkpoint"),
        (b"\x02\0\0\0\0\0\0\0{}", 7, "it is no checkpoint"),
        ("this training", 6, "it was written after 5 steps, not 6."),
        ("another training", 5, "it is of another training."),
    ],
)
def test_other_content_under_a_fitting_name_is_not_used(
    folder, tmp_path, capsys, content, step, why
):
    save(folder, 3)
    if isinstance(content, str):
        training = "a training" if content == "this training" else content
        content = save(CheckpointFolder(tmp_path / "other", training), 5)[0].read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (folder.path / f"{step:09d}-{digest}.safetensors").write_bytes(content)
    assert folder.load().step == 3
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "call"), [("write_bytes", lambda folder: save(folder, 40)),
                         ("read_bytes", CheckpointFolder.load)],
)  # fmt: skip
def test_a_disk_that_fails_loses_nothing(folder, monkeypatch, method, call):
    save(folder, 5, 30)
    before = sorted(folder.path.iterdir())

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"pathlib.Path.{method}", fail)
    with pytest.raises(OSError, match="No space left"):
        call(folder)
    monkeypatch.undo()
    assert sorted(folder.path.iterdir()) == before
    assert folder.load().step == 30


def test_wherever_the_power_fails_the_old_or_the_new_one_loads(folder, tmp_path):
    save(folder, 1, 2)
    before = {path: path.read_bytes() for path in folder.path.iterdir()}
    calls = crash.recorded(lambda: save(folder, 3))
    names = [call.name for call in calls]
    assert names[:4] == ["write", "sync", "rename", "sync_folder"]
    assert "unlink" in names[4:]
    found = []
    for made in range(len(calls) + 1):
        for number, disk in enumerate(crash.disks(before, calls[:made])):
            copy = CheckpointFolder(tmp_path / f"{made}-{number}", "a training")
            copy.path.mkdir()
            for path, content in disk.items():
                if path.parent == folder.path:
                    (copy.path / path.name).write_bytes(content)
            found.append((made, copy.load().step))
    assert {step for _, step in found} == {2, 3}
    # Once the folder is synced, the new one is there for good.
    assert {step for made, step in found if made >= 4} == {3}
