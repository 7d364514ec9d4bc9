"""Files appear whole or not at all, and folders belong to one process."""

import json
import os
import stat
import subprocess
import sys

import pytest

from apparel.core.atomic_files import (
    atomic_path,
    check_writable,
    claim,
    drop_partial,
    locked,
    write_csv,
    write_json,
    write_text,
)
from apparel.core.errors import ApparelError, UsageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_halfway(target, error):
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    target = tmp_path / "missing" / "folders" / "m.keras"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"old")
        assert not target.exists()
        write_text(target, "meanwhile")  # another writer, which this one does not meet
        assert temporary.suffix == ".keras"
        assert temporary.parent.parent == target.parent  # a rename must not cross file systems
    with target.open() as reader:
        write_text(target, "new ✓\n")
        assert reader.read() == "old"
    assert target.read_bytes() == b"new \xe2\x9c\x93\n"
    assert names(target.parent) == ["m.keras"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path, error):
    with pytest.raises(type(error)) as failed:
        fail_halfway(tmp_path / "new.txt", error)
    assert names(tmp_path) == []
    if isinstance(error, OSError):
        assert failed.value.filename == str(tmp_path / "new.txt")  # the name that people know
    (tmp_path / "old.txt").write_text("old")
    with pytest.raises(type(error)):
        fail_halfway(tmp_path / "old.txt", error)
    assert (tmp_path / "old.txt").read_text() == "old"
    assert names(tmp_path) == ["old.txt"]


def test_the_file_has_the_usual_permissions(tmp_path):
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "t.txt", "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "t.txt").stat().st_mode) == 0o644


def test_a_link_stays_a_link_to_the_file_that_is_written(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for check in (lambda path: write_text(path, "x"), check_writable):
        with pytest.raises(UsageError, match="is a folder or a device"):
            check(tmp_path / "pipe")
        with pytest.raises(UsageError, match="is a folder or a device"):
            check(tmp_path)
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_takes_no_file_is_found_in_advance(tmp_path):
    check_writable(tmp_path / "new.txt")
    check_writable(tmp_path / "new" / "deep.txt")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"/proc/x\.txt cannot be written"):
        check_writable("/proc/x.txt")


def test_json_and_tables_are_laid_out_alike_on_every_system(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1.5, None]})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "é": [\n    1.5,\n    null\n  ]\n}\n'
    write_json(tmp_path / "b.json", {"name": "\udcff"}, ascii=True)  # a name that is no Unicode
    assert json.loads((tmp_path / "b.json").read_text("ascii")) == {"name": "\udcff"}
    write_csv(tmp_path / "c.csv", ["a", "b"], [(1, "x,y"), (2, "é")])
    assert (tmp_path / "c.csv").read_bytes() == 'a,b\n1,"x,y"\n2,é\n'.encode()


def test_a_file_is_claimed_once(tmp_path):
    claim(tmp_path / "f", "first")
    with pytest.raises(FileExistsError):
        claim(tmp_path / "f", "second")
    assert (tmp_path / "f").read_text() == "first"
    assert names(tmp_path) == ["f"]


def test_what_killed_processes_left_is_deleted(tmp_path):
    for folder in (tmp_path, tmp_path / "plots"):
        folder.mkdir(exist_ok=True)
        (folder / ".m-abc.partial").mkdir()
        (folder / ".m-abc.partial" / "m.png").write_text("half")
        (folder / "kept.partial").write_text("mine")
    drop_partial(tmp_path)
    assert names(tmp_path) == ["kept.partial", "plots"]
    assert names(tmp_path / "plots") == ["kept.partial"]


def test_a_lock_keeps_other_processes_out_until_it_is_released(tmp_path):
    code = (
        "import sys; from apparel.core.atomic_files import locked\n"
        "with locked(__import__('pathlib').Path(sys.argv[1])): pass"
    )
    other = [sys.executable, "-c", code, str(tmp_path)]
    with locked(tmp_path):
        done = subprocess.run(other, capture_output=True, text=True, check=False)
        assert f"ApparelError: another process is at work in {tmp_path}" in done.stderr
        with pytest.raises(ApparelError, match="another process"), locked(tmp_path):
            pass
    assert subprocess.run(other, check=False).returncode == 0
