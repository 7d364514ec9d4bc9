import os
import stat

import pytest

from apparel.files import atomic_path, write_text


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
