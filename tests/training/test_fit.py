"""Training: same seed same weights, the number format, Ctrl-C, and the history."""

import sys
from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest

from apparel.core.backend import NumberFormat
from apparel.core.image_array import StoredImages
from apparel.core.recipes import Plan, recipe_of
from apparel.core.records import History, Splits
from apparel.core.settings import Settings
from apparel.data.arrays import scale_pixels
from apparel.training import fit, progress_bar
from apparel.training.augmentation import TrainingBatches
from apparel.training.progress import StepProgress
from tests.conftest import without_dropout
from tests.training.conftest import N_CLASSES, SHAPE

FLOAT32 = NumberFormat("float32", "asked for")
BFLOAT16 = NumberFormat("mixed_bfloat16", "asked for")
CNN = {"model_name": "cnn", "epochs": 2, "batch_size": 60, "weight_averaging": 0.5}
FAST = {"model_name": "fast", "width": 8, "epochs": 4, "batch_size": 60}


def untrained(settings: Settings) -> keras.Model:
    return fit.compiled_model(settings, n_classes=N_CLASSES, img_shape=SHAPE)


def trained(
    splits: Splits, options: dict, number_format: NumberFormat = FLOAT32
) -> tuple[keras.Model, History]:
    settings = Settings(**options)
    model = untrained(settings)
    return model, fit.fit(model, splits, settings, number_format)


@pytest.fixture(scope="module")
def earlier(splits: Splits):
    """Give a trained model, its history, and how often its training step was traced."""
    traces = []
    step = keras.Model.train_step

    def counted(model: keras.Model, batch: object) -> object:
        traces.append(model.name)
        return step(model, batch)

    @cache
    def get(name: str) -> tuple[keras.Model, History, int]:
        options, number_format = {"cnn": (CNN, FLOAT32), "fast": (FAST, BFLOAT16)}[name]
        traces.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.Model, "train_step", counted)
            return *trained(splits, options, number_format), len(traces)

    return get


def same(first: keras.Model, second: keras.Model) -> bool:
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_the_seed_decides_every_bit_and_test_images_none(earlier, splits: Splits) -> None:
    pixels = np.rint(splits.train_images * 255).astype(np.uint8)
    stored = StoredImages(pixels[::-1], np.arange(len(pixels))[::-1])
    other = replace(
        splits,
        train_images=scale_pixels(stored),
        test_images=np.full_like(splits.test_images, np.nan),
        test_labels=splits.test_labels[::-1],
    )
    model, history = trained(other, FAST, BFLOAT16)
    assert same(model, earlier("fast")[0])
    assert history.history == earlier("fast")[1].history
    assert not same(earlier("cnn")[0], trained(splits, CNN | {"seed": 1})[0])


@pytest.mark.parametrize("name", ["cnn", "fast"])
def test_training_learns_and_keeps_every_epoch(earlier, name: str) -> None:
    model, history, traced = earlier(name)
    assert traced == 1 or keras.backend.backend() != "tensorflow"
    metrics = ["loss", "accuracy", "precision", "recall"]
    assert list(history.history) == [*metrics, *(f"val_{name}" for name in metrics)]
    epochs = history.epochs
    assert all(len(values) == epochs for values in [history.seconds, *history.history.values()])
    assert epochs == {"cnn": 2, "fast": 4}[name]
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert history.history["val_accuracy"][-1] > 0.6
    assert not history.interrupted
    assert history.dtype == {"cnn": "float32", "fast": "mixed_bfloat16"}[name]
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_float32_training_without_averaging_is_plain_keras(splits: Splits) -> None:
    settings = Settings(**CNN | {"weight_averaging": 0})
    recipe = recipe_of(settings)
    ours, plain = (without_dropout(untrained(settings)) for _ in range(2))
    for model in (ours, plain):
        fit.compile_model(model, settings)
    history = fit.fit(ours, splits, settings, FLOAT32)
    x, y = splits.train_images, splits.train_labels
    training = x[splits.training], y[splits.training]
    batches = TrainingBatches(*training, recipe, seed=0, progress=StepProgress(2), feedback=None)
    log = plain.fit(
        (batch for batch in batches),
        steps_per_epoch=9,
        shuffle=False,
        validation_data=(x[splits.validation], y[splits.validation]),
        epochs=2,
        verbose=0,
    )
    # Fused kernels add up in another order, and Adam turns the sign of a tiny gradient into a
    # whole step.
    first, second = (m.predict(splits.test_images, verbose=0) for m in (ours, plain))
    other = untrained(settings).predict(splits.test_images, verbose=0)
    assert np.abs(first - second).mean() < 0.01
    assert np.abs(first - other).mean() > 0.1
    assert history.history.keys() == log.history.keys()
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(history.history[name], log.history[name], atol=0.02)


def test_the_last_steps_are_averaged_before_the_last_validation(earlier, splits: Splits) -> None:
    averaged, history, _ = earlier("cnn")
    plain, plain_history = trained(splits, CNN | {"weight_averaging": 0})
    assert not same(averaged, plain)
    assert history.history["loss"] == plain_history.history["loss"]
    x, y = splits.train_images[splits.validation], splits.train_labels[splits.validation]
    metrics = averaged.evaluate(x, y, verbose=0, return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(metrics["loss"], rel=1e-4)


def test_a_second_training_continues_the_first(splits: Splits) -> None:
    everything = replace(splits, validation=np.array([], dtype=np.int64))
    model, first = trained(everything, CNN | {"epochs": 1})
    assert set(first.history) == {"loss", "accuracy", "precision", "recall"}
    assert first.best_epoch is None
    state = {v.path: v.numpy().copy() for v in model.optimizer.variables}
    assert any(np.abs(value).max() > 0 for path, value in state.items() if "momentum" in path)
    second = fit.fit(model, everything, Settings(**CNN | {"epochs": 1}), FLOAT32)
    assert second.history["loss"][0] < first.history["loss"][0]
    assert int(model.optimizer.iterations) == 18  # nine steps, twice


def test_ctrl_c_keeps_weights_and_finished_epochs(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(progress_bar.EpochLines):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if self._progress.steps == 12:
                raise KeyboardInterrupt

    monkeypatch.setattr(fit, "progress_display", lambda *a: Interrupting(*a, sys.stderr))
    model, history = trained(splits, CNN | {"epochs": 5})
    assert history.interrupted
    assert history.epochs == 1
    assert all(len(values) == 1 for values in history.history.values())
    assert int(model.optimizer.iterations) == 9 + 3
    assert not same(model, untrained(Settings(**CNN)))


def test_patience_ends_training_and_restores_the_best_epoch(splits: Splits) -> None:
    options = CNN | {"epochs": 40, "patience": 2, "weight_averaging": None}
    model, history = trained(splits, options)
    accuracies = history.history["val_accuracy"]
    best = int(np.argmax(accuracies)) + 1
    assert history.epochs == best + 2 < 40
    assert history.restored_epoch == best
    x, y = splits.train_images[splits.validation], splits.train_labels[splits.validation]
    metrics = model.evaluate(x, y, verbose=0, return_dict=True)
    assert metrics["accuracy"] == pytest.approx(max(accuracies))


def test_time_ends_training_in_the_middle_of_an_epoch(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = []

    def clock(seconds: float, *planned: float) -> StepProgress:
        """A clock that a step moves by a second."""
        expected.extend(planned)
        return StepProgress(int(seconds))

    monkeypatch.setattr(fit, "TimeProgress", clock)
    settings = Settings(**CNN | {"epochs": None, "budget": 20})
    plan = Plan(
        model_name="cnn", width=None, images_per_second=1, passes=1.5, seconds=13,
        validation_seconds=2.5,
    )  # fmt: skip
    model = untrained(settings)
    history = fit.fit(model, splits, settings, FLOAT32, plan=plan)
    # 9 steps are an epoch: 13 are one and a half, and each half is validated.
    assert history.epochs == len(history.history["val_loss"]) == 2
    assert expected == [13.5, 2.5]
