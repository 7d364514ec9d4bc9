"""The class: its contract, the order of its steps, and scikit-learn's way of using it."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score

from apparel import (
    ApparelClassifier,
    ApparelError,
    DataError,
    ModelFileError,
    StepOrderError,
    UsageError,
)
from apparel.core.records import Evaluation, Evidence, History

LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]  # fmt: skip


@pytest.fixture(scope="module")
def tested() -> ApparelClassifier:
    """A classifier that has gone through every step up to the test."""
    classifier = ApparelClassifier(limit=400)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.run_training(batch_size=40, epochs=2)
    classifier.test_model()
    return classifier


@pytest.fixture
def prepared() -> ApparelClassifier:
    return ApparelClassifier(limit=200).import_data().prepare_data()


def test_a_new_classifier_is_empty() -> None:
    classifier = ApparelClassifier()
    assert (classifier.n_classes, classifier.img_shape) == (10, (28, 28, 1))
    assert classifier.labels == LABELS
    for name in ("model", "training_logs", "train_images", "train_labels", "test_images",
                 "test_labels", "orig_test_labels", "calibration", "evaluation"):  # fmt: skip
        assert getattr(classifier, name) is None


def test_further_settings_are_keyword_only() -> None:
    kinds = {p.name: p.kind for p in inspect.signature(ApparelClassifier).parameters.values()}
    positional = [k for k, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == ["n_classes", "img_shape"]


def test_import_data_gives_what_keras_gives(capsys: pytest.CaptureFixture[str]) -> None:
    classifier = ApparelClassifier()
    assert classifier.import_data() is classifier
    (x, y), (test_x, test_y) = keras.datasets.fashion_mnist.load_data()
    np.testing.assert_array_equal(classifier.train_images, x)
    np.testing.assert_array_equal(classifier.train_labels, y)
    np.testing.assert_array_equal(classifier.test_images, test_x)
    np.testing.assert_array_equal(classifier.orig_test_labels, test_y)
    expected = "fashion-mnist: 60000 training and 10000 test images of 10 classes\n"
    assert capsys.readouterr().out == expected


def test_prepare_data_scales_and_encodes_once() -> None:
    classifier = ApparelClassifier(limit=200).import_data()
    raw, labels = classifier.train_images, classifier.train_labels
    classifier.prepare_data()
    assert classifier.train_images.shape == (200, 28, 28, 1)
    assert classifier.train_images.dtype == np.float32
    np.testing.assert_allclose(classifier.train_images[..., 0], raw / 255, rtol=1e-6)
    np.testing.assert_array_equal(classifier.train_labels, np.eye(10)[labels])
    np.testing.assert_array_equal(
        classifier.test_labels.argmax(axis=1), classifier.orig_test_labels
    )
    before = [classifier.train_images, classifier.train_labels, classifier.test_images]
    classifier.prepare_data()
    after = [classifier.train_images, classifier.train_labels, classifier.test_images]
    assert all(a is b for a, b in zip(before, after, strict=True))


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
    for source, options in zip(sources, ({"n_classes": 4}, {"img_shape": (8, 8, 3)}), strict=True):
        with pytest.raises(DataError, match="was asked for"):
            ApparelClassifier(**options).import_data(source)


def test_images_put_in_by_hand_are_used(prepared: ApparelClassifier) -> None:
    own = ApparelClassifier(n_classes=2, img_shape=(8, 8, 1))
    random = np.random.default_rng(0)
    own.train_images = random.integers(0, 255, (40, 8, 8), dtype=np.uint8)
    own.train_labels = np.arange(40) % 2
    own.train_images[own.train_labels == 1] //= 8
    own.test_images, own.test_labels = own.train_images[:10], own.train_labels[:10]
    own.prepare_data().create_model().setup_model()
    own.run_training(epochs=8, batch_size=8)
    assert own.test_model().metrics["accuracy"].value == 1.0
    assert own.labels == ["0", "1"]

    prepared.train_images = prepared.train_images[:50]
    prepared.train_labels = prepared.train_labels[:50]
    prepared.create_model().setup_model().run_training(epochs=1, batch_size=1000)
    assert int(prepared.model.optimizer.iterations) == 1


def test_create_model_builds_the_seeds_network(
    prepared: ApparelClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepared.create_model() is prepared
    assert [type(layer).__name__ for layer in prepared.model.layers] == [
        "Conv2D", "Conv2D", "MaxPooling2D", "Dropout", "Flatten", "Dense", "Dense", "Dense",
    ]  # fmt: skip
    assert isinstance(prepared.model, keras.Sequential)
    output = capsys.readouterr().out
    assert "Total params: 1,207,498" in output
    assert "Number format of training: " in output


def test_setup_model_compiles_as_the_seed_does(prepared: ApparelClassifier) -> None:
    assert prepared.create_model().setup_model() is prepared
    assert isinstance(prepared.model.optimizer, keras.optimizers.Adam)
    assert float(prepared.model.optimizer.learning_rate) == pytest.approx(1e-3)
    assert prepared.model.loss == "categorical_crossentropy"
    measures = prepared.model.evaluate(
        prepared.test_images, prepared.test_labels, verbose=0, return_dict=True
    )
    assert set(measures) == {"loss", "accuracy", "precision", "recall"}


def test_training_and_testing_keep_their_records(tested: ApparelClassifier) -> None:
    assert isinstance(tested.training_logs, History)
    assert tested.training_logs.epochs == 2
    assert isinstance(tested.evaluation, Evaluation)
    predicted = tested.model.predict(tested.test_images, verbose=0).argmax(axis=1)
    assert tested.evaluation.metrics["accuracy"].value == pytest.approx(
        accuracy_score(tested.orig_test_labels, predicted)
    )
    np.testing.assert_array_equal(tested.predict(tested.test_images), predicted)
    assert tested.score(tested.test_images, tested.orig_test_labels) == pytest.approx(
        accuracy_score(tested.orig_test_labels, predicted)
    )


def test_the_models_confidences_are_calibrated_on_validation_images(
    prepared: ApparelClassifier, tmp_path: Path
) -> None:
    # A third held out, and hardly any training: the network is far from sure enough or too sure.
    prepared.validation_split, prepared.target_accuracy = 0.3, 0.5
    prepared.create_model().setup_model().run_training(batch_size=10, epochs=12)
    found = prepared.calibration
    assert (found.n_images, found.target_accuracy) == (60, 0.5)
    assert found.temperature != 1
    validation = prepared._trained.splits.validation
    images, labels = (a[validation] for a in (prepared.train_images, prepared.train_labels))
    calibrated = prepared.model.predict(images, verbose=0)
    odds = calibrated.astype(np.float64) ** found.temperature
    raw = odds / odds.sum(axis=1, keepdims=True)

    def loss(factor: float) -> float:
        """The log loss with the logits of `raw` multiplied."""
        return log_loss(labels, raw**factor / (raw**factor).sum(axis=1, keepdims=True))

    best = minimize_scalar(loss, bounds=(0.25, 4), method="bounded").x
    assert 1 / found.temperature == pytest.approx(best, rel=0.01)
    path = prepared.export_model(tmp_path / "model.keras")
    exported = keras.models.load_model(path).predict(images, verbose=0)
    np.testing.assert_allclose(exported, calibrated, atol=1e-6)
    evaluation = prepared.test_model()
    assert evaluation.calibration is found
    answered = evaluation.probabilities.max(axis=1) >= found.threshold
    assert evaluation.abstention.coverage.value == pytest.approx(answered.mean())


@pytest.mark.parametrize(
    ("done", "step", "first"),
    [
        ([], "prepare_data", "import_data"),
        ([], "setup_model", "create_model"),
        ([], "run_training", "import_data"),
        (["import_data"], "run_training", "prepare_data"),
        (["import_data", "prepare_data"], "run_training", "create_model"),
        (["import_data", "prepare_data", "create_model"], "run_training", "setup_model"),
        (["import_data", "prepare_data", "create_model", "setup_model"], "test_model",
         "run_training"),
        ([], "plot_history", "run_training"),
        ([], "visualize_predictions", "run_training"),
        ([], "show_mistakes", "test_model"),
        ([], "plot_calibration", "test_model"),
        ([], "explain_results", "test_model"),
        ([], "export_model", "run_training"),
    ],
)  # fmt: skip
def test_a_step_too_early_names_the_step_to_call(done: list[str], step: str, first: str) -> None:
    classifier = ApparelClassifier(limit=20)
    for name in done:
        getattr(classifier, name)()
    with pytest.raises(StepOrderError, match=rf"^{step}\(\) .* Call {first}\(\) first\.$"):
        getattr(classifier, step)()


def test_predicting_before_training_says_what_to_call() -> None:
    with pytest.raises(StepOrderError, match=r"Call fit\(\) or run_training\(\) first"):
        ApparelClassifier().predict(np.zeros((1, 28, 28)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": 2.0}, "epochs must be a whole number of at least 1, but is 2.0"),
        ({"epochs": True}, "epochs must be"),
        ({"batch_size": -1}, "batch_size must be"),
        ({"batch_size": "64"}, "batch_size must be a whole number of at least 1, but is '64'"),
    ],
)
def test_run_training_refuses_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ApparelClassifier().run_training(**arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed must be"),
        ({"model_name": "resnet"}, "model_name must be one of auto, cnn, fast, best, but is"),
        ({"dtype": "float16"}, "dtype must be one of auto, float32, mixed_bfloat16"),
        ({"validation_split": 1.0}, "validation_split must lie between 0 and 1"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
    ],
)
def test_create_model_refuses_wrong_settings(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ApparelClassifier(**settings).create_model()


def test_data_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match="n_classes=3"):
        ApparelClassifier(n_classes=3).import_data()


@pytest.mark.parametrize("count", [1, 4, 7])
def test_visualize_predictions_draws_by_the_seed(
    tested: ApparelClassifier, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tested.visualize_predictions(count=count)
    first = capsys.readouterr().out
    assert first.count(": predicted ") == count
    tested.visualize_predictions(count=count)
    assert capsys.readouterr().out == first


def test_visualize_predictions_shows_what_the_model_says(
    tested: ApparelClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tested.visualize_predictions([399, 0, 5])
    assert isinstance(figure, Figure)
    lines = capsys.readouterr().out.splitlines()[::2]
    for index, line in zip([399, 0, 5], lines, strict=True):
        predicted = LABELS[tested.evaluation.predicted[index]]
        true = LABELS[tested.orig_test_labels[index]]
        verdict = "right" if predicted == true else "wrong"
        expected = f"test image {index}: predicted {predicted}, true {true} ({verdict})"
        assert line == expected


def test_show_mistakes_shows_the_surest_wrong_answers_first(tested: ApparelClassifier) -> None:
    figure = tested.show_mistakes(3)
    names = [part.axes[0].get_xlabel() for part in figure.subfigs]
    worst = tested.evaluation.worst_mistakes(3)
    assert names == [f"test image {index}" for index in worst]
    with pytest.raises(UsageError, match="count must be a whole number of at least 1, but is 0"):
        tested.show_mistakes(0)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([400], "sample index 400 lies outside the test set of 400 images"),
        ([-1], "sample_indices must be a whole number of at least 0, but is -1"),
        (3, "sample_indices must be a list of positions, but is 3"),
        ([1.5], "but is 1.5"),
        ([], "there is no sample index"),
    ],
)
def test_visualize_predictions_refuses_wrong_indices(
    tested: ApparelClassifier, indices: list, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        tested.visualize_predictions(indices)


def test_the_figures_are_returned(tested: ApparelClassifier) -> None:
    assert isinstance(tested.plot_history(), Figure)
    evaluation = tested.evaluation
    figure = tested.show_conf_matrix(evaluation.true, evaluation.predicted)
    cells = {text.get_text().split("\n")[0] for text in figure.axes[0].texts}
    assert str(evaluation.confusion.max()) in cells


def test_explain_results_prints_a_headline_and_its_findings(
    tested: ApparelClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = tested.explain_results()
    output = capsys.readouterr().out
    assert f"The model classifies {tested.evaluation.metrics['accuracy'].value:.1%}"[:-1] in output
    # A single epoch, and few test images.
    assert {"short_training", "test_size"} <= {finding.topic for finding in findings}
    for number, finding in enumerate(findings, start=1):
        assert f"{number}. {finding.text}\n   Try: {finding.advice}\n" in output
    assert "precision" in output.lower()


def test_explain_results_passes_on_all_that_is_known(
    tested: ApparelClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Evidence] = []
    monkeypatch.setattr(
        "apparel.explain.findings.explain", lambda evidence: known.append(evidence) or ()
    )
    assert tested.explain_results() == ()
    assert known[0].evaluation is tested.evaluation
    assert known[0].history is tested.training_logs
    assert known[0].images_per_class == [36] * 10


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


def test_a_run_directory_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        ApparelClassifier(run_dir=tmp_path, limit=20).import_data()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_run_directory_says_how_far_the_run_has_come(tmp_path: Path) -> None:
    run = tmp_path / "run"
    classifier = ApparelClassifier(run_dir=run, limit=40, epochs=1)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.run_training()
    assert json.loads((run / "settings.json").read_text())["status"] == "trained"
    classifier.test_model()
    assert (run / "metrics.json").exists()
    # Another training: what the first one measured is no longer true.
    classifier.run_training()
    kept = {path.name for path in run.rglob("*") if path.is_file()}
    checkpoints = {path.name for path in (run / "checkpoints").iterdir()}
    assert len(checkpoints) == 2
    assert kept - checkpoints == {
        "check.json", "settings.json", "history.csv", "novelty.npz", "export.json",
        "weights.safetensors", "model.keras",
    }  # fmt: skip


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_in_a_step_is_recorded_and_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = ApparelClassifier(run_dir=tmp_path / "run", limit=40, epochs=1)
    classifier.import_data().prepare_data().create_model().setup_model()
    monkeypatch.setattr(
        "apparel.training.callbacks.epoch_log.EpochLog.on_train_batch_end", interrupt
    )
    with pytest.raises(KeyboardInterrupt):
        classifier.run_training()
    assert classifier.training_logs.interrupted
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["status"] == "interrupted"


def test_ctrl_c_in_fit_is_passed_on(digits: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "apparel.training.callbacks.epoch_log.EpochLog.on_train_batch_end", interrupt
    )
    with pytest.raises(KeyboardInterrupt):
        small().fit(*digits)


def test_data_imported_anew_have_to_be_prepared_anew() -> None:
    classifier = ApparelClassifier(limit=40, epochs=1)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.run_training()
    expected = classifier.test_model()
    classifier.import_data()
    for step in ("test_model", "visualize_predictions", "run_training"):
        with pytest.raises(StepOrderError, match=r"Call prepare_data\(\) first"):
            getattr(classifier, step)()
    again = classifier.prepare_data().test_model()
    np.testing.assert_array_equal(again.probabilities, expected.probabilities)


def test_test_images_put_in_by_hand_are_scored(tested: ApparelClassifier) -> None:
    own = clone(tested)
    own.import_data().prepare_data().create_model().setup_model()
    own.run_training(epochs=1)
    own.test_images, own.test_labels = own.test_images[:50][::-1], own.test_labels[:50][::-1]
    evaluation = own.test_model()
    np.testing.assert_array_equal(evaluation.true, own.orig_test_labels[:50][::-1])


@pytest.mark.parametrize("shape", [(40, 1), (40, 10)])
def test_labels_of_another_shape_are_refused(shape: tuple[int, int]) -> None:
    classifier = ApparelClassifier(limit=40).import_data()
    classifier.train_labels = np.zeros(shape, np.int64)
    with pytest.raises(DataError, match=r"train labels must be whole numbers of shape \(n,\)"):
        classifier.prepare_data()


def test_a_new_model_forgets_the_old_ones_results(tested: ApparelClassifier) -> None:
    own = clone(tested)
    own.import_data().prepare_data().create_model().setup_model()
    own.run_training(epochs=1)
    own.test_model()
    own.create_model()
    for step in ("export_model", "explain_results", "plot_history", "test_model"):
        with pytest.raises(StepOrderError):
            getattr(own, step)()


def test_a_model_of_other_classes_is_not_tested_on_these_images(digits: tuple) -> None:
    x, y = digits[0][:100], digits[1][:100] % 2
    classifier = ApparelClassifier(img_shape=(8, 8, 1), epochs=1, limit=40).fit(x, y)
    with pytest.raises(StepOrderError, match=r"Call import_data\(\) first"):
        classifier.test_model()
    classifier.img_shape = (28, 28, 1)
    classifier.import_data().prepare_data()
    with pytest.raises(ModelFileError, match=r"takes images of shape \(8, 8, 1\)"):
        classifier.test_model()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_classes": 0}, UsageError, "n_classes must be a whole number of at least 2"),
        ({"n_classes": "10"}, UsageError, "n_classes must be a whole number of at least 2"),
        ({"img_shape": (28, 28)}, UsageError, "img_shape must be height, width and channels"),
        ({"img_shape": (28, 28, 0)}, UsageError, "img_shape must be a whole number"),
        ({"img_shape": (5, 28, 1)}, DataError, "needs a height and width of at least 6"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(
    arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ApparelClassifier(**arguments).create_model()


def test_the_smallest_images_are_big_enough() -> None:
    assert ApparelClassifier(img_shape=(6, 6, 1)).create_model().model.output_shape == (None, 10)


def test_diverged_training_is_named(tmp_path: Path) -> None:
    classifier = ApparelClassifier(limit=40, epochs=1, learning_rate=1e30)
    classifier.import_data().prepare_data().create_model().setup_model()
    classifier.run_training()
    for step in (classifier.test_model, lambda: classifier.export_model(tmp_path / "m.keras")):
        with pytest.raises(ApparelError, match="training diverged"):
            step()


def test_a_users_keras_settings_do_not_reach_the_model() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = ApparelClassifier().create_model().model
    finally:
        keras.config.set_dtype_policy(policy)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert model.layers[0].data_format == "channels_last"


# -- scikit-learn -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """8 x 8 images of handwritten digits, flat, 0 to 16."""
    x, y = load_digits(return_X_y=True)
    return (x * 15).astype(np.uint8), y


def small(**settings: object) -> ApparelClassifier:
    return ApparelClassifier(img_shape=(8, 8, 1), epochs=3, batch_size=32, **settings)


def test_fit_takes_flat_square_and_channelled_images(digits: tuple) -> None:
    x, y = digits[0][:300], digits[1][:300]
    shapes = [x, x.reshape(-1, 8, 8), x.reshape(-1, 8, 8, 1), x / np.float32(255)]
    answers = [small().fit(shape, y).predict_proba(shape) for shape in shapes]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)
    np.testing.assert_allclose(answers[0].sum(axis=1), 1, atol=1e-5)


def test_fit_takes_names_as_labels(digits: tuple, tmp_path: Path) -> None:
    x, y = digits
    names = np.array(["even", "odd"])[y % 2]
    classifier = small().fit(x, names)
    assert classifier.classes_.tolist() == ["even", "odd"]
    assert set(classifier.predict(x[:50])) == {"even", "odd"}
    assert classifier.score(x, names) > 0.9
    assert classifier.labels == ["even", "odd"]
    assert classifier.n_classes == 10  # an argument, which scikit-learn clones
    classifier.export_model(tmp_path / "odd.onnx")


def test_cross_validation_and_grid_search_work(digits: tuple) -> None:
    x, y = digits[0][:600], digits[1][:600]
    scores = cross_val_score(small(), x, y, cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.7
    search = GridSearchCV(small(), {"learning_rate": [1e-5, 1e-3]}, cv=2).fit(x, y)
    assert search.best_params_ == {"learning_rate": 1e-3}


def test_a_clone_has_the_same_arguments_and_no_model(tested: ApparelClassifier) -> None:
    copy = clone(tested)
    assert copy.get_params() == tested.get_params()
    assert copy.model is None


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 8, 8), np.uint8), [0, 1], "one label an image"),
        (np.zeros((4, 8, 8), np.uint8), [1, 1, 1, 1], "a single class, 1"),
        (np.full((4, 8, 8), 300), [0, 1, 0, 1], "from 300 to 300"),
        (np.full((4, 8, 8), 1.5), [0, 1, 0, 1], "from 1.5 to 1.5"),
        (np.full((4, 8, 8), np.nan), [0, 1, 0, 1], "from nan to nan"),
        (np.zeros((4, 63), np.uint8), [0, 1, 0, 1], "shape \\(4, 63\\)"),
        (np.zeros((0, 8, 8), np.uint8), [], "at least one image"),
        (np.full((2, 8, 8), "a"), [0, 1], "must hold numbers"),
    ],
)
def test_fit_refuses_arrays_that_make_no_sense(x: np.ndarray, y: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        small().fit(x, y)


def test_predict_refuses_images_of_another_size(tested: ApparelClassifier) -> None:
    with pytest.raises(DataError, match=r"shape \(28, 28, 1\), but has shape \(1, 8, 8\)"):
        tested.predict(np.zeros((1, 8, 8)))
