"""Interrupted training resumes as if nothing had happened, bit for bit.

Each component first: its state, restored, gives the same next values. Then trainings of every
kind, killed and resumed.
"""

import sys
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from apparel.core.backend import NumberFormat
from apparel.core.errors import ModelFileError
from apparel.core.recipes import RECIPES, Plan, recipe_of
from apparel.core.records import Splits
from apparel.core.settings import Settings
from apparel.models import architectures
from apparel.runs.checkpoints import Checkpoint, CheckpointFolder
from apparel.training import fit as fit_module
from apparel.training import progress as progress_module
from apparel.training import progress_bar
from apparel.training.augmentation import TrainingBatches
from apparel.training.callbacks import EpochLog
from apparel.training.checkpointing import Checkpointing, ModelState
from apparel.training.infobatch import LossFeedback
from apparel.training.progress import LAG, StepProgress, TimeProgress
from tests.training.conftest import N_CLASSES, SHAPE, Model, made_images

FLOAT32 = NumberFormat("float32", "asked for")
BFLOAT16 = NumberFormat("mixed_bfloat16", "asked for")
CNN = {"model_name": "cnn", "batch_size": 60}
FAST = {"model_name": "fast", "width": 8, "batch_size": 60}


def through_file(state: dict, folder) -> dict:
    """A state as it comes back from a checkpoint."""
    checkpoints = CheckpointFolder(folder, "test")
    checkpoints.save(Checkpoint(0, {"component": state}))
    return checkpoints.load().parts["component"]


# -- components -------------------------------------------------------------------------


def drawing(images, *, prune):
    """Batches of images that are augmented in every way, with the parts that they depend on."""
    recipe = replace(RECIPES["fast"], batch_size=2, prune=prune, flip=True, shift=1, erase=0.5)
    progress = StepProgress(200)
    progress.set_model(Model())
    feedback = LossFeedback(len(images), progress) if prune else None
    labels = np.eye(len(images), dtype=np.float32)
    batches = TrainingBatches(images, labels, recipe, seed=1, progress=progress, feedback=feedback)
    return batches, progress, feedback


def step(batch, progress, feedback):
    """Train on a batch: the loss of each image depends on its number."""
    progress.on_train_batch_end(0)
    if feedback:
        feedback.measured(batch[1].argmax(axis=1).astype(np.float32))


@pytest.mark.parametrize("prune", [0.0, 0.5])
@pytest.mark.parametrize("ahead", [1, LAG])
def test_batches_and_losses_continue_after_the_last_step(tmp_path, prune, ahead):
    images = np.random.default_rng(0).random((9, 5, 6, 1), dtype=np.float32)
    first, second = drawing(images, prune=prune), drawing(images, prune=prune)
    drawn = list(islice(first[0], ahead))
    for _ in range(29):
        step(drawn.pop(0), *first[1:])
        drawn.append(next(first[0]))
    for one, other in zip(first, second, strict=True):
        if one:
            other.restore(through_file(one.state(), tmp_path))
    for expected in drawn:
        batch = next(second[0])
        for found, array in zip(batch, expected, strict=True):
            np.testing.assert_array_equal(found, array)
        step(batch, *second[1:])
    assert second[1].steps == 29 + ahead


def eager_copy(options):
    """A compiled training copy, which trains without a graph."""
    settings = Settings(**options)
    model = fit_module.compiled_model(settings, n_classes=N_CLASSES, img_shape=SHAPE)
    copy = fit_module.compiled_copy(model, recipe_of(settings), FLOAT32, 8)
    copy.run_eagerly = True
    return copy


@pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning")  # without a graph
@pytest.mark.parametrize("options", [CNN, FAST], ids=["adam", "muon"])
def test_a_model_continues_with_its_optimizer_dropout_and_metrics(tmp_path, options):
    images, labels = made_images(32)
    batches = images.reshape(4, 8, *SHAPE), np.eye(N_CLASSES)[labels].reshape(4, 8, -1)
    first, second = eager_copy(options), eager_copy(options)

    def train(model, steps):
        return [model.train_on_batch(*(array[k] for array in batches)) for k in steps]

    train(first, (0, 1))
    state = ModelState(second)
    state.restore(through_file(ModelState(first).state(), tmp_path))
    second.reset_metrics()  # as Keras does before an epoch
    state.restore_metrics()
    np.testing.assert_equal(train(second, (2, 3)), train(first, (2, 3)))
    np.testing.assert_equal(ModelState(second).state(), ModelState(first).state())
    other = {**ModelState(first).state(), "layer_000": np.zeros(1)}
    with pytest.raises(ModelFileError, match=r"the last checkpoint is of another model\. Train ag"):
        state.restore(other)


class Request:
    """A signal that may come."""

    signal = None

    def obey(self):
        if self.signal:
            raise KeyboardInterrupt


def checkpointing(folder, **options):
    """Checkpoints of a training of two epochs with three steps each."""
    progress = StepProgress(6)
    log = EpochLog(progress, 3)
    made = Checkpointing(
        SimpleNamespace(state=dict, restore=lambda state: None, restore_metrics=lambda: None),
        {"log": log, "progress": progress},
        log,
        progress,
        options.pop("request", Request()),
        folder=CheckpointFolder(folder, "test"),
        **{"every": None} | options,
    )
    for callback in (progress, log, made):
        callback.set_model(Model())
    made.resume()

    def train(steps=0, *, epoch_ends=False):
        for _ in range(steps):
            for callback in (progress, log, made):
                callback.on_train_batch_end(0)
        if epoch_ends:
            for callback in (log, made):
                callback.on_epoch_end(log.epoch, {"loss": 1.0})

    return train


def saved(folder):
    """Steps of the checkpoints that are kept."""
    return sorted(int(path.name[:9]) for path in folder.iterdir()) if folder.exists() else []


def test_a_checkpoint_is_written_before_training_and_after_each_epoch(tmp_path):
    train = checkpointing(tmp_path)
    assert saved(tmp_path) == [0]
    train(3)
    assert saved(tmp_path) == [0]
    train(epoch_ends=True)
    assert saved(tmp_path) == [0, 3]
    train(3, epoch_ends=True)
    assert saved(tmp_path) == [3, 6]
    checkpointing(tmp_path / "other worker", writes=False)(3, epoch_ends=True)
    assert saved(tmp_path / "other worker") == []
    train = checkpointing(tmp_path / "due at once", every=0.0)
    for expected in ([0, 1], [1, 2], [1, 2]):  # not before the validation of an epoch
        train(1)
        assert saved(tmp_path / "due at once") == expected


def test_a_signal_stops_training_after_a_checkpoint(tmp_path):
    request = Request()
    train = checkpointing(tmp_path, request=request)
    train(1)
    request.signal = 2
    with pytest.raises(KeyboardInterrupt):
        train(1)
    assert saved(tmp_path) == [0, 2]
    train = checkpointing(tmp_path, request=request)
    train(1)  # the last step of an epoch: its validation comes first
    with pytest.raises(KeyboardInterrupt):
        train(epoch_ends=True)
    assert saved(tmp_path) == [2, 3]


def test_resumed_training_says_where_it_is_and_refuses_other_components(tmp_path, capsys):
    train = checkpointing(tmp_path, every=0.0)
    train(3, epoch_ends=True)
    train(1)
    assert capsys.readouterr().out == ""
    checkpointing(tmp_path)
    assert capsys.readouterr().out == "Resuming after 1 epochs and 1 steps\n"
    folder = CheckpointFolder(tmp_path, "test")
    found = folder.load()
    folder.save(Checkpoint(9, {"log": found.parts["log"]}))
    with pytest.raises(ModelFileError, match="of another model"):
        checkpointing(tmp_path)


# -- whole trainings --------------------------------------------------------------------

PLAN = Plan(
    model_name="fast", width=8, images_per_second=1000, passes=4, seconds=5.0,
    validation_seconds=0.1,
)  # fmt: skip

# Number format and settings; nine steps per epoch.
TRAININGS = {
    "cnn": (FLOAT32, {**CNN, "epochs": 2, "weight_averaging": 0.6}),
    "fast": (FLOAT32, {**FAST, "epochs": 2}),
    "cnn with patience": (FLOAT32, {**CNN, "epochs": 9, "patience": 1, "learning_rate": 0.004}),
    "fast in bfloat16": (BFLOAT16, {**FAST, "epochs": 3}),
    "best, moved and erased": (FLOAT32, {**FAST, "model_name": "best", "epochs": 14,
                                         "batch_size": 180}),
}  # fmt: skip


class Killed(BaseException):
    """What stands for SIGKILL within this process."""


@pytest.fixture(scope="module")
def weighted(splits: Splits) -> Splits:
    """Images with class weights."""
    return replace(splits, class_weights=np.linspace(0.5, 1.5, N_CLASSES, dtype=np.float32))


@pytest.fixture
def fit(weighted, monkeypatch):
    """Train, and be killed at a step if asked."""

    def run(number_format, changes, folder=None, *, kill_at=None, plan=None, every=1e-9):
        class Killing(progress_bar.EpochLines):
            steps = 0

            def on_train_batch_end(self, batch, logs=None):
                self.steps += 1
                if self.steps == kill_at:
                    raise Killed

        monkeypatch.setattr(fit_module, "progress_display", lambda *a: Killing(*a, sys.stderr))
        settings = Settings(**changes, seed=3, checkpoint_every=every)
        model = fit_module.compiled_model(settings, n_classes=N_CLASSES, img_shape=SHAPE)
        checkpoints = CheckpointFolder(folder, "test") if folder else None
        history = fit_module.fit(
            model, weighted, settings, number_format, plan=plan, checkpoints=checkpoints
        )
        state = [np.array(variable) for variable in model.optimizer.variables]
        return architectures.weights_sha256(model), history.history, history.restored_epoch, state

    return run


def same(first, second):
    np.testing.assert_equal(first[3], second[3])
    assert first[:3] == second[:3]


@pytest.fixture(scope="module")
def results():
    """Results of uninterrupted trainings, by their names."""
    return {}


def check_resume(fit, results, folder, name, *, every, kills):
    """Kill a training, resume it, and compare it with one that was not killed."""
    number_format, changes = TRAININGS[name]
    if name not in results:
        results[name] = fit(number_format, changes)
    for kill_at in kills:
        with pytest.raises(Killed):
            fit(number_format, changes, folder, kill_at=kill_at, every=every)
    same(fit(number_format, changes, folder, every=None), results[name])


def test_killed_training_resumes_bit_for_bit(fit, results, tmp_path):
    check_resume(fit, results, tmp_path, "cnn", every=1e-9, kills=[4])


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize(
    ("every", "kills"), [(None, (5, 12)), (1e-9, (5, 7))], ids=["epochs", "steps"]
)
def test_training_of_any_kind_resumes_bit_for_bit(fit, results, tmp_path, name, every, kills):
    check_resume(fit, results, tmp_path, name, every=every, kills=kills)
    same(fit(*TRAININGS[name], tmp_path, kill_at=1), results[name])  # nothing is left to train


@pytest.fixture
def uneven_clock(monkeypatch):
    """A clock on which each reading takes up to 0.2 seconds, another time in each run."""
    random = np.random.default_rng(0)
    now = [0.0]

    def read():
        now[0] += random.uniform(0, 0.2)
        return now[0]

    monkeypatch.setattr(progress_module, "time", SimpleNamespace(perf_counter=read))


@pytest.mark.slow
@pytest.mark.usefixtures("uneven_clock")
def test_the_readings_of_the_clock_determine_a_budget(fit, tmp_path, monkeypatch):
    changes = {**FAST, "budget": 10.0}
    with pytest.raises(Killed):
        fit(FLOAT32, changes, tmp_path, kill_at=15, plan=PLAN)
    expected = fit(FLOAT32, changes, tmp_path, plan=PLAN)
    assert fit(FLOAT32, changes, plan=PLAN)[0] != expected[0]
    readings = CheckpointFolder(tmp_path, "test").load().parts["progress"]["readings"]
    assert len(readings) > 10

    def replayed(*_):
        progress = TimeProgress(PLAN.seconds, 1)
        progress.restore({"steps": 0, "readings": readings})
        return progress

    monkeypatch.setattr(fit_module, "TimeProgress", replayed)
    same(fit(FLOAT32, changes, plan=PLAN), expected)
