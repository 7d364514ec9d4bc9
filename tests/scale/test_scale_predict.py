"""`apparel predict --ray`: on a real cluster of two nodes, and its pieces in this process."""

import csv
import errno
import io
import json
import os
import signal
import sys
import threading
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from PIL import Image

from apparel.cli import main
from apparel.cli.predict import predict_files
from apparel.core.atomic_files import PARTIAL
from apparel.core.errors import ApparelError, DataError, ModelFileError, UsageError
from apparel.core.records import FailedImage, Prediction
from apparel.data.inputs import find_parts, finding
from apparel.data.parquet.rows import RowsHere
from apparel.predict import reading
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from apparel.reporting.text import PredictionNotes
from apparel.scale import job as job_module
from apparel.scale import predict
from apparel.scale.job import JOB, SUCCESS, part_name, record_name
from apparel.scale.job_folder import RECORDS, open_folder
from apparel.scale.progress_line import RateLine
from apparel.scale.silence import only_ours
from apparel.scale.worker import Work, answer_part, open_predictor, problem_of, raise_problem
from tests.made_model import MadeModel
from tests.scale.cluster import two_nodes

# Of Ray's own settings, when it reads them.
pytestmark = pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning")

SHAPE = (8, 9, 1)
N_IMAGES = 300
BROKEN = {5, 222}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return MadeModel(tmp_path_factory.mktemp("model") / "m.onnx", SHAPE, novelty_threshold=1.0).path


def encoded(n, seed=0):
    """PNG files of random pixels, some of them broken."""
    draw = np.random.default_rng(seed)
    found = []
    for k in range(n):
        content = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, SHAPE[:2], dtype=np.uint8)).save(content, "png")
        found.append(b"broken" if k in BROKEN else content.getvalue())
    return found


@pytest.fixture(scope="module")
def images():
    return encoded(N_IMAGES)


@pytest.fixture
def table(tmp_path, images):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": images}), path, row_group_size=20)
    return path


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(finding, "FILES", 60)


def rows_of(place):
    """All rows of a data set, in order."""
    return pa.dataset.dataset(str(place), format="parquet").to_table().to_pylist()


def plain_rows(model, sources, folder, **options):
    predict_files(model, sources, output=folder / "plain.parquet", **options)
    return rows_of(folder / "plain.parquet")


# -- pieces: the job and its folder ------------------------------------------------------------


@pytest.fixture(params=["local", "stored"])
def folder(request, tmp_path):
    place = tmp_path / "job.parquet"
    return open_folder(str(place) if request.param == "local" else f"file://{place}")


def test_a_folder_holds_whole_files(folder):
    assert folder.names() == set()
    assert folder.read("a") is None
    folder.write("a", "text ä")
    folder.write(f"{RECORDS}/b", "more")
    folder.write(f"{RECORDS}/b", "other")
    with folder.target("c.csv") as path:
        path.write_bytes(b"content")
    assert folder.names() == {"a", "c.csv", RECORDS}
    assert folder.names(RECORDS) == {"b"}
    assert (folder.read("a"), folder.read(f"{RECORDS}/b")) == ("text ä", "other")
    assert folder.has("c.csv")
    assert not folder.has("d")
    folder.drop(RECORDS)
    folder.drop(RECORDS)
    folder.clean()
    assert folder.names() == {"a", "c.csv"}


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "x.csv").touch()
    with pytest.raises(UsageError, match=r"x\.csv is a file"):
        open_folder(str(tmp_path / "x.csv"))


def plan(*paths, **changed):
    options = {"suffix": ".csv", "model": b"m", "runtime": "r", "raw": False} | changed
    return job_module.plan(find_parts([str(p) for p in paths], RowsHere()), **options)


def test_a_job_is_known_by_all_that_its_answers_depend_on(tmp_path, table):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    sources = tmp_path / "a.png", table
    same = plan(*sources)
    assert same.text == plan(*sources).text
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
    pq.write_table(pa.table({"image": [b"x"] * N_IMAGES}), table, row_group_size=20)
    others.append(plan(*sources))
    assert len({job.text for job in (same, *others)}) == len(others) + 1


def test_a_worker_finds_files_from_any_folder(tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"x")
    files, rows = plan("a.png", "t.parquet").parts
    assert files.names == ("a.png",)
    assert files.places == (str(tmp_path / "a.png"),)
    assert rows.place == str(table)


def test_a_folder_that_holds_something_else_is_left_alone(folder, table):
    job = plan(table)
    job_module.check(folder, job)
    folder.write("precious.txt", "x")
    with pytest.raises(UsageError, match=r"holds files, such as precious\.txt, and no job"):
        job_module.check(folder, job)
    folder.write(JOB, job.text)
    with pytest.raises(UsageError, match=r"holds precious\.txt, which is no part of the job"):
        job_module.check(folder, job)
    other = plan(table, raw=True, model=b"n")
    with pytest.raises(UsageError, match=r"with another model and another setting of --raw\."):
        job_module.check(folder, other)
    folder.write(JOB, "no JSON")
    with pytest.raises(UsageError, match="another version of apparel and another model"):
        job_module.check(folder, job)


# -- pieces: what a worker does ---------------------------------------------------------------


@pytest.fixture
def work(model, folder):
    folder.write(JOB, "this job")
    file = read_model(model)
    return Work(
        model=file,
        runtime=Predictor(file).runtime,
        exact=False,
        raw=False,
        output=folder.place,
        suffix=".parquet",
        job="this job",
        session="now",
    )


def test_a_part_is_answered_as_by_the_plain_command(work, folder, table, small_parts, tmp_path):
    parts = find_parts([str(table)], RowsHere())
    assert [part.n_images for part in parts] == [60] * 5
    predictor = open_predictor(work)
    counts = [answer_part(work, predictor, k, part) for k, part in enumerate(parts)]
    expected = plain_rows(work.model.path, [str(table)], tmp_path)
    found = [
        row
        for k in range(5)
        for row in rows_of(tmp_path / "job.parquet" / part_name(k, ".parquet"))
    ]
    assert found == expected
    assert [k for k, row in enumerate(found) if row["error"]] == sorted(BROKEN)
    assert [count["failed"] for count in counts] == [1, 0, 0, 1, 0]
    assert sum(count["images"] for count in counts) == N_IMAGES
    assert json.loads(folder.read(record_name(3))) == counts[3]


def test_a_part_that_is_done_is_not_done_again(work, folder, table):
    (part,) = find_parts([str(table)], RowsHere())
    counts = answer_part(work, open_predictor(work), 0, part)
    assert answer_part(work, None, 0, part) == counts  # with nothing that could do it


def test_a_part_of_which_nobody_knows_what_was_counted_is_done_again(work, folder, table):
    job = plan(table, suffix=".parquet")
    counts = answer_part(work, open_predictor(work), 0, job.parts[0])
    assert job_module.missing(folder, job) == []
    folder.drop(RECORDS)
    assert job_module.missing(folder, job) == [0]
    again = answer_part(work, open_predictor(work), 0, job.parts[0])
    assert {**again, "seconds": 0} == {**counts, "seconds": 0}


def test_what_is_counted_in_parts_adds_up():
    names = ("ant", "bee")
    steps = [("negated",), (), ("trimmed", "negated")]
    answers = [
        Prediction(
            name=f"{k}",
            probabilities=np.array([0.25, 0.75], np.float32),
            class_names=names,
            novelty=k / 4,
            steps=steps[k % 3],
        )
        for k in range(9)
    ]
    answers.append(FailedImage(name="x", problem="broken"))
    whole, parts = PredictionNotes(), PredictionNotes()
    whole.add(answers)
    for some in (answers[:4], answers[4:8], answers[8:]):
        part = PredictionNotes()
        part.add(some)
        parts.add_counts(json.loads(json.dumps(part.counts())))
    assert parts.lines() == whole.lines()
    assert "4 of 10 images are unlike" in whole.lines()


def test_a_part_that_ends_its_process_is_given_up_at_last(work, folder, table):
    (part,) = find_parts([str(table)], RowsHere())
    folder.write(record_name(7), json.dumps({"session": "now", "tries": 3}))
    with pytest.raises(
        ApparelError, match=r"part-00007\.parquet ended the process .* 3 times: rows 0 to 299"
    ):
        answer_part(work, None, 7, part)
    folder.write(record_name(7), json.dumps({"session": "yesterday", "tries": 3}))
    assert answer_part(work, open_predictor(work), 7, part)["tries"] == 1


_read_task = reading._read_task


def read_or_die(task, **options):
    if any(name[-3:] == "#33" for name in task.names):
        assert parent_process() is not None  # not in the process of the worker
        os._exit(1)
    return _read_task(task, **options)


def test_after_a_death_the_image_to_blame_is_found(work, folder, table, tmp_path, monkeypatch):
    expected = plain_rows(work.model.path, [str(table)], tmp_path)
    monkeypatch.setattr(reading, "_read_task", read_or_die)
    (part,) = find_parts([str(table)], RowsHere())
    folder.write(record_name(0), json.dumps({"session": "now", "tries": 1}))
    counts = answer_part(work, open_predictor(work), 0, part)
    assert (counts["failed"], counts["tries"]) == (3, 2)
    found = rows_of(tmp_path / "job.parquet" / part_name(0, ".parquet"))
    assert found[33]["error"].startswith("t.parquet#33 kills the process that reads it")
    for row, other in zip(found[:33] + found[34:], expected[:33] + expected[34:], strict=True):
        assert row["file"] == other["file"]
        assert row["label"] == other["label"]


def test_a_node_that_does_not_fit_is_named(work):
    with pytest.raises(ApparelError, match=r"does not see what is in .*that all nodes share"):
        open_predictor(replace(work, job="another"))
    with pytest.raises(ApparelError, match=r"would compute with .*, and this job with Abacus 1"):
        open_predictor(replace(work, runtime="Abacus 1"))


@pytest.mark.parametrize(
    "error",
    [ApparelError("a"), DataError("b"), ModelFileError("c"), UsageError("d"),
     OSError(errno.ENOSPC, "No space left on device", "/x/part-00000.csv")],
)  # fmt: skip
def test_an_error_of_a_worker_is_raised_here(error):
    with pytest.raises(type(error)) as raised:
        raise_problem(json.loads(json.dumps(problem_of(error))))
    assert str(raised.value) == str(error)


# -- pieces: what is told -----------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_tells_the_speed_of_the_recent_past():
    now = [0.0]
    stream = Terminal()
    line = RateLine(10_000, 1000, stream, clock=lambda: now[0])
    for seconds, n_images in [(10, 100), (40, 3000), (50, 1000), (60, 1000)]:
        now[0] = seconds
        line.advance(n_images)
    # Of the last 30 seconds: 5,000 images from second 10 to second 60.
    assert str(line) == "6,100 of 10,000 images (61%), 100 images/s, about 39 s left"
    line.close()
    assert stream.getvalue().endswith(f"\r\x1b[K{line}\r\x1b[K")


def test_lines_in_a_file_are_ten_seconds_apart():
    now = [0.0]
    stream = io.StringIO()
    line = RateLine(40_000, 0, stream, clock=lambda: now[0])
    for seconds in range(1, 26):
        now[0] = seconds
        line.advance(1)
    line.close()
    assert stream.getvalue().splitlines() == [
        "10 of 40,000 images (0%), 1 images/s, about 11 h 6 min left",
        "20 of 40,000 images (0%), 1 images/s, about 11 h 6 min left",
    ]
    assert str(RateLine(100, 100, stream)).endswith("about an unknown time left")


def test_what_others_print_goes_nowhere(capfd):
    with only_ours() as stream:
        print("Ray says")
        os.write(2, b"its core says")
        print("we say", file=stream)
    print("after", file=sys.stderr)
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["we say", "after"]


# -- the command, wrongly used -----------------------------------------------------------------


def ray(*arguments):
    """The exit code of the command."""
    return main.main(["predict", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{t}", "--ray"], 2, "--ray needs --output"),
        (["{t}", "--output", "o.txt", "--ray"], 2, r"end in .csv, .jsonl, .parquet"),
        (["-", "--output", "o.csv", "--ray"], 2, "- cannot be divided among workers"),
        (["fashion-mnist:test", "--output", "o.csv", "--ray"], 2, "cannot be divided"),
        (["{t}", "--output", "o.csv", "--explain", "d", "--ray"], 2, "--explain makes pictures"),
        (["{t}/none", "--output", "o.csv", "--ray"], 3, "there is no file or folder"),
        (["{t}", "--output", "o.csv", "--ray", "127.0.0.1:1"], 1, "there is no Ray cluster at"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    model, table, tmp_path, monkeypatch, capsys, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert ray(model, *(argument.format(t=table) for argument in arguments)) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert told.err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_a_model_file_is_looked_at_first(tmp_path, table, capsys):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert ray(tmp_path / "m.onnx", table, "--output", tmp_path / "o.csv", "--ray") == 4
    assert not (tmp_path / "o.csv").exists()


def test_without_ray_the_package_is_named(model, table, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert ray(model, table, "--output", tmp_path / "o.csv", "--ray") == 1
    assert "pip install 'apparel[ray]'" in capsys.readouterr().err


# -- on a cluster --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as nodes:
        yield nodes


def test_a_cluster_gives_the_rows_of_the_plain_command(
    cluster, model, table, images, tmp_path, small_parts, capsys
):
    (tmp_path / "d").mkdir()
    for k, image in enumerate(images[:100]):
        (tmp_path / "d" / f"{k:03}.png").write_bytes(image)
    (tmp_path / "list.csv").write_text("path\nd/001.png\nmissing.png\n")
    sources = [tmp_path / "d", table, tmp_path / "list.csv"]
    output = tmp_path / "o.parquet"
    call = model, *sources, "--output", output, "--ray", cluster.address
    assert ray(*call) == 3
    told = capsys.readouterr()
    assert f"Written: {output}, 402 images in 8 parts\n" in told.out
    assert "4 of 402 images could not be read." in told.out
    assert "raylet" not in told.out + told.err
    assert rows_of(output) == plain_rows(model, [str(s) for s in sources], tmp_path)
    names = {f"part-{k:05}.parquet" for k in range(8)}
    assert {path.name for path in output.iterdir()} == {*names, JOB, SUCCESS}
    counts = json.loads((output / SUCCESS).read_text())
    assert (counts["images"], counts["failed"], counts["parts"]) == (402, 4, 8)

    capsys.readouterr()
    assert ray(*call) == 3
    assert f"Already there: {output}, 402 images in 8 parts\n" in capsys.readouterr().out
    assert ray(*call, "--raw") == 2
    assert "another setting of --raw" in capsys.readouterr().err


def test_a_job_that_was_broken_off_goes_on(cluster, model, table, tmp_path, small_parts, capsys):
    output = tmp_path / "o.csv"
    call = model, table, "--output", f"file://{output}", "--ray", cluster.address
    assert ray(*call) == 3
    complete = {path.name: path.read_bytes() for path in output.glob("part-*")}
    counts = json.loads((output / SUCCESS).read_text())
    # As it would be, had the command been killed at work on its second part.
    (output / SUCCESS).unlink()
    records = {0: (60, 1), 2: (60, 0), 3: (60, 1), 4: (60, 0)}
    (output / RECORDS).mkdir()
    for k, (n_images, n_failed) in records.items():
        told = {"images": n_images, "failed": n_failed, "unlike": n_images - n_failed, "steps": []}
        (output / record_name(k)).write_text(json.dumps(told))
    (output / record_name(1)).write_text(json.dumps({"session": "old", "tries": 1}))
    (output / "part-00001.csv").unlink()
    stamps = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    assert ray(*call) == 3
    assert {path.name: path.read_bytes() for path in output.glob("part-*")} == complete
    assert {n: (output / n).stat().st_mtime_ns for n in stamps} == stamps
    assert json.loads((output / SUCCESS).read_text()) == counts
    with (output / "part-00001.csv").open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [
            f"t.parquet#{k}" for k in range(60, 120)
        ]


def test_a_part_that_cannot_be_done_ends_the_job(
    cluster, model, table, tmp_path, small_parts, capsys, monkeypatch
):
    output = tmp_path / "o.csv"
    find = predict.find_parts

    def changed(*arguments):
        found = find(*arguments)
        pq.write_table(pa.table({"image": [b"x"] * 20}), table)  # after the job was planned
        return found

    monkeypatch.setattr(predict, "find_parts", changed)
    assert ray(model, table, "--output", output, "--ray", cluster.address) == 3
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"apparel: {table} ")
    assert not (output / SUCCESS).exists()
    assert not list(output.glob("part-*"))


def killed_during(call, output, strike, *, after):
    """Run the command, and do something once some parts are done; the parts that there were."""
    stamps = {}
    ended = threading.Event()

    def watch():
        while len(done := list(output.glob("part-*"))) < after:
            if ended.wait(0.01):
                return
        stamps.update({path: path.stat().st_mtime_ns for path in done})
        strike()

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = ray(*call)
    ended.set()
    watcher.join()
    assert stamps
    return code, stamps


def worker_processes():
    """Processes of this machine that answer parts."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "PartWorker" in " ".join(process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("what", ["worker", "node"])
def test_what_is_killed_loses_nothing(cluster, model, tmp_path, monkeypatch, what, capsys):
    monkeypatch.setattr(finding, "FILES", 500)
    source = tmp_path / "t.parquet"
    many = encoded(1000) * 20
    pq.write_table(pa.table({"image": many}), source, row_group_size=500)
    output = tmp_path / "o.parquet"
    others = {process.pid for process in worker_processes()}

    def strike():
        if what == "node":
            cluster.kill_node()
        else:
            os.kill(next(p.pid for p in worker_processes() if p.pid not in others), signal.SIGKILL)

    call = model, source, "--output", output, "--ray", cluster.address
    code, stamps = killed_during(call, output, strike, after=2)
    if what == "node":
        cluster.add_node()
    assert code == 3
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert rows_of(output) == plain_rows(model, [str(source)], tmp_path)
    assert not [path for path in output.iterdir() if path.name.endswith(PARTIAL)]
    assert "raylet" not in capsys.readouterr().out
