"""Pruning: easy images are skipped without bias, and whole batches are always full."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from apparel.core.recipes import RECIPES
from apparel.training.augmentation import TrainingBatches
from apparel.training.infobatch import LossFeedback, recording
from apparel.training.progress import LAG, StepProgress

N = 10
RECIPE = replace(RECIPES["fast"], batch_size=1, prune=0.5, flip=False, shift=0, erase=0)
IMAGES = np.random.default_rng(0).random((N, 5, 6, 2), dtype=np.float32)
LABELS = np.eye(N, dtype=np.float32)  # each image's label is its number


def pruned(total=10**9, *, n=N, batch_size=1, class_weights=None):
    """Batches of one image each, and the losses that choose among them."""
    progress = StepProgress(total)
    feedback = LossFeedback(n, progress)
    batches = TrainingBatches(
        IMAGES[:n], LABELS[:n], replace(RECIPE, batch_size=batch_size), seed=0,
        progress=progress, feedback=feedback, class_weights=class_weights,
    )  # fmt: skip
    return batches, feedback


def shown(losses, steps, **options):
    """Number and weight of the image of each step, given the loss of each image."""
    batches, feedback = pruned(**options)
    for _, labels, weights in islice(batches, steps):
        number = int(labels.argmax())
        feedback.measured(losses[[number]])
        yield number, float(weights[0])


def test_half_of_the_easy_images_are_skipped_and_the_rest_count_twice():
    losses = np.where(np.arange(N) < 2, 5.0, 0.1).astype(np.float32)
    class_weights = np.where(np.arange(N) % 2, 1, 3).astype(np.float32)
    late = list(shown(losses, 2000, class_weights=class_weights))[100:]
    numbers, weights = zip(*late, strict=True)
    counts = np.bincount(numbers, minlength=N)
    assert counts[2:].mean() / counts[:2].mean() == pytest.approx(0.5, abs=0.06)
    # The total weight of each image is that of its class, hard or easy.
    totals = np.bincount(numbers, weights, minlength=N) / class_weights
    assert totals[2:].mean() / totals[:2].mean() == pytest.approx(1, abs=0.1)
    assert totals[::2].mean() / totals[1::2].mean() == pytest.approx(1, abs=0.1)


def test_the_end_of_training_sees_all_images():
    losses = np.where(np.arange(N) == 0, 5.0, 0.1).astype(np.float32)
    last = list(shown(losses, 110, total=100))[100:]
    assert {weight for _, weight in last} == {1}
    assert len({number for number, _ in last}) > 6


def test_all_batches_are_of_one_size():
    batches, feedback = pruned(batch_size=4)
    for batch, labels, _ in islice(batches, 20):
        assert len(batch) == len(labels) == 4
        feedback.measured(np.ones(4, np.float32))
    batch, labels, weights = next(pruned(n=3, batch_size=4)[0])
    assert (len(batch), len(labels)) == (3, 3)
    np.testing.assert_array_equal(weights, 1)


@pytest.mark.parametrize("stopped", [True, False])
def test_the_drawing_thread_is_released_when_training_ends(stopped):
    batches, feedback = pruned(total=5)
    feedback.set_model(SimpleNamespace(stop_training=False))
    assert len(list(islice(batches, LAG))) == LAG
    feedback.on_train_end()  # of the rest of an epoch: training continues with the next one
    assert feedback._measured.empty()
    feedback.model.stop_training = stopped
    feedback._progress.steps = 0 if stopped else 5
    feedback.on_train_end()
    assert list(batches) == []


def test_a_recording_model_hands_over_the_loss_of_each_image():
    inputs = keras.Input((5, 6, 2))
    outputs = keras.layers.Dense(N, activation="softmax")(keras.layers.Flatten()(inputs))
    plain = keras.Model(inputs, outputs)
    probabilities = np.asarray(plain(IMAGES), np.float64)
    model = recording(plain, N, label_smoothing=0.1)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    feedback = LossFeedback(N, StepProgress(9))
    feedback.drawn(np.arange(N))
    feedback.set_model(model)
    model.train_on_batch(IMAGES, LABELS)
    feedback.on_train_batch_end(0)
    expected = -((0.9 * LABELS + 0.1 / N) * np.log(probabilities)).sum(axis=1)
    np.testing.assert_allclose(feedback.state()["losses"][0], expected, rtol=1e-5)
