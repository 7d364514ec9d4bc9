"""A job of predicting: its identity, and the folder that it writes to."""

import pytest

from apparel.core.errors import ApparelError, UsageError
from apparel.data.inputs.shards import find_shards
from apparel.data.parquet.reader import ParquetReader
from apparel.scale import job as job_module
from apparel.scale.job import JOB, RECORDS, JobFolder
from tests.scale.images import encoded, write_table


@pytest.fixture(params=["local", "stored"])
def folder(request, tmp_path):
    place = tmp_path / "job.parquet"
    return JobFolder(str(place) if request.param == "local" else f"file://{place}")


def test_a_folder_holds_whole_files(folder, tmp_path):
    assert folder.names() == set()
    assert folder.read("a") is None
    folder.write("a", "text ä")
    folder.write(f"{RECORDS}/b", "more")
    folder.write(f"{RECORDS}/b", "other")
    with pytest.raises(ZeroDivisionError), folder.target("d.csv") as path:
        1 / 0  # noqa: B018
    with folder.target("c.csv") as path:
        path.write_bytes(b"content")
    assert folder.names() == {"a", "c.csv", RECORDS}
    assert folder.names(RECORDS) == {"b"}
    assert (folder.read("a"), folder.read(f"{RECORDS}/b")) == ("text ä", "other")
    assert folder.has("c.csv")
    assert not folder.has("d.csv")
    folder.drop(RECORDS)
    folder.drop(RECORDS)
    assert folder.names() == {"a", "c.csv"}
    assert {path.name for path in (tmp_path / "job.parquet").iterdir()} == {"a", "c.csv"}
    with pytest.raises(UsageError, match=r"a is a file"):
        JobFolder(str(tmp_path / "job.parquet" / "a"))


def test_what_a_killed_process_left_is_no_file(tmp_path):
    folder = JobFolder(str(tmp_path))
    (tmp_path / ".part-00000-x.partial").mkdir()
    assert folder.names() == set()
    with folder.lock():
        assert not list(tmp_path.iterdir())
        with pytest.raises(ApparelError, match="another process is at work"):
            JobFolder(str(tmp_path)).lock().__enter__()


def plan(*paths, **changed):
    options = {"suffix": ".csv", "model": b"m", "runtime": "r", "raw": False} | changed
    return job_module.plan(find_shards([str(p) for p in paths], ParquetReader()), **options)


def test_a_job_is_known_by_all_that_its_answers_depend_on(tmp_path, table, monkeypatch):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    sources = tmp_path / "a.png", table
    same = plan(*sources)
    assert same.text == plan(*sources).text
    monkeypatch.chdir(tmp_path)  # a worker finds files from any folder
    files, rows, *_ = plan("a.png", "t.parquet").shards
    assert (files.names, files.places, rows.place) == (("a.png",), (str(sources[0]),), str(table))
    others = [
        plan(tmp_path / "b.png", table),
        plan(tmp_path / "a.png"),
        plan(*sources, model=b"n"),
        plan(*sources, runtime="s"),
        plan(*sources, raw=True),
        plan(*sources, suffix=".parquet"),
    ]
    (tmp_path / "a.png").write_bytes(b"xy")
    others.append(plan(*sources))
    write_table(table, [b"x", *encoded(59)], group_rows=4)
    others.append(plan(*sources))
    assert len({job.text for job in (same, *others)}) == len(others) + 1


def test_a_folder_that_holds_something_else_is_left_alone(folder, table):
    job = plan(table)
    job.check(folder)
    folder.write("precious.txt", "x")
    with pytest.raises(UsageError, match=r"holds files, such as precious\.txt, and no job"):
        job.check(folder)
    folder.write(JOB, job.text)
    with pytest.raises(UsageError, match=r"holds precious\.txt, which is not part of the job"):
        job.check(folder)
    other = plan(table, raw=True, model=b"n")
    with pytest.raises(UsageError, match=r"with another model and another setting of --raw\."):
        other.check(folder)
    folder.write(JOB, "no JSON")
    with pytest.raises(UsageError, match="another version of apparel and another model"):
        job.check(folder)
