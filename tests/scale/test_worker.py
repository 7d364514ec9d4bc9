"""The work of one shard, in this process."""

import json
import os
from dataclasses import replace
from multiprocessing import parent_process

import pytest

from apparel.core.errors import ApparelError
from apparel.data.inputs.shards import find_shards
from apparel.data.parquet.reader import ParquetReader
from apparel.predict import reading
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from apparel.scale import worker
from apparel.scale.job import JOB, JobFolder, record_name, shard_name
from apparel.scale.worker import Work, answer_shard, open_predictor
from tests.scale.images import plain_rows, rows_of


@pytest.fixture(scope="module")
def model_file(model):
    return read_model(model)


@pytest.fixture
def folder(tmp_path):
    return JobFolder(str(tmp_path / "job.parquet"))


@pytest.fixture
def work(model_file, folder):
    folder.write(JOB, "this job")
    worker._opened.clear()
    return Work(
        model=model_file,
        runtime=Predictor(model_file).runtime,
        exact=False,
        raw=False,
        output=folder.place,
        suffix=".parquet",
        job="this job",
        session="now",
    )


@pytest.fixture
def shards(table):
    return find_shards([str(table)], ParquetReader())


def test_a_shard_is_done_again_only_if_its_record_or_file_is_missing(work, folder, shards):
    counts = answer_shard(work, 0, shards[0])
    assert answer_shard(replace(work, model=None), 0, shards[0]) == counts
    folder.drop("_parts")
    again = answer_shard(work, 0, shards[0])
    assert {**again, "seconds": 0} == {**counts, "seconds": 0}


def test_a_shard_that_ends_its_process_is_given_up_at_last(work, folder, shards):
    folder.write(record_name(1), json.dumps({"session": "now", "tries": 3}))
    with pytest.raises(
        ApparelError, match=r"part-00001\.parquet ended the process .* 3 times: rows 12 to 23"
    ):
        answer_shard(work, 1, shards[1])
    folder.write(record_name(1), json.dumps({"session": "yesterday", "tries": 3}))
    assert answer_shard(work, 1, shards[1])["tries"] == 1


_read_task = reading._read_task


def read_or_die(task, **options):
    if any(name[-3:] == "#33" for name in task.names):
        assert parent_process() is not None  # not in the process of the worker
        os._exit(1)
    return _read_task(task, **options)


def test_after_a_death_the_image_to_blame_is_found(
    work, folder, table, shards, tmp_path, monkeypatch
):
    expected = plain_rows(work.model.path, [table], tmp_path)[24:36]
    monkeypatch.setattr(reading, "_read_task", read_or_die)
    folder.write(record_name(2), json.dumps({"session": "now", "tries": 1}))
    counts = answer_shard(work, 2, shards[2])
    assert (counts["failed"], counts["tries"]) == (1, 2)
    found = rows_of(tmp_path / "job.parquet" / shard_name(2, ".parquet"))
    assert found[9]["error"].startswith("t.parquet#33 kills the process that reads it")
    for row, other in zip(found[:9] + found[10:], expected[:9] + expected[10:], strict=True):
        assert (row["file"], row["label"]) == (other["file"], other["label"])


def test_a_node_that_does_not_fit_is_named(work):
    with pytest.raises(ApparelError, match=r"does not see what is in .*that all nodes share"):
        open_predictor(replace(work, job="another"))
    with pytest.raises(ApparelError, match=r"would compute with .*, and this job with Abacus 1"):
        open_predictor(replace(work, runtime="Abacus 1"))
