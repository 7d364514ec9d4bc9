"""A trial: trained on validation alone, stopped, interrupted and resumed."""

import csv
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from apparel.core.errors import DataError, UsageError
from apparel.core.recipes import Plan
from apparel.core.settings import Settings
from apparel.data import arrays
from apparel.runs.run_directory import RunDirectory
from apparel.runs.search_folder import read_trials
from apparel.training import budget
from apparel.training import fit as fit_module
from apparel.training.progress import StepProgress
from apparel.training.tuning import trial
from apparel.training.tuning.space import DEFAULT
from apparel.training.tuning.trial import Trials, trial_images
from tests.training.conftest import made_images

NETWORKS = {"planned": (("fast", 16), ("fast", 32)), "cnn": (("cnn", None), ("cnn", None))}
CNN = {"network": "cnn", "learning_rate": 2.0, "batch_size": 0.25}
PASSES = 3


@pytest.fixture(scope="module")
def dataset():
    images, labels = made_images(90)
    pixels = np.rint(images[..., 0] * 255).astype(np.uint8)
    return arrays.from_arrays(
        pixels[:60], labels[:60], pixels[60:], labels[60:], class_names=tuple("abc"), source="x"
    )


@pytest.fixture
def trials(dataset, tmp_path, monkeypatch):
    """Trials of three epochs, which a clock would end at its own speed."""

    def plan(settings, **_):
        return Plan(
            model_name=settings.model_name, width=settings.width, images_per_second=1,
            passes=PASSES, seconds=6.0, validation_seconds=0.1,
        )  # fmt: skip

    monkeypatch.setattr(budget, "plan", plan)
    monkeypatch.setattr(fit_module, "TimeProgress", lambda _, steps, __: StepProgress(round(steps)))
    settings = Settings(budget=6.0, seed=2, dtype="float32")
    images = trial_images(dataset, settings, source="x", data_dir=None)
    return Trials(folder=tmp_path, networks=NETWORKS, settings=settings, images=images)


def record(trials, name="000"):
    return json.loads((trials.folder / "trials" / name / "settings.json").read_text())


def rows(trials, name="000"):
    with (trials.folder / "trials" / name / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_search_holds_images_out_to_validate_on_and_has_no_test_images(trials, dataset):
    splits = trials.images.splits
    assert len(splits.test_images) == len(splits.test_labels) == 0
    assert len(splits.training) + len(splits.validation) == len(dataset.train_labels) == 60
    assert splits.images_per_class["test"] == [0, 0, 0]
    without = replace(dataset, validation=np.zeros(0, np.int64))
    with pytest.raises(DataError, match="has 60 training images, too few to hold some out"):
        trial_images(without, Settings(), source="x", data_dir=None)


def test_a_trial_is_a_run_directory_that_says_how_it_was_trained(trials, monkeypatch):
    told = []

    def report(percent, accuracy):
        told.append((percent, accuracy))
        return True

    outcome = trials.run(0, dict(DEFAULT), report)
    kept = record(trials)
    assert (kept["status"], kept["settings"]["budget"]) == ("complete", 6.0)
    assert (kept["recipe"]["model_name"], kept["recipe"]["width"]) == ("fast", 16)
    assert kept["trial"] == {"number": 0, "parameters": dict(DEFAULT)}
    accuracies = [float(row["val_accuracy"]) for row in rows(trials)]
    assert outcome.accuracy == accuracies[-1]
    assert not outcome.stopped
    assert len(accuracies) == PASSES
    assert [accuracy for _, accuracy in told] == accuracies[:-1]
    assert all(0 < a < b < 100 for (a, _), (b, _) in itertools.pairwise(told))
    files = {path.name for path in outcome.directory.iterdir()}
    assert files == {"settings.json", "history.csv"}  # no weights, nothing of test images
    (read,) = read_trials(trials.folder)
    assert (read.number, read.state, read.accuracies) == (0, "complete", tuple(accuracies))
    assert read.recipe["learning_rate"] == 0.1

    def fit(*arguments, **options):
        pytest.fail("a finished trial was repeated")

    monkeypatch.setattr(fit_module, "fit", fit)
    assert trials.run(0, dict(DEFAULT), report) == outcome


@pytest.mark.slow
def test_a_poor_trial_is_stopped_where_its_report_says_so(trials):
    outcome = trials.run(0, CNN, lambda percent, accuracy: False)
    assert outcome.stopped
    assert record(trials)["status"] == "stopped"
    assert record(trials)["recipe"]["batch_size"] == 32
    assert len(rows(trials)) == 1
    assert outcome.accuracy == float(rows(trials)[0]["val_accuracy"])
    directory = RunDirectory(outcome.directory)
    assert not directory.can_resume
    assert not directory.checkpoints().exist
    with pytest.raises(UsageError, match="is stopped"):
        RunDirectory.resume(outcome.directory)
    assert "stopped early" in outcome.line(7)
    other = trials.run(0, CNN | {"batch_size": 0.5}, lambda percent, accuracy: False)
    assert other.directory.name == "001"  # its number is taken
    assert [each.number for each in read_trials(trials.folder)] == [0, 0]


@pytest.mark.slow
def test_an_interrupted_trial_resumes_from_its_checkpoint(trials, capsys):
    def interrupt(percent, accuracy):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trials.run(0, CNN, interrupt)
    assert record(trials)["status"] == "interrupted"
    before = rows(trials)
    assert len(before) == 1
    outcome = trials.run(0, CNN, lambda percent, accuracy: True)
    assert "Resuming after 1 epochs and 0 steps" in capsys.readouterr().out
    assert rows(trials)[:1] == before
    assert len(rows(trials)) == PASSES
    assert (record(trials)["status"], outcome.stopped) == ("complete", False)


def test_only_the_first_trial_must_fit_into_its_time(trials, monkeypatch):
    def plan(*arguments, **options):
        raise UsageError("a budget of 6 s is too short")

    monkeypatch.setattr(budget, "plan", plan)
    monkeypatch.setattr(trial, "_free_graphs", lambda: None)  # seconds in a long test session
    outcome = trials.run(1, CNN, lambda percent, accuracy: True)
    assert outcome.accuracy is None
    assert outcome.line(1) == "trial 1: not trained, since a budget of 6 s is too short"
    assert read_trials(trials.folder) == ()
    with pytest.raises(UsageError, match="too short"):
        trials.run(0, CNN, lambda percent, accuracy: True)
