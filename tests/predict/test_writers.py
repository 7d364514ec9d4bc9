"""Predictions in files, read back by other programs."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from apparel.core.errors import UsageError
from apparel.core.records import FailedImage, Prediction
from apparel.predict import writers
from apparel.predict.writers import check_suffix, writing

NAMES = ("ant", 'b,"e"', "cät")
RANDOM = np.random.default_rng(0)


def answers(n, *, novelty=True):
    found = []
    for k in range(n):
        row = RANDOM.random(3, np.float32)
        found.append(
            Prediction(
                name=f"{k}, é.png",
                probabilities=row / row.sum(),
                class_names=NAMES,
                novelty=float(RANDOM.random()) if novelty else None,
            )
        )
    return [*found[:1], FailedImage(name="bad\n.png", problem='it is "broken"'), *found[1:]]


def write(path, parts, *, has_novelty=True):
    with writing(path, NAMES, has_novelty=has_novelty) as more:
        for part in parts:
            more(part)


def expected_rows(given):
    for answer in given:
        if isinstance(answer, FailedImage):
            yield answer.name, None, None, None, answer.problem, [None] * 3
        else:
            p = answer.probabilities
            yield answer.name, NAMES[p.argmax()], p.max(), answer.novelty, None, list(p)


def test_a_csv_table_restores_every_probability_bit_for_bit(tmp_path):
    given = answers(5)
    write(tmp_path / "o.csv", [given[:2], given[2:]])
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "label", "confidence", "novelty", "error", *NAMES]
    for row, (name, label, confidence, novelty, error, of_class) in zip(
        rows, expected_rows(given), strict=True
    ):
        assert row[:2] == [name, label or ""]
        assert row[4] == (error or "")
        if error:
            assert row[2:4] == ["", ""]
            assert row[5:] == ["", "", ""]
        else:
            assert np.float32(row[2]) == confidence
            assert float(row[3]) == pytest.approx(novelty, rel=1e-8)
            assert [np.float32(x) for x in row[5:]] == of_class


def test_json_lines_hold_the_same(tmp_path):
    given = answers(5)
    write(tmp_path / "o.jsonl", [given[:4], given[4:]])
    lines = (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()
    for line, (name, label, confidence, novelty, error, of_class) in zip(
        map(json.loads, lines), expected_rows(given), strict=True
    ):
        assert (line["file"], line["label"], line["error"]) == (name, label, error)
        assert line["novelty"] == novelty
        if error:
            assert line["confidence"] is line["probabilities"] is None
        else:
            assert np.float32(line["confidence"]) == confidence
            assert list(line["probabilities"]) == list(NAMES)
            assert [np.float32(x) for x in line["probabilities"].values()] == of_class


def test_parquet_holds_the_same(tmp_path):
    given = answers(5)
    write(tmp_path / "o.parquet", [given[:3], given[3:]])
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column_names == ["file", "label", "confidence", "novelty", "error", *NAMES]
    for row, (name, label, confidence, novelty, error, of_class) in zip(
        table.to_pylist(), expected_rows(given), strict=True
    ):
        assert (row["file"], row["label"], row["error"]) == (name, label, error)
        if not error:
            assert np.float32(row["confidence"]) == confidence
            assert row["novelty"] == pytest.approx(novelty, rel=1e-6)
        assert [row[name] and np.float32(row[name]) for name in NAMES] == of_class


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_model_that_tells_no_novelty_has_no_column_for_it(tmp_path, suffix):
    write(tmp_path / f"o.{suffix}", [answers(2, novelty=False)], has_novelty=False)
    assert b"novelty" not in (tmp_path / f"o.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_that_was_not_finished_is_not_there(tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    path.write_text("old")

    def parts():
        yield answers(3)
        raise KeyError

    with pytest.raises(KeyError):
        write(path, parts())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_without_a_format_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"end in \.csv, \.jsonl, \.parquet"):
        check_suffix(tmp_path / "o.txt")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_name_that_is_not_utf8_is_written(tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    write(path, [[FailedImage(name="a\udcff.png", problem="why")]])
    if suffix == "parquet":
        assert pq.read_table(path)["file"].to_pylist() == ["a\\xff.png"]
    elif suffix == "jsonl":
        assert json.loads(path.read_text("utf-8"))["file"] == "a\udcff.png"
    else:
        assert b"a\xff.png" in path.read_bytes()


def test_a_class_that_is_called_as_a_column_has_a_column_of_its_own(tmp_path):
    names = ("error", "probability of error", "label", "ant")
    columns = ["file", "label", "confidence", "error", "probability of probability of error",
               "probability of error", "probability of label", "ant"]  # fmt: skip
    row = np.array([0.5, 0.25, 0.125, 0.125], np.float32)
    answer = Prediction(name="a", probabilities=row, class_names=names)
    for suffix in (".csv", ".parquet"):
        with writing(tmp_path / f"o{suffix}", names, has_novelty=False) as more:
            more([answer])
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        header, values = csv.reader(file)
    assert header == columns
    assert values == ["a", "error", "0.5", "", "0.5", "0.25", "0.125", "0.125"]
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column_names == columns
    assert table["probability of label"].to_pylist() == [0.125]


def test_rows_of_a_parquet_file_are_grouped_however_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "GROUP_ROWS", 10)
    given = answers(25)
    write(tmp_path / "o.parquet", [given[k : k + 4] for k in range(0, len(given), 4)])
    metadata = pq.ParquetFile(tmp_path / "o.parquet").metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [12, 12, 2]
    assert pq.read_table(tmp_path / "o.parquet")["file"].to_pylist() == [a.name for a in given]
