"""Training: same seed same weights, the number format, Ctrl-C, and what is kept."""

import sys
from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np
import pytest

from apparel.core.backend import NumberFormat
from apparel.core.image_array import StoredImages
from apparel.core.recipes import recipe_of
from apparel.core.records import History, Splits
from apparel.core.settings import Plan, Settings
from apparel.data import loading
from apparel.data.arrays import scale_pixels
from apparel.data.splits import prepare
from apparel.models import architectures
from apparel.training import fit, progress_bar, setup
from apparel.training.augmentation import TrainingBatches
from apparel.training.learning_rate import StepCourse
from tests.conftest import ON_TENSORFLOW, without_dropout

FLOAT32 = NumberFormat("float32", "asked for")
BFLOAT16 = NumberFormat("mixed_bfloat16", "asked for")


@pytest.fixture(scope="module")
def splits() -> Splits:
    return prepare(loading.load(limit=600, seed=0), Settings())


def trained(
    splits: Splits, number_format: NumberFormat = FLOAT32, **changes: float
) -> tuple[keras.Model, History]:
    settings = Settings(**{"epochs": 1, "batch_size": 64, **changes})
    seed = settings.seed
    model = architectures.create("cnn", n_classes=10, img_shape=(28, 28, 1), seed=seed)
    fit.compile_model(model, settings)
    return model, fit.fit(model, splits, settings, number_format)


def same(first: keras.Model, second: keras.Model) -> bool:
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("number_format", [FLOAT32, BFLOAT16])
def test_the_seed_decides_every_bit(splits: Splits, number_format: NumberFormat) -> None:
    first, history = trained(splits, number_format)
    again, history_again = trained(splits, number_format)
    other, _ = trained(splits, number_format, seed=1)
    assert same(first, again)
    assert history.history == history_again.history
    assert not same(first, other)


def test_stored_images_are_trained_on_like_others(splits: Splits) -> None:
    pixels = np.rint(splits.train_images * 255).astype(np.uint8)
    in_memory = replace(splits, train_images=scale_pixels(pixels))
    stored = StoredImages(pixels[::-1], np.arange(len(pixels))[::-1])
    on_disk = replace(splits, train_images=scale_pixels(stored))
    (first, history), (second, history_again) = trained(in_memory), trained(on_disk)
    assert same(first, second)
    assert history.history == history_again.history


def test_float32_training_without_averaging_is_plain_keras(splits: Splits) -> None:
    settings = Settings(epochs=2, batch_size=64, weight_averaging=0)
    models_ = []
    for _ in range(2):
        model = architectures.create("cnn", n_classes=10, img_shape=(28, 28, 1), seed=0)
        model = without_dropout(model)
        fit.compile_model(model, settings)
        models_.append(model)
    ours, plain = models_
    history = fit.fit(ours, splits, settings, FLOAT32)
    x, y = splits.train_images, splits.train_labels
    batches = TrainingBatches(
        x[splits.training],
        y[splits.training],
        recipe_of(settings),
        seed=0,
        course=StepCourse(2),
        feedback=None,
    )
    log = plain.fit(
        (batch for batch in batches),
        steps_per_epoch=-(-len(splits.training) // 64),
        shuffle=False,
        validation_data=(x[splits.validation], y[splits.validation]),
        epochs=2,
        verbose=0,
    )
    # Fused kernels add up in another order, and Adam turns the sign of a tiny gradient into a
    # whole step; a model of another seed is 0.16 away.
    first, second = (m.predict(splits.test_images, verbose=0) for m in (ours, plain))
    assert np.abs(first - second).mean() < 0.01
    assert history.history.keys() == log.history.keys()
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(history.history[name], log.history[name], atol=0.02)


def test_the_model_stays_float32_and_nearly_the_same_whatever_trained(splits: Splits) -> None:
    exact, _ = trained(splits, FLOAT32)
    mixed, history = trained(splits, BFLOAT16)
    assert history.dtype == "mixed_bfloat16"
    assert {layer.dtype_policy.name for layer in mixed.layers} == {"float32"}
    assert not same(exact, mixed)
    gap = np.abs(
        exact.predict(splits.test_images, verbose=0) - mixed.predict(splits.test_images, verbose=0)
    )
    assert gap.mean() < 0.05  # a fresh model is 0.16 away


def test_training_learns_and_keeps_every_epoch(splits: Splits) -> None:
    _, history = trained(splits, epochs=3)
    assert history.epochs == len(history.seconds) == 3
    measures = ["loss", "accuracy", "precision", "recall"]
    assert list(history.history) == [*measures, *(f"val_{name}" for name in measures)]
    assert all(len(values) == 3 for values in history.history.values())
    assert history.history["loss"][2] < history.history["loss"][0]
    assert history.history["val_accuracy"][2] > 0.5
    assert not history.interrupted


def test_the_last_steps_are_averaged_before_the_last_validation(splits: Splits) -> None:
    averaged, history = trained(splits, epochs=2, weight_averaging=0.5)
    plain, plain_history = trained(splits, epochs=2, weight_averaging=0)
    assert not same(averaged, plain)
    assert history.history["loss"] == plain_history.history["loss"]
    x, y = splits.train_images[splits.validation], splits.train_labels[splits.validation]
    measures = averaged.evaluate(x, y, verbose=0, return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(measures["loss"], rel=1e-4)


def test_training_goes_on_where_it_stopped(splits: Splits) -> None:
    model, first = trained(splits)
    state = {v.path: v.numpy().copy() for v in model.optimizer.variables}
    assert any(np.abs(value).max() > 0 for path, value in state.items() if "momentum" in path)
    second = fit.fit(model, splits, Settings(epochs=1, batch_size=64), FLOAT32)
    assert second.history["loss"][0] < first.history["loss"][0]
    # 540 images in batches of 64 are 9 steps, twice.
    assert int(model.optimizer.iterations) == 18


def test_ctrl_c_keeps_weights_and_finished_epochs(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(progress_bar.LineReporter):
        def step_ends(self, progress: float, measures: object) -> None:
            if progress == pytest.approx(12 / 45):
                raise KeyboardInterrupt

    monkeypatch.setattr(setup, "epoch_reporter", lambda _: Interrupting(sys.stderr))
    model, history = trained(splits, epochs=5)
    assert history.interrupted
    assert history.epochs == 1
    assert all(len(values) == 1 for values in history.history.values())
    assert int(model.optimizer.iterations) == 9 + 3
    fresh = architectures.create("cnn", n_classes=10, img_shape=(28, 28, 1), seed=0)
    assert not same(model, fresh)


def trained_fast(splits: Splits, **changes: object) -> tuple[keras.Model, History]:
    settings = Settings(**{"model_name": "fast", "width": 8, "batch_size": 60, **changes})
    model = architectures.create("fast", n_classes=10, img_shape=(28, 28, 1), seed=0, width=8)
    fit.compile_model(model, settings)
    return model, fit.fit(model, splits, settings, FLOAT32)


def test_fast_learns_and_its_seed_decides(splits: Splits) -> None:
    _, fast = trained_fast(splits, epochs=6)
    assert fast.history["val_accuracy"][-1] > 0.6
    model, again = trained_fast(splits, epochs=6)
    assert again.history == fast.history
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_no_test_image_has_a_part_in_training(splits: Splits) -> None:
    other = replace(
        splits,
        test_images=np.full_like(splits.test_images, np.nan),
        test_labels=splits.test_labels[::-1],
    )
    (first, history), (second, other_history) = trained_fast(splits), trained_fast(other)
    assert same(first, second)
    assert history.history == other_history.history


@ON_TENSORFLOW
@pytest.mark.parametrize("name", ["cnn", "fast"])
def test_a_training_step_is_traced_once(
    splits: Splits, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    calls = []
    step = keras.Model.train_step

    def counted(model: keras.Model, batch: object) -> object:
        calls.append(model.name)
        return step(model, batch)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    settings = Settings(model_name=name, width=4 if name == "fast" else None, epochs=2)
    model = architectures.create(
        name, n_classes=10, img_shape=(28, 28, 1), seed=0, width=settings.width
    )
    fit.compile_model(model, settings)
    fit.fit(model, splits, settings, FLOAT32)
    assert len(calls) == 1


def test_patience_ends_training_and_brings_the_best_epoch_back(splits: Splits) -> None:
    model, history = trained(splits, epochs=40, patience=2)
    accuracies = history.history["val_accuracy"]
    best = int(np.argmax(accuracies)) + 1
    assert history.epochs == best + 2 < 40
    assert history.restored_epoch == best
    x, y = splits.train_images[splits.validation], splits.train_labels[splits.validation]
    measures = model.evaluate(x, y, verbose=0, return_dict=True)
    assert measures["accuracy"] == pytest.approx(max(accuracies))


def test_time_ends_training_in_the_middle_of_an_epoch(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FakeTime(StepCourse):
        """A clock that a step moves by a second."""

        aside: ClassVar[list[float]] = []

        def __init__(self, seconds: float, steps: float) -> None:
            super().__init__(int(seconds))

        def set_aside(self, seconds: float) -> None:
            self.aside.append(seconds)

    monkeypatch.setattr(setup, "TimeCourse", FakeTime)
    settings = Settings(model_name="fast", width=8, batch_size=60, budget=20)
    plan = Plan(
        model_name="fast", width=8, images_per_second=1, passes=1, seconds=13,
        validation_seconds=2.5,
    )  # fmt: skip
    model = architectures.create("fast", n_classes=10, img_shape=(28, 28, 1), seed=0, width=8)
    fit.compile_model(model, settings)
    history = fit.fit(model, splits, settings, FLOAT32, plan=plan)
    # 9 steps are an epoch: 13 are one and a half, and each half is validated.
    assert history.epochs == len(history.history["val_loss"]) == 2
    first, *measured = FakeTime.aside
    assert first == 2.5
    assert len(measured) == 2
    assert all(0 < seconds < 60 for seconds in measured)


def test_measuring_speed_leaves_the_weights_as_they_are(splits: Splits) -> None:
    settings = Settings(model_name="fast", width=8, batch_size=60)
    model = architectures.create("fast", n_classes=10, img_shape=(28, 28, 1), seed=0, width=8)
    fit.compile_model(model, settings)
    before = model.get_weights()
    assert fit.images_per_second(model, settings, FLOAT32) > 1
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_held_out_images_there_are_no_validation_measures(splits: Splits) -> None:
    everything = replace(splits, training=np.arange(600), validation=np.array([], dtype=np.int64))
    _, history = trained(everything)
    assert set(history.history) == {"loss", "accuracy", "precision", "recall"}
    assert history.best_epoch is None
