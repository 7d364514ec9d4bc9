"""Weight averaging against the mean of weights that were written down step by step."""

import keras
import numpy as np
import pytest

from apparel.training.callbacks.averaging import WeightAverage
from apparel.training.callbacks.base import keras_callback
from apparel.training.learning_rate import StepCourse

IMAGES, BATCH, EPOCHS = 40, 10, 3
STEPS = EPOCHS * IMAGES // BATCH


def trained(share: float | None) -> tuple[keras.Model, list[list[np.ndarray]], dict]:
    """A tiny trained model, its weights after each step, and its history."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x, y = random.random((IMAGES, 5), np.float32), random.random((IMAGES, 2), np.float32)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    diary: list[list[np.ndarray]] = []

    class Diary(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            diary.append([np.array(weight) for weight in self.model.get_weights()])

    callbacks: list[keras.callbacks.Callback] = [Diary()]
    if share is not None:
        course = StepCourse(STEPS)
        count = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: course.step_ends()
        )
        callbacks += [count, keras_callback([WeightAverage(course, share=share)])]
    log = model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=(x, y), verbose=0,
        callbacks=callbacks,
    )  # fmt: skip
    log.history["last"] = model.evaluate(x, y, verbose=0)
    return model, diary, log.history


@pytest.mark.parametrize(("share", "count"), [(0.5, 6), (1.0, 12), (0.25, 3), (0.01, 1)])
def test_the_final_weights_are_the_mean_of_the_last_steps(share: float, count: int) -> None:
    model, diary, _ = trained(share)
    assert len(diary) == STEPS == 12
    for position, weight in enumerate(model.get_weights()):
        mean = np.mean([weights[position] for weights in diary[-count:]], axis=0)
        np.testing.assert_allclose(weight, mean, rtol=1e-5, atol=1e-7)


def test_averaging_changes_no_step_on_the_way() -> None:
    _, with_average, _ = trained(0.5)
    _, without, _ = trained(None)
    for first, second in zip(with_average, without, strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_last_validation_is_of_the_finished_model() -> None:
    _, _, history = trained(0.5)
    assert history["val_loss"][-1] == pytest.approx(history["last"], rel=1e-5)
