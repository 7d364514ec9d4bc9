"""Predictions of a Keras model, and images chosen for figures and exports."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from apparel.core.errors import ModelFileError, UsageError
from apparel.core.recipes import RECIPES
from apparel.core.records import Splits
from apparel.models import keras_inference


@pytest.fixture(scope="module")
def model():
    """A softmax regression, whose probabilities can be worked out by hand."""
    keras.utils.set_random_seed(0)
    made = keras.Sequential(
        [
            keras.layers.Input((4, 5, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    made.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    return made


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((7, 4, 5, 1), dtype=np.float32)


def by_hand(model, images):
    weights, bias = model.get_weights()
    odds = np.exp(images.reshape(len(images), -1).astype(np.float64) @ weights + bias)
    return odds / odds.sum(axis=1, keepdims=True)


def test_probabilities_are_in_order_across_batches(model, images, monkeypatch):
    for size, values in ((3, 1 << 22), (500, 41), (500, 1)):  # of large images, fewer in a batch
        monkeypatch.setattr(keras_inference, "BATCH_SIZE", size)
        monkeypatch.setattr(keras_inference, "BATCH_VALUES", values)
        probabilities = keras_inference.predict_probabilities(model, images)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, by_hand(model, images), atol=1e-6)


def test_validation_images_are_predicted_beside_their_labels(model, images):
    shown = Splits(
        train_images=images,
        train_labels=np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2, 1]],
        test_images=images[:0],
        test_labels=np.empty((0, 3), np.float32),
        training=np.array([0, 1, 3, 4]),
        validation=np.array([6, 2]),
        manifest={},
    )
    probabilities, labels = keras_inference.predict_validation(model, shown)
    np.testing.assert_allclose(probabilities, by_hand(model, images[[6, 2]]), atol=1e-6)
    assert labels.tolist() == [1, 2]
    none = replace(shown, validation=np.array([], np.int64))
    probabilities, labels = keras_inference.predict_validation(model, none)
    assert (probabilities.shape, labels.shape) == ((0, 3), (0,))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [0, 1])
def test_probabilities_are_averaged_over_the_augmentation_of_training(model, images, flip, shift):
    def seen(copies):
        mirrored = by_hand(model, copies[:, :, ::-1])
        return (by_hand(model, copies) + mirrored) / 2 if flip else by_hand(model, copies)

    upper_left, lower_right = np.zeros_like(images), np.zeros_like(images)
    upper_left[:, :-1, :-1] = images[:, 1:, 1:]
    lower_right[:, 1:, 1:] = images[:, :-1, :-1]
    expected = {"flip": seen(images)} if flip else {}
    if shift:
        expected["view"] = (2 * seen(images) + seen(upper_left) + seen(lower_right)) / 4
    recipe = replace(RECIPES["fast"], flip=flip, shift=shift)
    probabilities = keras_inference.predict_probabilities(model, images)
    found = keras_inference.predict_averaged(model, images, probabilities, recipe)
    assert found.keys() == expected.keys()
    for name, mean in expected.items():
        np.testing.assert_allclose(found[name], mean, rtol=1e-5)


def test_a_model_that_does_not_fit_the_data_is_refused_with_both_sizes(model):
    keras_inference.check_fits(model, n_classes=3, img_shape=(4, 5, 1))
    for n_classes, img_shape in ((4, (4, 5, 1)), (3, (5, 4, 1))):
        with pytest.raises(ModelFileError, match=r"\(4, 5, 1\) and gives 3 classes") as caught:
            keras_inference.check_fits(model, n_classes=n_classes, img_shape=img_shape)
        assert f"{img_shape} and {n_classes} classes" in str(caught.value)


# -- samples ---------------------------------------------------------------------------


def choose(indices=None, count=4, n_images=10, seed=0):
    return keras_inference.choose_samples(indices, count=count, n_images=n_images, seed=seed)


def test_samples_keep_their_order_or_are_drawn_by_the_seed():
    chosen = choose(np.array([3, 0, 3, 9]))
    assert chosen == [3, 0, 3, 9]
    assert {type(index) for index in chosen} == {int}
    drawn = choose(n_images=1000, seed=1)
    assert drawn == sorted(set(drawn)) == choose(n_images=1000, seed=1)
    assert len(drawn) == 4
    assert drawn != choose(n_images=1000, seed=2)
    assert choose(count=20) == list(range(10))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"indices": [0, 10]}, "sample index 10 lies outside the test set of 10 images.*0 to 9"),
        ({"indices": [-1]}, "sample_indices must be a whole number of at least 0, but is -1"),
        ({"indices": []}, "there is no sample index"),
        ({"indices": 3}, "sample_indices must be a list of positions, but is 3"),
        ({"count": 0}, "count must be a whole number of at least 1, but is 0"),
    ],
)
def test_samples_outside_the_test_set_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        choose(**wrong)


# -- images to compare on --------------------------------------------------------------


def splits(training, validation, n=600):
    return Splits(
        train_images=np.arange(n, dtype=np.float32).reshape(n, 1, 1, 1),
        train_labels=np.eye(2, dtype=np.float32)[np.arange(n) % 2],
        test_images=np.zeros((0, 1, 1, 1), np.float32),
        test_labels=np.zeros((0, 2), np.float32),
        training=np.array(training, np.int64),
        validation=np.array(validation, np.int64),
        manifest={},
    )


def test_exports_are_compared_on_some_validation_images_or_else_training_ones(monkeypatch):
    for some in (splits([0, 1], [5, 2]), splits([5, 2], [])):
        images, labels = keras_inference.comparison_images(some)
        assert images.ravel().tolist() == [5, 2]
        assert labels.tolist() == [1, 0]
    monkeypatch.setattr(keras_inference, "MOST_COMPARED", 100)
    images, labels = keras_inference.comparison_images(splits([0], range(1, 600)))
    assert len(images) == 100
    assert np.bincount(labels).tolist() == [50, 50]
    assert set(images.ravel()) <= set(range(1, 600))
    monkeypatch.setattr(keras_inference, "EXPORT_VALUES", 60)
    monkeypatch.setattr(keras_inference, "ENOUGH_IMAGES", 10)
    assert len(keras_inference.comparison_images(splits([0], range(1, 600)))[0]) == 60


def test_calibration_takes_training_images_of_every_class(monkeypatch):
    monkeypatch.setattr(keras_inference, "N_CALIBRATION", 20)
    positions = [*range(0, 300, 2), 1, 3]
    images = keras_inference.calibration_images(splits(positions, [5])).ravel().tolist()
    assert len(images) in {20, 21}
    assert set(images) <= set(positions)
    assert {image % 2 for image in images} == {0, 1}
    assert images == keras_inference.calibration_images(splits(positions, [5])).ravel().tolist()
    few = keras_inference.calibration_images(splits([4, 1], [5]))
    assert few.ravel().tolist() == [4, 1]
