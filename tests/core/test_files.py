import os
import stat

import pytest

from apparel.core.atomic_files import atomic_path, check_writable, write_text
from apparel.core.errors import UsageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_halfway(target, error):
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    target = tmp_path / "m.keras"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.suffix == ".keras"
        assert temporary.parent.parent == tmp_path  # a rename must not cross file systems
    assert target.read_bytes() == b"whole"
    assert names(tmp_path) == ["m.keras"]


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        fail_halfway(tmp_path / "m.txt", error)
    assert names(tmp_path) == []


def test_a_failed_write_leaves_the_older_file(tmp_path):
    target = tmp_path / "m.txt"
    target.write_text("old")
    with pytest.raises(OSError, match="full"):
        fail_halfway(target, OSError("full"))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["m.txt"]


def test_a_failed_write_names_the_file_that_people_know(tmp_path):
    target = tmp_path / "m.txt"
    with pytest.raises(OSError, match="No space") as failed:
        fail_halfway(target, OSError(28, "No space left on device"))
    assert failed.value.filename == str(target)


def test_an_older_file_is_replaced_in_one_step(tmp_path):
    target = tmp_path / "m.txt"
    target.write_text("old")
    with target.open() as reader:
        write_text(target, "new")
        assert reader.read() == "old"
    assert target.read_text() == "new"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "m.txt"
    with atomic_path(target) as first, atomic_path(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # the outer block ends last
    assert names(tmp_path) == ["m.txt"]


def test_text_is_utf8_with_plain_line_ends(tmp_path):
    write_text(tmp_path / "t.txt", "é\n✓\n")
    assert (tmp_path / "t.txt").read_bytes() == b"\xc3\xa9\n\xe2\x9c\x93\n"


def test_the_file_has_the_usual_permissions(tmp_path):
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "t.txt", "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "t.txt").stat().st_mode) == 0o644


def test_a_folder_beneath_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"file"):
        write_text(tmp_path / "file" / "t.txt", "x")
    assert names(tmp_path) == ["file"]


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
