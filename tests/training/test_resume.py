"""Training that is broken off and goes on ends as if nothing had happened, bit for bit."""

import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from apparel.core import backend
from apparel.core.backend import NumberFormat
from apparel.core.errors import ModelFileError
from apparel.core.records import Splits
from apparel.core.settings import Plan, Settings
from apparel.data import loading
from apparel.data.splits import prepare
from apparel.models import architectures
from apparel.runs.checkpoints import CheckpointFolder
from apparel.training import fit as fit_module
from apparel.training import learning_rate, progress_bar, setup
from apparel.training.learning_rate import TimeCourse

FLOAT32 = NumberFormat("float32", "asked for")
BFLOAT16 = NumberFormat("mixed_bfloat16", "asked for")
FAST = {"model_name": "fast", "width": 8, "batch_size": 60}
PLAN = Plan(
    model_name="fast", width=8, images_per_second=1000, passes=4, seconds=5.0,
    validation_seconds=0.1,
)  # fmt: skip

# Name, number format, settings; nine steps an epoch.
TRAININGS = {
    "cnn": (FLOAT32, {"epochs": 3, "batch_size": 64, "weight_averaging": 0.6}),
    "cnn with patience": (FLOAT32, {"epochs": 9, "batch_size": 64, "patience": 1,
                                    "learning_rate": 0.004}),
    "fast": (FLOAT32, {**FAST, "epochs": 4}),
    "fast in bfloat16": (BFLOAT16, {**FAST, "epochs": 3}),
    "best, moved and erased": (FLOAT32, {**FAST, "model_name": "best", "epochs": 14,
                                         "batch_size": 180}),
}  # fmt: skip


class Killed(BaseException):
    """What stands for SIGKILL within this process."""


@pytest.fixture(scope="module")
def splits() -> Splits:
    splits = prepare(loading.load(limit=600, seed=0), Settings())
    return replace(splits, class_weights=np.linspace(0.5, 1.5, 10, dtype=np.float32))


@pytest.fixture
def fit(splits, monkeypatch):
    """Train, and be killed at a step if that is wanted."""

    def run(number_format, changes, folder=None, *, kill_at=None, plan=None, every=1e-9):
        class Killing(progress_bar.LineReporter):
            steps = 0

            def step_ends(self, progress, measures):
                Killing.steps += 1
                if Killing.steps == kill_at:
                    raise Killed

        monkeypatch.setattr(setup, "epoch_reporter", lambda _: Killing(sys.stderr))
        settings = Settings(**changes, seed=3, checkpoint_every=every)
        model = architectures.create(
            settings.model_name, n_classes=10, img_shape=(28, 28, 1), seed=3, width=settings.width
        )
        fit_module.compile_model(model, settings)
        checkpoints = CheckpointFolder(folder, "test") if folder else None
        history = fit_module.fit(
            model, splits, settings, number_format, plan=plan, checkpoints=checkpoints
        )
        state = [np.array(variable) for variable in model.optimizer.variables]
        return architectures.weights_sha256(model), history.history, history.restored_epoch, state

    return run


def same(first, second):
    np.testing.assert_equal(first[3], second[3])
    assert first[:3] == second[:3]


@pytest.fixture(scope="module")
def results():
    """What trainings end with that nobody breaks off, as far as they were asked for."""
    return {}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize(
    ("every", "kills"), [(None, (5, 12)), (1e-9, (5, 7))], ids=["epochs", "steps"]
)
def test_killed_and_gone_on_with_is_the_same_as_not_killed(
    fit, results, tmp_path, name, every, kills
):
    number_format, changes = TRAININGS[name]
    if name not in results:
        results[name] = fit(number_format, changes)
    for kill_at in kills:
        with pytest.raises(Killed):
            fit(number_format, changes, tmp_path, kill_at=kill_at, every=every)
    same(fit(number_format, changes, tmp_path, every=every), results[name])


def test_where_nothing_is_left_to_train_the_result_is_still_there(fit, tmp_path):
    for name in ("cnn", "cnn with patience"):
        number_format, changes = TRAININGS[name]
        expected = fit(number_format, changes, tmp_path / name)
        same(fit(number_format, changes, tmp_path / name, kill_at=1), expected)


def test_checkpoints_change_nothing(fit, tmp_path):
    number_format, changes = TRAININGS["fast"]
    same(fit(number_format, changes, tmp_path), fit(number_format, changes))


def test_two_checkpoints_of_steps_that_were_done_are_kept(fit, tmp_path):
    number_format, changes = TRAININGS["cnn"]
    with pytest.raises(Killed):
        fit(number_format, changes, tmp_path, kill_at=15)
    # Killed before the fifteenth was noted.
    assert sorted(int(path.name[:9]) for path in tmp_path.iterdir()) == [13, 14]


def test_a_damaged_checkpoint_costs_steps_and_no_bit(fit, tmp_path, capsys):
    number_format, changes = TRAININGS["fast"]
    with pytest.raises(Killed):
        fit(number_format, changes, tmp_path, kill_at=15)
    last = max(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    same(fit(number_format, changes, tmp_path), fit(number_format, changes))
    assert f"The checkpoint {last} is not used" in capsys.readouterr().err


@pytest.fixture
def uneven_clock(monkeypatch):
    """A clock on which each reading takes up to 0.2 seconds, another time in each run."""
    random = np.random.default_rng(0)
    now = [0.0]

    def read():
        now[0] += random.uniform(0, 0.2)
        return now[0]

    monkeypatch.setattr(learning_rate, "time", SimpleNamespace(perf_counter=read))


@pytest.mark.usefixtures("uneven_clock")
def test_a_budget_keeps_the_pace_that_it_had(fit, tmp_path):
    changes = {**FAST, "budget": 10.0}
    with pytest.raises(Killed):
        fit(FLOAT32, changes, tmp_path / "a", kill_at=15, plan=PLAN)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    expected = fit(FLOAT32, changes, tmp_path / "a", plan=PLAN)
    for kill_at in (3, 5):
        with pytest.raises(Killed):
            fit(FLOAT32, changes, tmp_path / "b", kill_at=kill_at, plan=PLAN)
    same(fit(FLOAT32, changes, tmp_path / "b", plan=PLAN), expected)


@pytest.mark.usefixtures("uneven_clock")
def test_the_readings_of_the_clock_say_all_of_a_budget(fit, tmp_path, monkeypatch):
    changes = {**FAST, "budget": 10.0}
    expected = fit(FLOAT32, changes, tmp_path, plan=PLAN)
    assert fit(FLOAT32, changes, plan=PLAN)[0] != expected[0]
    readings = CheckpointFolder(tmp_path, "test").load().parts["course"]["readings"]
    assert len(readings) > 10

    def replayed(*_):
        course = TimeCourse(PLAN.seconds, 1)
        course.restore({"done": 0, "readings": readings})
        return course

    monkeypatch.setattr(setup, "_course", replayed)
    same(fit(FLOAT32, changes, plan=PLAN), expected)


def test_a_checkpoint_of_another_model_is_refused(fit, tmp_path):
    number_format, changes = TRAININGS["fast"]
    with pytest.raises(Killed):
        fit(number_format, changes, tmp_path, kill_at=5)
    with pytest.raises(ModelFileError, match=r"the last checkpoint is of another model\. Train on"):
        fit(number_format, {**changes, "width": 16}, tmp_path)


def test_nothing_random_is_left_out(fit, tmp_path):
    """Whatever draws from the global random numbers would differ after this."""
    number_format, changes = TRAININGS["cnn"]
    expected = fit(number_format, changes)
    with pytest.raises(Killed):
        fit(number_format, changes, tmp_path, kill_at=12)
    backend.load_keras().utils.set_random_seed(99)
    same(fit(number_format, changes, tmp_path), expected)
