"""`apparel predict --ray` on a made-up cluster, and its progress line."""

import io
import json

import pytest

from apparel.cli import main
from apparel.scale.job import JOB, RECORDS, SUCCESS, record_name
from apparel.scale.predict import ProgressLine
from tests.scale.images import encoded, plain_rows, rows_of


def run(*arguments):
    """The exit code of the command."""
    return main.main(["predict", *map(str, arguments), "--ray"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{t}"], 2, "--ray needs --output"),
        (["{t}", "--output", "o.txt"], 2, r"end in .csv, .jsonl, .parquet"),
        (["fashion-mnist:test", "--output", "o.csv"], 2, "cannot be divided"),
        (["{t}/none", "--output", "o.csv"], 3, "there is no file or folder"),
        (["{t}", "--output", "o.csv"], 1, "there is no Ray cluster at"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    fake_ray, model, table, tmp_path, monkeypatch, capsys, arguments, code, message
):
    fake_ray.fails["init"] = ConnectionError("no answer")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert run(table, table, "--output", "o.csv") == 4  # the model file is examined first
    capsys.readouterr()
    assert run(model, *(argument.format(t=table) for argument in arguments)) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_a_cluster_gives_the_rows_of_the_plain_command(fake_ray, model, table, tmp_path, capsys):
    (tmp_path / "d").mkdir()
    for k, image in enumerate(encoded(20)):
        (tmp_path / "d" / f"{k:03}.png").write_bytes(image)
    (tmp_path / "list.csv").write_text("path\nd/001.png\nmissing.png\n")
    sources = [tmp_path / "d", table, tmp_path / "list.csv"]
    output = tmp_path / "o.parquet"
    call = model, *sources, "--output", output
    assert run(*call) == 3
    printed = capsys.readouterr()
    assert f"Written: {output}, 82 images in 8 shards\n" in printed.out
    assert "4 of 82 images could not be read." in printed.out
    assert printed.err.splitlines() == ["8 of 8 shards to do"]
    found = rows_of(output)
    assert found == plain_rows(model, sources, tmp_path)
    assert [k for k, row in enumerate(found) if row["error"]] == [5, 25, 63, 81]
    names = {f"part-{k:05}.parquet" for k in range(8)}
    assert {path.name for path in output.iterdir()} == {*names, JOB, SUCCESS}
    counts = json.loads((output / SUCCESS).read_text())
    assert (counts["images"], counts["failed"], counts["parts"]) == (82, 4, 8)

    capsys.readouterr()
    n_calls = len(fake_ray.calls)
    assert run(*call) == 3
    assert f"Already there: {output}, 82 images in 8 shards\n" in capsys.readouterr().out
    assert run(*call, "--raw") == 2
    assert "another setting of --raw" in capsys.readouterr().err
    assert len(fake_ray.calls) == n_calls


def test_an_interrupted_job_is_resumed(fake_ray, model, table, tmp_path):
    output = tmp_path / "o.csv"
    call = model, table, "--output", f"file://{output}"
    assert run(*call) == 3
    complete = {path.name: path.read_bytes() for path in output.glob("part-*")}
    counts = json.loads((output / SUCCESS).read_text())
    # As it is when the command was killed at work on its second shard.
    (output / SUCCESS).unlink()
    (output / RECORDS).mkdir()
    for k, n_failed in {0: 1, 2: 0, 3: 1, 4: 0}.items():
        record = {"images": 12, "failed": n_failed, "unlike": 12 - n_failed, "steps": []}
        (output / record_name(k)).write_text(json.dumps(record))
    (output / record_name(1)).write_text(json.dumps({"session": "old", "tries": 1}))
    (output / "part-00001.csv").unlink()
    stamps = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    del fake_ray.calls[:]
    assert run(*call) == 3
    assert fake_ray.calls.count(("submit", "answer_shard", 1)) == 1
    assert {path.name: path.read_bytes() for path in output.glob("part-*")} == complete
    assert {n: (output / n).stat().st_mtime_ns for n in stamps} == stamps
    assert json.loads((output / SUCCESS).read_text()) == counts


# -- the progress line ----------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_tells_the_speed_of_the_recent_past():
    now = [0.0]
    stream = Terminal()
    line = ProgressLine(10_000, 1000, stream, clock=lambda: now[0])
    for seconds, n_images in [(10, 100), (40, 3000), (50, 1000), (60, 1000)]:
        now[0] = seconds
        line.advance(n_images)
    # In the last 30 seconds: 5,000 images from second 10 to second 60.
    assert str(line) == "6,100 of 10,000 images (61%), 100 images/s, about 39 s left"
    line.close()
    assert stream.getvalue().endswith(f"\r\x1b[K{line}\r\x1b[K")


def test_lines_in_a_file_are_ten_seconds_apart():
    now = [0.0]
    stream = io.StringIO()
    line = ProgressLine(40_000, 0, stream, clock=lambda: now[0])
    for seconds in range(1, 26):
        now[0] = seconds
        line.advance(1)
    line.close()
    assert stream.getvalue().splitlines() == [
        "10 of 40,000 images (0%), 1 images/s, about 11 h 6 min left",
        "20 of 40,000 images (0%), 1 images/s, about 11 h 6 min left",
    ]
    assert str(ProgressLine(100, 100, stream)).endswith("about an unknown time left")
