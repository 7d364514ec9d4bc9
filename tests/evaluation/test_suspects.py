"""Suspects on probabilities where the wrong labels are known, and the command on real images."""

import csv
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure

from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError
from apparel.core.records import History, LabelIssues
from apparel.core.settings import Settings
from apparel.data import arrays, loading
from apparel.data.sources import fashion_mnist
from apparel.evaluation import label_issues
from apparel.models import architectures
from apparel.reporting import text
from apparel.reporting.plots import suspects_figure
from apparel.runs.run_directory import RunDirectory
from apparel.training import cross_validation
from apparel.training import fit as fit_module
from tests.conftest import Command

NAMES = ("Shirt", "Coat", "Bag")
FLOAT32 = NumberFormat(policy="float32", reason="a test")


def planted(n=600, n_classes=3, n_wrong=12, seed=0):
    """Probabilities of a good model, labels of which some are wrong, and which."""
    random = np.random.default_rng(seed)
    true = np.arange(n) % n_classes
    probabilities = random.dirichlet(np.ones(n_classes) * 0.2, n) * 0.3
    probabilities[np.arange(n), true] += 0.7
    labels, wrong = true.copy(), random.permutation(n)[:n_wrong]
    labels[wrong] = (labels[wrong] + random.integers(1, n_classes, n_wrong)) % n_classes
    return probabilities.astype(np.float32), labels, true, wrong


@pytest.mark.parametrize("n_classes", [2, 3, 20])
def test_planted_labels_are_found_with_what_they_should_be(n_classes):
    probabilities, labels, true, wrong = planted(n_classes=n_classes)
    names = tuple(map(str, range(n_classes)))
    found = label_issues.find(probabilities, labels, names, split="train")
    # The number of wrong labels is estimated with care: some may stay, no right one is suspected.
    assert set(found.indices.tolist()) <= set(wrong.tolist())
    assert len(found.indices) > len(wrong) / 2
    np.testing.assert_array_equal(found.suggested, true[found.indices])
    np.testing.assert_array_equal(found.given, labels[found.indices])
    assert (np.diff(found.label_quality) >= 0).all()
    assert (found.split, found.n_images, found.class_names) == ("train", 600, names)


def test_the_quality_is_the_margin_to_the_likeliest_other_class():
    probabilities, labels, *_ = planted()
    found = label_issues.find(probabilities, labels, NAMES, split="test")
    given = probabilities[found.indices, found.given]
    others = probabilities[found.indices].copy()
    others[np.arange(len(given)), found.given] = 0
    np.testing.assert_allclose(found.label_quality, (given - others.max(axis=1) + 1) / 2, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_right_labels_and_an_absent_class_give_no_suspects(capfd):
    probabilities, labels, *_ = planted(n_wrong=0)
    here = labels != 2
    found = label_issues.find(probabilities[here], labels[here], NAMES, split="test")
    assert len(found.indices) == 0
    assert "0 of 400 labels of test images are suspicious (0.0%)" in text.suspect_lines(found)
    figure = suspects_figure(found, np.zeros((400, 4, 4, 1), np.uint8))
    assert [t.get_text() for t in figure.texts] == ["No label is suspicious."]
    assert capfd.readouterr() == ("", "")


def made_up(m):
    return LabelIssues(
        split="test",
        n_images=100,
        class_names=NAMES,
        indices=np.arange(m)[::-1].astype(np.int64) * 2,
        given=np.arange(m) % 3,
        suggested=(np.arange(m) + 1) % 3,
        label_quality=np.linspace(0, 0.4, m),
    )


@pytest.mark.parametrize("m", [1, 7, 40])
def test_the_picture_shows_the_first_25(m):
    images = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 5, 1), np.uint8)
    found = made_up(m)
    figure = suspects_figure(found, images)
    assert isinstance(figure, Figure)
    rest = "; the first 25" if m > 25 else ""
    assert figure.get_suptitle() == f"{m} of 100 test labels may be wrong{rest}"
    assert len(figure.axes) == min(m, 25)
    for k, ax in enumerate(figure.axes):
        assert ax.get_title() == f"{NAMES[k % 3]}\n→ {NAMES[(k + 1) % 3]}?"
        assert ax.get_xlabel() == str(found.indices[k])
        assert (ax.images[0].get_array() == found.indices[k]).all()


def test_the_lines_show_the_first_ten():
    lines = text.suspect_lines(made_up(40)).strip().splitlines()
    assert lines[0] == "40 of 100 labels of test images are suspicious (40.0%)"
    assert len(lines) == 12
    assert lines[2].split() == ["78", "Shirt", "Coat", "0.0000"]


# -- cross-validation --------------------------------------------------------------------


@pytest.fixture
def dataset():
    random = np.random.default_rng(0)
    return arrays.from_arrays(
        random.integers(0, 256, (53, 8, 8, 1), dtype=np.uint8),
        np.arange(53) % 3,
        random.integers(0, 256, (9, 8, 8, 1), dtype=np.uint8),
        np.arange(9) % 3,
        class_names=NAMES,
        source="a test",
    )


def test_no_model_judges_an_image_that_it_learnt_from(dataset, monkeypatch):
    learnt = []

    def fit(model, splits, settings, number_format):
        assert len(splits.validation) == 0
        counts = np.bincount(dataset.train_labels[splits.training])
        assert counts.max() - counts.min() <= 2
        model.learnt = set(splits.training.tolist())
        learnt.append(model.learnt)
        return History(history={}, seconds=(), dtype="float32")

    scaled = dataset.train_images / np.float32(255)

    def predict(model, images):
        if len(images) == 9:
            return np.full((9, 3), (len(learnt) - 1) / 10, np.float32)
        positions = [int(np.flatnonzero((scaled == i).all(axis=(1, 2, 3)))[0]) for i in images]
        assert model.learnt.isdisjoint(positions)
        return np.array([[p, len(learnt), 0] for p in positions], np.float32)

    monkeypatch.setattr(fit_module, "fit", fit)
    monkeypatch.setattr("apparel.models.keras_inference.predict_probabilities", predict)
    found = cross_validation.cross_validate(dataset, Settings(model_name="fast", width=8), FLOAT32)
    np.testing.assert_array_equal(found.train[:, 0], np.arange(53))
    assert set(found.train[:, 1]) == {1, 2, 3, 4, 5}
    np.testing.assert_allclose(found.test, 0.2)
    assert sum(len(part) for part in learnt) == 4 * 53


def test_folds_follow_the_seed(dataset, monkeypatch):
    seen = []

    def fit(model, splits, settings, number_format):
        seen.append(tuple(splits.training.tolist()))
        return History(history={}, seconds=(), dtype="float32")

    monkeypatch.setattr(fit_module, "fit", fit)
    for seed in (0, 0, 1):
        settings = Settings(model_name="fast", width=8, seed=seed)
        cross_validation.cross_validate(dataset, settings, FLOAT32)
    assert seen[:5] == seen[5:10] != seen[10:]


def test_a_class_with_too_few_images_is_refused(dataset):
    few = arrays.from_arrays(
        dataset.train_images[:13], np.arange(13) % 3, dataset.test_images, dataset.test_labels,
        class_names=NAMES, source="a test",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"the class Coat has 4 training images, but .* at least 5"):
        cross_validation.cross_validate(few, Settings(model_name="fast"), FLOAT32)


def test_ctrl_c_ends_the_search(dataset, monkeypatch):
    interrupted = History(history={}, seconds=(), dtype="float32", interrupted=True)
    monkeypatch.setattr(fit_module, "fit", lambda *_: interrupted)
    with pytest.raises(KeyboardInterrupt):
        cross_validation.cross_validate(dataset, Settings(model_name="fast", width=8), FLOAT32)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_models_differ_from_fold_to_fold(dataset, monkeypatch, seed):
    weights = []
    create = architectures.create

    def created(*arguments, **options):
        model = create(*arguments, **options)
        weights.append(model.get_weights()[0].sum())
        return model

    monkeypatch.setattr(architectures, "create", created)
    monkeypatch.setattr(
        fit_module, "fit", lambda *_: History(history={}, seconds=(), dtype="float32")
    )
    settings = Settings(model_name="fast", width=8, seed=seed)
    cross_validation.cross_validate(dataset, settings, FLOAT32)
    assert len(set(weights)) == 5


def test_the_command_lists_what_it_prints(finished_run, command: Command, tmp_path):
    shutil.copytree(finished_run[0], tmp_path / "run")
    done = command("suspects", "run")
    assert done.returncode == 0, done.stderr
    for split in ("train", "test"):
        with (tmp_path / "run" / f"suspects_{split}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert f"{len(rows)} of 1,000 labels of {split} images are suspicious" in done.stdout
        assert list(rows[0]) == ["rank", "index", "given", "suggested", "label_quality"]
        assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
        assert all(row["given"] != row["suggested"] for row in rows)
        picture = tmp_path / "run" / "plots" / f"suspects_{split}.png"
        assert picture.read_bytes()[:4] == b"\x89PNG"
        assert f"Written: {picture.relative_to(tmp_path)}" in done.stdout
    found = RunDirectory.open(tmp_path / "run").suspects()
    assert [(of.split, of.n_images) for of in found] == [("train", 1000), ("test", 1000)]
    assert text.suspect_lines(found[1]) in done.stdout
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert ("suspects_" in page) == any(len(of.indices) > 20 for of in found)
    labels = loading.load(limit=1000, seed=3).test_labels
    names = fashion_mnist.FASHION_MNIST_LABELS
    assert all(row["given"] == names[labels[int(row["index"])]] for row in rows)
