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
every_format = pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])


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


def write(path, parts, *, names=NAMES, has_novelty=True):
    with writing(path, names, has_novelty=has_novelty) as more:
        for part in parts:
            more(part)


def read(path):
    """Read the rows of a file, by column; missing values are None."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="", errors="surrogateescape") as file:
        if path.suffix == ".csv":
            return [
                {column: value or None for column, value in row.items()}
                for row in csv.DictReader(file)
            ]
        rows = [json.loads(line) for line in file]
    return [row | (row.pop("probabilities") or dict.fromkeys(NAMES)) for row in rows]


@every_format
def test_a_file_restores_every_probability_bit_for_bit(tmp_path, suffix):
    given, path = answers(5), tmp_path / f"o.{suffix}"
    write(path, [given[:2], given[2:]])
    for row, answer in zip(read(path), given, strict=True):
        assert list(row) == ["file", "label", "confidence", "novelty", "error", *NAMES]
        assert row["file"] == answer.name
        if isinstance(answer, FailedImage):
            assert row["error"] == answer.problem
            assert {row[key] for key in ("label", "confidence", "novelty", *NAMES)} == {None}
        else:
            assert (row["label"], row["error"]) == (answer.label, None)
            assert np.float32(row["confidence"]) == answer.confidence
            assert float(row["novelty"]) == pytest.approx(answer.novelty, rel=1e-6)
            assert [np.float32(row[name]) for name in NAMES] == list(answer.probabilities)


@every_format
def test_a_model_that_tells_no_novelty_has_no_column_for_it(tmp_path, suffix):
    write(tmp_path / f"o.{suffix}", [answers(2, novelty=False)], has_novelty=False)
    assert b"novelty" not in (tmp_path / f"o.{suffix}").read_bytes()


def test_a_file_that_was_not_finished_is_not_there(tmp_path):
    path = tmp_path / "o.csv"
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


@every_format
def test_a_name_that_is_not_utf8_is_written(tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    write(path, [[FailedImage(name="a\udcff.png", problem="why")]])
    (row,) = read(path)
    assert row["file"] == ("a\\xff.png" if suffix == "parquet" else "a\udcff.png")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_class_that_is_called_as_a_column_has_a_column_of_its_own(tmp_path, suffix):
    names = ("error", "probability of error", "label", "ant")
    shares = np.array([0.5, 0.25, 0.125, 0.0625], np.float32)
    answer = Prediction(name="a", probabilities=shares, class_names=names)
    write(tmp_path / f"o.{suffix}", [[answer]], names=names, has_novelty=False)
    (row,) = read(tmp_path / f"o.{suffix}")
    assert list(row) == [
        "file", "label", "confidence", "error", "probability of probability of error",
        "probability of error", "probability of label", "ant",
    ]  # fmt: skip
    assert (row["label"], row["error"]) == ("error", None)
    assert [float(value) for value in list(row.values())[4:]] == shares.tolist()


def test_rows_of_a_parquet_file_are_grouped_however_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "GROUP_ROWS", 10)
    given = answers(25)
    write(tmp_path / "o.parquet", [given[k : k + 4] for k in range(0, len(given), 4)])
    metadata = pq.ParquetFile(tmp_path / "o.parquet").metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [12, 12, 2]
    assert pq.read_table(tmp_path / "o.parquet")["file"].to_pylist() == [a.name for a in given]
