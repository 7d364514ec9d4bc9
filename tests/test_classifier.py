"""The class: its contract, the order of its steps, and scikit-learn's way of using it."""

import inspect
import json
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score

from apparel import (
    ApparelClassifier,
    DataError,
    ModelFileError,
    StepOrderError,
    UsageError,
)
from apparel.core.records import Evaluation, History
from apparel.core.settings import Settings, options

LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]  # fmt: skip
STEPS = ("import_data", "prepare_data", "create_model", "setup_model", "run_training")
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def ready(source: Path, **settings: object) -> ApparelClassifier:
    """A classifier that could be trained."""
    classifier = ApparelClassifier(**{"epochs": 1, **settings})
    return classifier.import_data(source).prepare_data().create_model().setup_model()


@pytest.fixture(scope="module")
def tested() -> ApparelClassifier:
    """A classifier that has gone through every step up to the test."""
    classifier = ApparelClassifier(limit=400)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.run_training(batch_size=40, epochs=2)
    classifier.test_model()
    return classifier


# -- the constructor ---------------------------------------------------------------------


def test_a_new_classifier_is_empty() -> None:
    classifier = ApparelClassifier()
    assert (classifier.n_classes, classifier.img_shape) == (10, (28, 28, 1))
    assert classifier.labels == LABELS
    for name in ("model", "training_logs", *ARRAYS, "orig_test_labels", "calibration",
                 "evaluation"):  # fmt: skip
        assert getattr(classifier, name) is None


def test_the_arguments_are_the_settings() -> None:
    parameters = inspect.signature(ApparelClassifier).parameters
    named, settings = ["n_classes", "img_shape"], [name for name, *_ in options()]
    assert list(parameters) == [*named, *settings, "data_dir", "run_dir"]
    kinds = [p.kind for p in parameters.values()]
    assert kinds == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 2 + [
        inspect.Parameter.KEYWORD_ONLY
    ] * (len(kinds) - 2)
    classifier = ApparelClassifier(3, (8, 8, 1), epochs=7, budget=None)
    assert classifier._settings() == Settings(epochs=7)
    assert all(f"    {name}: " in ApparelClassifier.__init__.__doc__ for name in settings)
    with pytest.raises(TypeError, match="no keyword argument 'epoch'"):
        ApparelClassifier(epoch=7)
    with pytest.raises(UsageError, match="epochs must be a whole number of at least 1, but is"):
        ApparelClassifier().run_training(epochs=2.0)


def test_scikit_learn_reads_sets_and_clones_the_arguments() -> None:
    classifier = ApparelClassifier(epochs=3, budget=None, run_dir="runs/a")
    copy = clone(classifier.set_params(seed=4, checkpoint_every="30s"))
    given = {"epochs": 3, "seed": 4, "checkpoint_every": "30s", "run_dir": "runs/a"}
    assert copy.get_params().items() >= given.items()
    assert copy._settings().checkpoint_every == 30
    assert repr(ApparelClassifier(epochs=3)) == "ApparelClassifier(epochs=3)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_name": "resnet"}, "model_name must be one of auto, cnn, fast, best, but is"),
        ({"width": 3}, "the model cnn has one size"),
        ({"n_classes": "10"}, "n_classes must be a whole number of at least 2"),
        ({"img_shape": (28, 28)}, "img_shape must be height, width and channels"),
        ({"img_shape": (28, 28, 0)}, "img_shape must be a whole number"),
        ({"img_shape": (5, 28, 1)}, "needs a height and width of at least 6"),
    ],
)
def test_create_model_refuses_what_makes_no_sense(settings: dict, message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        ApparelClassifier(**settings).create_model()


# -- data --------------------------------------------------------------------------------


def test_import_and_prepare_give_what_keras_gives(capsys: pytest.CaptureFixture[str]) -> None:
    classifier = ApparelClassifier()
    assert classifier.import_data() is classifier
    (x, y), (test_x, test_y) = keras.datasets.fashion_mnist.load_data()
    expected = (x, y, test_x, test_y)
    for name, array in zip(ARRAYS, expected, strict=True):
        np.testing.assert_array_equal(getattr(classifier, name), array)
    np.testing.assert_array_equal(classifier.orig_test_labels, test_y)
    printed = "fashion-mnist: 60000 training and 10000 test images of 10 classes\n"
    assert capsys.readouterr().out == printed


def test_prepare_data_scales_and_encodes_once(digits_file: Path) -> None:
    classifier = ApparelClassifier().import_data(digits_file)
    raw, labels = classifier.train_images, classifier.train_labels
    assert (raw.shape, raw.dtype) == ((320, 8, 8), np.uint8)
    assert classifier.prepare_data() is classifier
    assert (classifier.train_images.shape, classifier.train_images.dtype) == (
        (320, 8, 8, 1),
        np.float32,
    )
    np.testing.assert_allclose(classifier.train_images[..., 0], raw / 255, rtol=1e-6)
    np.testing.assert_array_equal(classifier.train_labels, np.eye(10)[labels])
    np.testing.assert_array_equal(
        classifier.test_labels.argmax(axis=1), classifier.orig_test_labels
    )
    before = [getattr(classifier, name) for name in ARRAYS]
    classifier.prepare_data()
    assert all(getattr(classifier, n) is a for n, a in zip(ARRAYS, before, strict=True))


def test_other_images_can_be_imported_where_nothing_was_asked_for() -> None:
    random = np.random.default_rng(0)
    shapes = [(8, 8, 3), (9, 7, 1)]
    sources = [
        (random.integers(0, 256, (30, *shape), dtype=np.uint8), np.arange(30) % classes)
        for shape, classes in zip(shapes, (2, 3), strict=True)
    ]
    classifier = ApparelClassifier()
    for source, shape, classes in zip(sources, shapes, (2, 3), strict=True):
        classifier.import_data(source)
        assert (classifier.img_shape, classifier.n_classes) == (shape, classes)
    for source, given in zip(sources, ({"n_classes": 4}, {"img_shape": (8, 8, 3)}), strict=True):
        with pytest.raises(DataError, match="was asked for"):
            ApparelClassifier(**given).import_data(source)


def test_images_put_in_by_hand_are_used(untrained: list, digits_file: Path) -> None:
    own = ApparelClassifier(n_classes=2, img_shape=(8, 8, 1))
    own.train_images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    own.train_labels = np.arange(40) % 2
    own.test_images, own.test_labels = own.train_images[:10], own.train_labels[:10]
    own.prepare_data().create_model().setup_model().run_training()
    assert own.test_model().true.tolist() == [0, 1] * 5
    assert own.labels == ["0", "1"]
    assert own._trained.splits.manifest["source"] == "arrays"

    classifier = ready(digits_file)
    classifier.train_images = classifier.train_images[:50]
    classifier.train_labels = classifier.train_labels[:50]
    classifier.test_images = classifier.test_images[:50][::-1]
    classifier.test_labels = classifier.test_labels[:50][::-1]
    classifier.run_training()
    assert len(classifier._trained.splits.train_images) == 50
    scored = classifier.test_model().true
    np.testing.assert_array_equal(scored, classifier.orig_test_labels[:50][::-1])


# -- the order of the steps ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_done", "step", "first"),
    [
        (0, "prepare_data", "import_data"),
        (0, "setup_model", "create_model"),
        (0, "run_training", "import_data"),
        (1, "run_training", "prepare_data"),
        (2, "run_training", "create_model"),
        (3, "run_training", "setup_model"),
        (4, "test_model", "run_training"),
        (0, "plot_history", "run_training"),
        (0, "visualize_predictions", "run_training"),
        (0, "show_mistakes", "test_model"),
        (0, "plot_calibration", "test_model"),
        (0, "explain_results", "test_model"),
        (0, "export_model", "run_training"),
        (0, "predict", r"fit\(\) or run_training"),
    ],
)
def test_a_step_too_early_names_the_step_to_call(
    digits_file: Path, n_done: int, step: str, first: str
) -> None:
    classifier = ApparelClassifier()
    for name in STEPS[:n_done]:
        getattr(classifier, name)(*([digits_file] if name == "import_data" else []))
    with pytest.raises(StepOrderError, match=rf"^{step}\(\) .* Call {first}\(\) first\.$"):
        getattr(classifier, step)(*([np.zeros((1, 28, 28))] if step == "predict" else []))


def test_data_imported_anew_have_to_be_prepared_anew(untrained: list, digits_file: Path) -> None:
    classifier = ready(digits_file)
    classifier.run_training()
    expected = classifier.test_model()
    classifier.import_data(digits_file)
    for step in ("test_model", "visualize_predictions", "run_training"):
        with pytest.raises(StepOrderError, match=r"Call prepare_data\(\) first"):
            getattr(classifier, step)()
    again = classifier.prepare_data().test_model()
    np.testing.assert_array_equal(again.probabilities, expected.probabilities)
    classifier.create_model()  # which forgets the results of the one before
    for step in ("export_model", "explain_results", "plot_history", "test_model"):
        with pytest.raises(StepOrderError):
            getattr(classifier, step)()


def test_a_model_of_other_classes_is_not_tested_on_these_images(
    untrained: list, digits: tuple, digits_file: Path
) -> None:
    classifier = ApparelClassifier(img_shape=(8, 8, 1)).fit(digits[0], digits[1] % 2)
    with pytest.raises(StepOrderError, match=r"Call import_data\(\) first"):
        classifier.test_model()
    classifier.import_data(digits_file).prepare_data()
    with pytest.raises(ModelFileError, match=r"gives 2 classes"):
        classifier.test_model()


# -- model and training ----------------------------------------------------------------------


def test_the_model_is_built_and_compiled_as_the_seed_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classifier = ApparelClassifier()
    assert classifier.create_model() is classifier
    assert classifier.setup_model() is classifier
    model = classifier.model
    assert isinstance(model, keras.Sequential)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    assert model.loss == "categorical_crossentropy"
    measures = model.evaluate(np.zeros((2, 28, 28, 1)), np.eye(10)[:2], verbose=0, return_dict=True)
    assert set(measures) == {"loss", "accuracy", "precision", "recall"}
    output = capsys.readouterr().out
    assert "Total params: 1,207,498" in output
    assert "Number format of training: " in output


def test_a_users_keras_settings_do_not_reach_the_model() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = ApparelClassifier(img_shape=(6, 6, 1)).create_model().model
    finally:
        keras.config.set_dtype_policy(policy)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert model.layers[0].data_format == "channels_last"


def test_training_and_testing_keep_their_records(tested: ApparelClassifier) -> None:
    assert isinstance(tested.training_logs, History)
    assert tested.training_logs.epochs == 2
    assert isinstance(tested.evaluation, Evaluation)
    predicted = tested.model.predict(tested.test_images, verbose=0).argmax(axis=1)
    accuracy = accuracy_score(tested.orig_test_labels, predicted)
    assert tested.evaluation.metrics["accuracy"].value == pytest.approx(accuracy)
    np.testing.assert_array_equal(tested.predict(tested.test_images), predicted)
    assert tested.score(tested.test_images, tested.orig_test_labels) == pytest.approx(accuracy)
    assert accuracy > 0.3


@pytest.mark.slow
def test_confidences_are_calibrated_on_validation_images() -> None:
    # A third held out, and hardly any training: the network is far from sure enough or too sure.
    own = ApparelClassifier(limit=200, validation_split=0.3, target_accuracy=0.5)
    own.import_data().prepare_data().create_model().setup_model()
    own.run_training(batch_size=10, epochs=12)
    found, validation = own.calibration, own._trained.splits.validation
    assert (found.n_images, found.target_accuracy) == (len(validation), 0.5)
    assert found.temperature != 1
    labels = own.train_labels[validation]
    calibrated = own.model.predict(own.train_images[validation], verbose=0).astype(np.float64)

    def loss(factor: float) -> float:
        """The log loss with the logits multiplied."""
        odds = calibrated**factor
        return log_loss(labels, odds / odds.sum(axis=1, keepdims=True))

    assert loss(1) < min(loss(0.97), loss(1.03))
    assert own.test_model().calibration is found


def test_a_run_is_tested_by_the_recipe_that_it_was_trained_with(
    untrained: list, digits_file: Path
) -> None:
    classifier = ready(digits_file, model_name="fast", width=1)
    classifier.run_training(epochs=8)  # from 8 epochs on, training images are shifted
    assert {"accuracy_flip_averaged", "accuracy_view_averaged"} <= set(
        classifier.test_model().metrics
    )


def test_ctrl_c_is_recorded_and_passed_on(
    tmp_path: Path, untrained: list, digits: tuple, digits_file: Path
) -> None:
    untrained[0] = replace(untrained[0], interrupted=True)
    classifier = ready(digits_file, run_dir=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        classifier.run_training()
    assert classifier.training_logs.interrupted
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["status"] == "interrupted"
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    with pytest.raises(KeyboardInterrupt):
        small().fit(*digits)


def test_the_run_directory_says_how_far_the_run_has_come(
    tmp_path: Path, untrained: list, digits_file: Path
) -> None:
    run = tmp_path / "run"
    classifier = ready(digits_file, run_dir=run)
    classifier.run_training()
    assert json.loads((run / "settings.json").read_text())["status"] == "trained"
    classifier.test_model()
    assert (run / "metrics.json").exists()
    # Another training: what the first one measured is no longer true.
    classifier.run_training()
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} == {
        "check.json", "settings.json", "history.csv", "novelty.npz", "export.json",
        "weights.safetensors", "model.keras",
    }  # fmt: skip


# -- results ---------------------------------------------------------------------------------


def test_visualize_predictions_shows_what_the_model_says(
    tested: ApparelClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(tested.visualize_predictions([399, 0, 5]), Figure)
    lines = capsys.readouterr().out.splitlines()[::2]
    for index, line in zip([399, 0, 5], lines, strict=True):
        predicted = LABELS[tested.evaluation.predicted[index]]
        true = LABELS[tested.orig_test_labels[index]]
        verdict = "right" if predicted == true else "wrong"
        expected = f"test image {index}: predicted {predicted}, true {true} ({verdict})"
        assert line == expected
    tested.visualize_predictions(count=7)
    drawn = capsys.readouterr().out
    assert drawn.count(": predicted ") == 7
    tested.visualize_predictions(count=7)
    assert capsys.readouterr().out == drawn


def test_the_figures_are_returned(tested: ApparelClassifier) -> None:
    assert isinstance(tested.plot_history(), Figure)
    evaluation = tested.evaluation
    figure = tested.show_conf_matrix(evaluation.true, evaluation.predicted)
    cells = {text.get_text().split("\n")[0] for text in figure.axes[0].texts}
    assert str(evaluation.confusion.max()) in cells
    # The surest wrong answers come first.
    names = [part.axes[0].get_xlabel() for part in tested.show_mistakes(3).subfigs]
    assert names == [f"test image {index}" for index in evaluation.worst_mistakes(3)]
    with pytest.raises(UsageError, match="count must be a whole number of at least 1, but is 0"):
        tested.show_mistakes(0)


def test_explain_results_prints_a_headline_and_its_findings(
    tested: ApparelClassifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = tested.explain_results()
    output = capsys.readouterr().out
    assert f"{tested.evaluation.metrics['accuracy'].value:.1%}"[:-1] in output
    # Two epochs, and few test images.
    assert {"short_training", "test_size"} <= {finding.topic for finding in findings}
    for number, finding in enumerate(findings, start=1):
        assert f"{number}. {finding.text}\n   Try: {finding.advice}\n" in output
    assert "precision" in output.lower()
    explain = mock.Mock(return_value=())
    monkeypatch.setattr("apparel.explain.findings.explain", explain)
    assert tested.explain_results() == ()
    (known,) = explain.call_args.args
    assert known.evaluation is tested.evaluation
    assert known.history is tested.training_logs
    assert known.images_per_class == tested._trained.splits.images_per_class["training"]


def test_export_model_saves_where_it_is_told(
    tested: ApparelClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tested.export_model() == Path("refactored_fashion_cnn.keras")
    reopened = keras.models.load_model("refactored_fashion_cnn.keras")
    np.testing.assert_allclose(
        reopened.predict(tested.test_images, verbose=0),
        tested.evaluation.probabilities,
        atol=1e-5,
    )
    with pytest.raises(UsageError, match=r"ends in '\.h5'"):
        tested.export_model("model.h5")


# -- scikit-learn -----------------------------------------------------------------------


def small(**settings: object) -> ApparelClassifier:
    return ApparelClassifier(img_shape=(8, 8, 1), epochs=3, batch_size=32, **settings)


def test_fit_takes_any_layout_of_images_and_names_as_labels(digits: tuple, tmp_path: Path) -> None:
    x, y = digits
    names = np.array(["even", "odd"])[y % 2]
    classifier = small().fit(x, names)
    assert classifier.classes_.tolist() == classifier.labels == ["even", "odd"]
    assert classifier.n_classes == 10  # an argument, which scikit-learn clones
    answer = classifier.predict_proba(x)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    for same in (x.reshape(-1, 8, 8), x.reshape(-1, 8, 8, 1), x / np.float32(255)):
        np.testing.assert_allclose(classifier.predict_proba(same), answer, atol=1e-5)
    assert set(classifier.predict(x[:50])) == {"even", "odd"}
    assert classifier.score(x, names) > 0.8
    with pytest.raises(DataError, match=r"shape \(8, 8, 1\), but has shape \(1, 28, 28\)"):
        classifier.predict(np.zeros((1, 28, 28)))


def test_cross_validation_and_grid_search_run(untrained: list, digits: tuple) -> None:
    x, y = digits
    assert cross_val_score(small(), x, y, cv=2).shape == (2,)
    search = GridSearchCV(small(), {"batch_size": [16, 32]}, cv=2).fit(x, y)
    assert search.best_params_["batch_size"] in {16, 32}


def test_fit_refuses_arrays_that_make_no_sense() -> None:
    for x, y, message in (
        (np.zeros((4, 8, 8), np.uint8), [0, 1], "one label an image"),
        (np.full((4, 8, 8), 300), [0, 1, 0, 1], "from 300 to 300"),
        (np.zeros((4, 63), np.uint8), [0, 1, 0, 1], "shape \\(4, 63\\)"),
    ):
        with pytest.raises(DataError, match=message):
            small().fit(x, y)
