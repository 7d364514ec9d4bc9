"""Folders of runs, searches and seeds are taken by one process, and never over other files."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from apparel.core.errors import ModelFileError, UsageError
from apparel.core.records import Interval, SeedsResult, Spread
from apparel.core.settings import Settings
from apparel.runs import folder as folder_module
from apparel.runs import seed_folder
from apparel.runs.run_directory import RunDirectory
from apparel.runs.search_folder import Asked, SearchFolder
from apparel.runs.seed_folder import SeedRuns

SEEDS = SeedRuns(
    settings=Settings(model_name="fast", seed=3), n_seeds=3, source="x", data_dir=None, address=None
)
ASKED = Asked(
    source="x", data_dir=None, budget=1800.0, trials=None, seed=0, limit=None, ray=None
)  # fmt: skip
# What each kind leaves in a folder that it has taken.
TAKE = {
    "run": lambda path: (
        RunDirectory.create(path, name="fast", request={"settings": {}, "source": "x"}).path
    ),
    "seeds": lambda path: seed_folder.create(path, SEEDS),
    "search": lambda path: SearchFolder.create(path, ASKED).path,
}


def contents(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("kind", "end"), [("run", "fast"), ("seeds", "fast-seeds"), ("search", "tune")]
)
def test_by_default_a_folder_is_named_by_date_and_time_and_a_second_one_counts_on(
    kind, end, tmp_path, monkeypatch
):
    class Fixed(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(folder_module, "datetime", Fixed)
    monkeypatch.chdir(tmp_path)
    made = [TAKE[kind](None).as_posix() for _ in range(3)]
    stem = f"runs/2026-01-02-030405-{end}"
    assert made == [stem, f"{stem}-2", f"{stem}-3"]
    assert all(len(contents(tmp_path / path)) == 1 for path in made)


@pytest.mark.parametrize(
    ("kind", "what"), [("run", "a run"), ("seeds", "runs of several seeds"), ("search", "a search")]
)
def test_a_folder_of_unfinished_work_is_left_alone_by_all_and_can_be_resumed(kind, what, tmp_path):
    folder = TAKE[kind](tmp_path / "f")
    before = contents(folder)
    for take in TAKE.values():
        with pytest.raises(UsageError, match=f"f holds {what} not yet complete") as refused:
            take(folder)
        assert f"Resume with: apparel resume {folder}. Or name another" in str(refused.value)
    assert contents(folder) == before


def test_a_folder_is_taken_only_if_it_is_new_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "a" / "b", tmp_path / "empty"):
        assert TAKE["run"](folder) == folder
    (tmp_path / "thesis.txt").write_text("mine")
    before = contents(tmp_path)
    for path, why in {
        tmp_path: r"is not empty\. Name another with --run-dir\.",
        tmp_path / "thesis.txt": r"thesis\.txt is a file\. Name a folder",
        tmp_path / "thesis.txt" / "x": r"thesis\.txt/x cannot be written: Not a directory",
        Path("/proc/x"): r"/proc/x cannot be written: .*--run-dir",
    }.items():
        with pytest.raises(UsageError, match=why):
            TAKE["run"](path)
    assert contents(tmp_path) == before


# -- several seeds -----------------------------------------------------------------------


def test_seeds_are_read_back_and_follow_each_other(tmp_path):
    folder = seed_folder.create(tmp_path / "f", SEEDS)
    assert seed_folder.read(folder) == SEEDS
    each = SEEDS.each(folder)
    assert [settings.seed for settings, _ in each] == [3, 4, 5]
    assert [path.name for _, path in each] == ["seed-3", "seed-4", "seed-5"]
    assert seed_folder.runs_in(folder) == [path for _, path in each]
    assert seed_folder.runs_in(folder / "seed-3") == [folder / "seed-3"]


def test_metrics_that_all_runs_have_are_gathered_and_their_result_is_recorded(tmp_path):
    folder = seed_folder.create(tmp_path / "f", SEEDS)
    runs = seed_folder.runs_in(folder)
    for k, run in enumerate(runs):
        run.mkdir()
        metrics = {"n": 7, "accuracy": {"value": k / 4}, "report": "…", "f1": {"value": 1.0}}
        if k == 2:
            del metrics["f1"]
        (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert seed_folder.read_metrics(runs) == (7, {"accuracy": [0.0, 0.25, 0.5]})
    spread = Spread(values=(0.0, 0.25, 0.5), mean=Interval(0.25, 0.0, 0.5), deviation=0.25)
    seed_folder.complete(
        folder, SeedsResult(seeds=(3, 4, 5), n_images=7, metrics={"accuracy": spread})
    )
    record = json.loads((folder / "seeds.json").read_text())
    assert record["status"] == "complete"
    assert record["results"]["measures"]["accuracy"] == {
        "value": 0.25, "low": 0.0, "high": 0.5, "deviation": 0.25, "values": [0.0, 0.25, 0.5],
    }  # fmt: skip
    (runs[1] / "metrics.json").unlink()
    with pytest.raises(ModelFileError, match=r"seed-4/metrics\.json cannot be read"):
        seed_folder.read_metrics(runs)
    (folder / "seeds.json").write_text('{"settings": {"epochs": -1}}')
    with pytest.raises(ModelFileError, match="holds no record of the runs asked for"):
        seed_folder.read(folder)


# -- a search ----------------------------------------------------------------------------


def test_a_budget_is_divided_among_trials_and_two_full_trainings():
    assert (ASKED.search_seconds, ASKED.trial_seconds, ASKED.full_seconds) == (1080, 90, 360)
    assert replace(ASKED, trials=6).trial_seconds == 180
    assert replace(ASKED, budget=200.0).trial_seconds == 10  # the least
    assert (ASKED.settings().budget, ASKED.settings().model_name) == (360, "auto")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": 0}, "--trials must be a whole number of at least 1, but is 0"),
        (
            {"budget": 60.0},
            r"3\.0 s for each of 12 trials, .* Give --budget 200s or more, or fewer",
        ),
        ({"trials": 1000}, "for each of 1000 trials"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        replace(ASKED, **changes)


def test_a_search_leaves_no_trace_until_it_trains_and_is_resumed_until_it_is_complete(tmp_path):
    assert not SearchFolder.create(tmp_path / "s", ASKED).end("failed")
    assert contents(tmp_path) == []
    (tmp_path / "s").mkdir()
    assert not SearchFolder.create(tmp_path / "s", ASKED).end("failed")
    assert contents(tmp_path) == ["s"]
    folder = SearchFolder.create(tmp_path / "s", ASKED)
    folder.update(networks={})
    assert folder.end("interrupted")
    resumed = SearchFolder.resume(tmp_path / "s")
    assert (resumed.asked(), resumed.record()["status"]) == (ASKED, "interrupted")
    resumed.end("complete")
    with pytest.raises(UsageError, match="is complete"):
        SearchFolder.resume(tmp_path / "s")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "holds no search"),
        ('{"space": 0}', "in another search space"),
        ('{"space": 1, "asked": {"budget": 1}}', "holds no search asked for"),
    ],
)
def test_a_broken_record_of_a_search_is_refused(content, message, tmp_path):
    (tmp_path / "tune.json").write_text(content)
    with pytest.raises(ModelFileError, match=message):
        SearchFolder.resume(tmp_path).asked()
