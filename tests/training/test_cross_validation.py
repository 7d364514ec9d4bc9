"""Out-of-sample predictions: no image is ever judged by a model that learnt from it."""

from types import SimpleNamespace

import numpy as np
import pytest

from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError
from apparel.core.records import History
from apparel.core.settings import Settings
from apparel.data import arrays
from apparel.models import keras_inference
from apparel.training import cross_validation
from apparel.training import fit as fit_module

NAMES = ("Shirt", "Coat", "Bag")
FLOAT32 = NumberFormat(policy="float32", reason="a test")
LEARNT = History(history={}, seconds=(), dtype="float32")


def made_up(n_train=53):
    random = np.random.default_rng(0)
    return arrays.from_arrays(
        random.integers(0, 256, (n_train, 8, 8, 1), dtype=np.uint8),
        np.arange(n_train) % 3,
        random.integers(0, 256, (9, 8, 8, 1), dtype=np.uint8),
        np.arange(9) % 3,
        class_names=NAMES,
        source="a test",
    )


@pytest.fixture
def created(monkeypatch):
    """The seeds of the models created, which are stand-ins."""
    seeds = []
    monkeypatch.setattr(
        fit_module,
        "compiled_model",
        lambda *_, seed, **__: seeds.append(seed) or SimpleNamespace(),
    )
    monkeypatch.setattr(
        keras_inference,
        "predict_probabilities",
        lambda model, images: np.full((len(images), 3), 1 / 3, np.float32),
    )
    return seeds


def test_no_model_judges_an_image_that_it_learnt_from(created, monkeypatch):
    dataset, learnt = made_up(), []

    def fit(model, splits, settings, number_format):
        assert len(splits.validation) == 0
        counts = np.bincount(dataset.train_labels[splits.training])
        assert counts.max() - counts.min() <= 2
        model.learnt = set(splits.training.tolist())
        learnt.append(model.learnt)
        return LEARNT

    scaled = dataset.train_images / np.float32(255)

    def predict(model, images):
        if len(images) == 9:
            return np.full((9, 3), (len(learnt) - 1) / 10, np.float32)
        positions = [int(np.flatnonzero((scaled == i).all(axis=(1, 2, 3)))[0]) for i in images]
        assert model.learnt.isdisjoint(positions)
        return np.array([[p, len(learnt), 0] for p in positions], np.float32)

    monkeypatch.setattr(fit_module, "fit", fit)
    monkeypatch.setattr(keras_inference, "predict_probabilities", predict)
    found = cross_validation.cross_validate(dataset, Settings(model_name="fast", width=8), FLOAT32)
    np.testing.assert_array_equal(found.train[:, 0], np.arange(53))
    assert set(found.train[:, 1]) == {1, 2, 3, 4, 5}
    np.testing.assert_allclose(found.test, 0.2)
    assert sum(len(part) for part in learnt) == 4 * 53


def test_folds_follow_the_seed_and_each_model_has_one_of_its_own(created, monkeypatch):
    seen = []

    def fit(model, splits, settings, number_format):
        seen.append(tuple(splits.training.tolist()))
        return LEARNT

    monkeypatch.setattr(fit_module, "fit", fit)
    for seed in (0, 0, 2**32 - 1):
        settings = Settings(model_name="fast", width=8, seed=seed)
        cross_validation.cross_validate(made_up(), settings, FLOAT32)
    assert seen[:5] == seen[5:10] != seen[10:]
    for k in (0, 10):
        assert len(set(created[k : k + 5])) == 5
    assert all(0 <= seed < 2**32 for seed in created)


def test_a_class_with_too_few_images_is_refused():
    with pytest.raises(DataError, match=r"the class Coat has 4 training images, but .* at least 5"):
        cross_validation.cross_validate(made_up(13), Settings(model_name="fast"), FLOAT32)


def test_ctrl_c_ends_the_search(created, monkeypatch):
    interrupted = History(history={}, seconds=(), dtype="float32", interrupted=True)
    monkeypatch.setattr(fit_module, "fit", lambda *_: interrupted)
    with pytest.raises(KeyboardInterrupt):
        cross_validation.cross_validate(made_up(), Settings(model_name="fast"), FLOAT32)
    assert len(created) == 1
