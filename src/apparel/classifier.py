"""`ApparelClassifier`: the steps from images to a trained, tested and exported classifier.

Each method checks that it may run, calls the stage that does the work, and keeps the result.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from apparel.core import backend, display
from apparel.core.atomic_files import write_text
from apparel.core.errors import DataError, StepOrderError, UsageError
from apparel.core.image_array import ImageArray
from apparel.core.messages import is_verbose, say
from apparel.core.model_formats import FASHION_MNIST, KERAS_FILE, SAVED_FILE, format_of
from apparel.core.recipes import Plan, Recipe, recipe_of
from apparel.core.records import (
    ARRAYS,
    Calibration,
    DataCheck,
    Dataset,
    Evaluation,
    Evidence,
    Finding,
    History,
    ImageList,
    Novelty,
    Splits,
)
from apparel.core.settings import Settings, options
from apparel.core.validation import whole_number
from apparel.data import loading
from apparel.data.arrays import (
    as_unit_images,
    encode_labels,
    from_arrays,
    image_shape,
    is_prepared,
    one_hot,
    without_grey_axis,
)
from apparel.data.image_table import splits_table
from apparel.data.loading import Source
from apparel.data.quality.check import screen, without_leaks
from apparel.data.sources import fashion_mnist
from apparel.data.splits import prepare, split
from apparel.evaluation import calibration, metrics
from apparel.explain import findings as findings_module
from apparel.explain import glossary, saliency
from apparel.export import exporting, metadata
from apparel.models import architectures, keras_inference, novelty
from apparel.reporting import plots, text
from apparel.runs import files
from apparel.runs.folder import IMAGES_FILE
from apparel.runs.provenance import Provenance, versions
from apparel.runs.run_directory import RunDirectory
from apparel.training import budget, fit

P = ParamSpec("P")
T = TypeVar("T")

# Fashion-MNIST's.
N_CLASSES, IMG_SHAPE = 10, (28, 28, 1)


class Workers(Protocol):
    """Several processes that train a run together, and leave its checkpoints."""

    def train(self, directory: RunDirectory) -> None:
        """Train to the end."""


@dataclass(frozen=True)
class _Loaded:
    """A data set as it was imported, then as it was prepared.

    Attributes:
        arrays: training images and labels, test images and labels, as the classifier got them;
            others were put in by hand.
        manifest: source of the images, and once prepared, the hashes that identify them.
        dataset: the images as imported; None once they are prepared.
        validation: positions that the source sets aside for validation.
        keys: of the training images as in `Dataset`, by which others are drawn.
        image_list: files of the images; None where they are not in files of their own.
    """

    arrays: tuple[Any, ...]
    manifest: Mapping[str, object]
    dataset: Dataset | None = None
    validation: NDArray[np.int64] | None = None
    keys: NDArray[np.uint64] | None = None
    image_list: ImageList | None = None


@dataclass(frozen=True)
class _Trained:
    """Training of the current model: its images, settings and recipe.

    Attributes:
        splits: the images.
        settings: what was asked for, `run_training`'s own arguments included.
        recipe: these settings with the model's recipe.
    """

    splits: Splits
    settings: Settings
    recipe: Recipe

    @cached_property
    def novelty(self) -> Novelty:
        """Novelty score of the training images, fitted on first use."""
        splits = self.splits
        return novelty.fit(
            splits.train_images, splits.training, splits.validation, seed=self.settings.seed
        )


def _with_settings(init: Callable[P, None]) -> Callable[P, None]:
    """List the settings among a constructor's arguments, where scikit-learn and `help` look."""
    *named, data_dir, run_dir, _ = signature(init).parameters.values()
    settings = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(Settings)
    ]
    init.__signature__ = Signature([*named, *settings, data_dir, run_dir])  # type: ignore[attr-defined]  # of any function
    lines = (f"    {name}: {option.help}." for name, option, _ in options())
    init.__doc__ = "\n".join(["Settings, all of them keyword-only:", "", *lines])
    return init


class ApparelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn publishes no types
    """An image classifier, step by step or as a scikit-learn estimator.

    Step by step, in this order: `import_data`, `prepare_data`, `create_model`, `setup_model`,
    `run_training`, `test_model`, `explain_results`, `visualize_predictions`,
    `show_mistakes`, `export_model`.
    As an estimator: `fit`, `predict`, `predict_proba`, `score`.

    Args:
        n_classes: number of classes in the data. What differs from the default is checked
            against the data; the default gives way to what they have.
        img_shape: height, width and channels of one image; likewise.
        data_dir: folder with the data set's files.
        run_dir: where to keep every figure and record; None keeps none.
        **settings: the fields of `core.settings.Settings`; `help(ApparelClassifier.__init__)`
            lists them. Times may be texts such as "10m".

    Attributes:
        labels: the class names.
        model: the `keras.Model`, in float32; None before `create_model`.
        training_logs: the `History`; None before `run_training`.
        train_images: uint8 (n, h, w) after `import_data`, float32 (n, h, w, c) in [0, 1] after
            `prepare_data`.
        train_labels: whole numbers (n,), then one-hot (n, k).
        test_images: as `train_images`.
        test_labels: as `train_labels`.
        orig_test_labels: whole numbers (n,), from `import_data` on.
        data_check: what is wrong with the images, the `DataCheck`; None before `import_data`.
        calibration: temperature and threshold, the `Calibration`; None before `run_training`.
        evaluation: the `Evaluation`; None before `test_model`.
        classes_: labels that `predict` answers with, once trained.

    Example:
        >>> classifier = ApparelClassifier(limit=1000, epochs=1)
        >>> classifier.import_data().prepare_data().create_model().setup_model()
        >>> classifier.run_training()
        >>> classifier.test_model()
    """

    @_with_settings
    def __init__(
        self,
        n_classes: int = N_CLASSES,
        img_shape: tuple[int, int, int] = IMG_SHAPE,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        run_dir: str | os.PathLike[str] | RunDirectory | None = None,
        **settings: Any,
    ) -> None:
        defaults = {name: default for name, _, default in options()}
        if unknown := sorted(settings.keys() - defaults.keys()):
            raise TypeError(f"ApparelClassifier() has no keyword argument {unknown[0]!r}")
        # scikit-learn clones estimators by these attributes: they stay as they were given.
        self.n_classes = n_classes
        self.img_shape = img_shape
        self.data_dir = data_dir
        self.run_dir = run_dir
        for name, value in (defaults | settings).items():
            setattr(self, name, value)

        self.labels: list[str] = _default_labels(n_classes)
        self.model: Any = None
        self.training_logs: History | None = None
        self.train_images: ImageArray | None = None
        self.train_labels: NDArray[Any] | None = None
        self.test_images: ImageArray | None = None
        self.test_labels: NDArray[Any] | None = None
        self.orig_test_labels: NDArray[np.int64] | None = None
        self.data_check: DataCheck | None = None
        self.calibration: Calibration | None = None
        self.evaluation: Evaluation | None = None
        self._loaded: _Loaded | None = None
        self._trained: _Trained | None = None
        # Classes and shape that were taken from data, not asked for.
        self._followed: dict[str, object] = {}
        # Plan of the budget; None without a budget.
        self._plan: Plan | None = None
        self._run: RunDirectory | None = None
        # Of the training that is being resumed; None for a new one.
        self._provenance: Provenance | None = None

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str] | RunDirectory,
        *,
        source: Source | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        workers: Workers | None = None,
    ) -> Self:
        """Finish an interrupted training.

        The weights are, bit for bit, those of a training that was not interrupted.

        Args:
            path: its run directory.
            source: where the images are, if not where they were. Needed for arrays.
            data_dir: folder with the data set's files, if not the one that the run was given.
            workers: train instead of this process.

        Returns:
            The classifier, trained; go on with `test_model`.

        Raises:
            ModelFileError: it is no run directory, or holds nothing to resume from.
            UsageError: the run is complete, or was trained on arrays and got none.
            DataError: the images are not those this run was trained on.
            ApparelError: another process is at work on it.
        """
        directory = path if isinstance(path, RunDirectory) else RunDirectory.resume(path)
        with directory.lock():
            settings, provenance = directory.provenance()
            named = str(directory.request["source"]) if source is None else source
            if source is None and named == ARRAYS:
                raise UsageError(
                    f"{directory.path} was trained on arrays, which are not kept. Give them: "
                    "ApparelClassifier.resume(path, source=((x, y), (x_test, y_test)))."
                )
            classifier = cls(
                **asdict(settings),
                data_dir=data_dir or directory.request.get("data_dir"),
                run_dir=directory,
            )
            classifier._provenance = provenance  # its own
            classifier.import_data(named).prepare_data().create_model().setup_model()
            classifier.run_training(workers=workers)
            classifier._provenance = None  # its own
        return classifier

    # -- data ---------------------------------------------------------------------------

    def import_data(self, source: Source = "fashion-mnist") -> Self:
        """Load a data set, from wherever it can be had.

        Args:
            source: "fashion-mnist"; or the path of a folder of class folders, of IDX files or of
                tables, or of a `.csv`, `.parquet` or `.npz` file; or arrays, as
                ((x_train, y_train), (x_test, y_test)) or (X, y).

        Raises:
            UsageError: a setting makes no sense, or there is no such source.
            DataUnavailableError: no place has the named set.
            DataError: the source is broken, or does not have `n_classes` or `img_shape`.
        """
        settings = self._settings()
        if self.run_dir is not None and self._run is None:
            request = {
                "settings": asdict(settings),
                "source": os.fspath(source) if isinstance(source, str | os.PathLike) else ARRAYS,
                "data_dir": os.fspath(self.data_dir) if self.data_dir else None,
            }
            self._run = RunDirectory.create(self.run_dir, name=settings.model_name, request=request)
        dataset = loading.load(source, data_dir=self.data_dir, **settings.of_data)
        self._follow(dataset)
        self.data_check = found = screen(dataset)
        if dataset.files or not found.is_clean:
            say(text.check_summary(found))
        if not settings.keep_leaks:
            say(text.left_out_line(found), end="")
            dataset = without_leaks(dataset, found)
        self.labels = list(dataset.class_names)
        self.train_images = without_grey_axis(dataset.train_images)
        self.test_images = without_grey_axis(dataset.test_images)
        self.train_labels, self.test_labels = dataset.train_labels, dataset.test_labels
        self.orig_test_labels = dataset.test_labels
        self._loaded = _Loaded(
            self._images_and_labels("import_data"), {"source": dataset.source}, dataset
        )
        say(
            f"{dataset.source}: {len(dataset.train_images)} training and "
            f"{len(dataset.test_images)} test images of {dataset.n_classes} classes"
        )
        return self

    def prepare_data(self) -> Self:
        """Scale pixels to [0, 1], add the channel axis, one-hot the labels.

        Called again, it changes nothing.

        Raises:
            StepOrderError: `import_data` was not called.
            DataError: images, labels and class names do not fit together.
        """
        arrays = self._images_and_labels("prepare_data")
        if is_prepared(*arrays[:2]):
            return self
        source = str(self._loaded.manifest["source"]) if self._loaded else ARRAYS
        dataset = self._untouched(arrays) or from_arrays(
            *arrays, class_names=self.labels, source=source
        )
        splits = prepare(dataset, self._settings())
        self.train_images, self.train_labels = splits.train_images, splits.train_labels
        self.test_images, self.test_labels = splits.test_images, splits.test_labels
        self.orig_test_labels = dataset.test_labels
        self._loaded = _Loaded(
            self._images_and_labels("prepare_data"),
            dataset.origin,
            validation=dataset.validation,
            keys=dataset.train_keys,
            image_list=dataset.image_list,
        )
        return self

    # -- model --------------------------------------------------------------------------

    def create_model(self) -> Self:
        """Build the model with fresh weights and print its summary.

        With a budget, this machine is measured first, and model and width chosen for it.

        Raises:
            StepOrderError: there is a budget, and `import_data` was not called.
            UsageError: a setting makes no sense.
            DataError: the images are too small for the model.
        """
        has_budget = self._settings().budget is not None
        n_images = len(self._images_and_labels("create_model")[0]) if has_budget else 0
        self._new_model(self.n_classes, self.img_shape, n_images=n_images)
        if is_verbose():
            self.model.summary()
        chosen = self._number_format()
        say(f"Number format of training: {chosen.policy} ({chosen.reason})")
        return self

    def setup_model(self) -> Self:
        """Compile: categorical cross-entropy, accuracy, precision, recall, and for "cnn" Adam.

        Raises:
            StepOrderError: `create_model` was not called.
        """
        model = _need(self.model, "setup_model", "create_model")
        fit.compile_model(model, self._settings())
        return self

    def run_training(
        self,
        batch_size: int | None = None,
        epochs: int | None = None,
        *,
        workers: Workers | None = None,
    ) -> History:
        """Train, with a tenth of the training images held out for validation.

        Args:
            batch_size: images in one step; by default the classifier's setting, or the model's
                own: 128 for "cnn".
            epochs: passes over the images; likewise: 15 for "cnn".
            workers: train instead of this process, which needs a `run_dir`.

        Returns:
            The history, also in `training_logs`.

        Raises:
            StepOrderError: an earlier step was not called.
            UsageError: an argument makes no sense.
            KeyboardInterrupt: Ctrl-C. What was trained so far is in `model`, `training_logs`
                and the run directory.
        """
        given: dict[str, Any] = {"batch_size": batch_size, "epochs": epochs}
        settings = replace(self._settings(), **{k: v for k, v in given.items() if v is not None})
        arrays = self._prepared_arrays("run_training")
        model = _need(self.model, "run_training", "create_model")
        _need(model.compiled, "run_training", "setup_model")
        _need(self._plan or settings.budget is None, "run_training", "create_model")
        self._check_fits(arrays[0])
        known = self._loaded or _Loaded((), {"source": ARRAYS})
        is_loaded = self._is_loaded()
        splits = split(
            *arrays,
            settings=settings,
            manifest=known.manifest,
            keys=known.keys if is_loaded else None,
            validation=known.validation if is_loaded else None,
        )
        self.classes_ = np.arange(self.n_classes)
        say(text.class_weights_line(splits), end="")
        with self._run.lock() if self._run else nullcontext():
            return self._train(splits, settings, self._run, workers)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803  # scikit-learn's name
        """Train on arrays, with a tenth held out for validation.

        The images of the steps are dropped; `limit`, `data_dir` and `run_dir` play no part.

        Args:
            X: images, shape (n, h, w), (n, h, w, c) or (n, h·w·c); whole numbers of 0-255
                or floats of 0-1. A flat array has the shape that `img_shape` says.
            y: shape (n,), labels of any kind; their sorted values become `classes_`.

        Raises:
            UsageError: a setting makes no sense.
            DataError: X or y cannot be trained on.
            KeyboardInterrupt: Ctrl-C. What was trained so far is in `model`.
        """
        self._plan = None
        settings = self._settings()
        img_shape = image_shape(X, self.img_shape)
        images = as_unit_images(X, img_shape)
        classes, labels = encode_labels(y, n_images=len(images))
        rows = one_hot(labels, len(classes))
        splits = split(
            images, rows, images[:0], rows[:0], settings=settings, manifest={"source": ARRAYS}
        )
        self._new_model(len(classes), img_shape, n_images=len(images))
        self.setup_model()
        self.train_images = self.train_labels = self.test_images = self.test_labels = None
        self.orig_test_labels = None
        self.labels = [str(name) for name in classes]
        self.classes_ = classes
        self._train(splits, self._settings())
        return self

    # -- results ------------------------------------------------------------------------

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803  # scikit-learn's name
        """Give every image's class probabilities.

        Args:
            X: images as in `fit`.

        Returns:
            Shape (n, k), in the order of `classes_`; rows sum to 1.

        Raises:
            StepOrderError: nothing was trained.
            DataError: X does not fit the model.
        """
        _need(self.training_logs, "predict_proba", "fit() or run_training")
        images = as_unit_images(X, self.model.input_shape[1:])
        return keras_inference.predict_probabilities(self.model, images)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803  # scikit-learn's name
        """Give every image's most probable class.

        Args:
            X: images as in `fit`.

        Returns:
            Shape (n,), values of `classes_`.

        Raises:
            StepOrderError: nothing was trained.
            DataError: X does not fit the model.
        """
        _need(self.training_logs, "predict", "fit() or run_training")
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def test_model(self) -> Evaluation:
        """Score the test set: print every figure, then show confusion matrix and history.

        Returns:
            The evaluation, also in `evaluation`.

        Raises:
            StepOrderError: `run_training` was not called.
        """
        trained = _need(self._trained, "test_model", "run_training")
        *_, images, one_hot_labels = self._prepared_arrays("test_model")
        self._check_fits(images)
        labels = one_hot_labels.argmax(axis=1)
        keras_metrics = keras_inference.keras_metrics(self.model, images, one_hot_labels)
        probabilities = keras_inference.predict_probabilities(self.model, images)
        self.evaluation = metrics.evaluate(
            probabilities,
            labels,
            tuple(self.labels),
            averaged=keras_inference.predict_averaged(
                self.model, images, probabilities, trained.recipe
            ),
            calibration=_need(self.calibration, "test_model", "run_training"),
            leaked=self._leaked(len(labels)),
            imbalanced=trained.splits.class_weights is not None,
        )
        say(text.test_summary(self.evaluation, keras_metrics))
        highest = fashion_mnist.highest_credible_accuracy(self.labels)
        say(text.too_good_line(self.evaluation, highest), end="")
        if self._run:
            say(text.repeated_test_line(self._run.count_test_evaluation()), end="")
            files.write_evaluation(self._run.path, self.evaluation)
        self.show_conf_matrix(self.evaluation.true, self.evaluation.predicted)
        self.plot_history()
        self.plot_calibration()
        return self.evaluation

    def plot_history(self) -> Figure:
        """Show accuracy and loss of each epoch, for training and validation.

        Raises:
            StepOrderError: `run_training` was not called.
        """
        history = _need(self.training_logs, "plot_history", "run_training")
        return self._show("history", plots.history_figure(history))

    def plot_calibration(self) -> Figure:
        """Show how far confidences can be trusted, and what is gained by not answering.

        Raises:
            StepOrderError: `test_model` was not called.
        """
        evaluation = _need(self.evaluation, "plot_calibration", "test_model")
        return self._show("calibration", plots.calibration_figure(evaluation))

    def show_conf_matrix(self, actual: ArrayLike, predicted: ArrayLike) -> Figure:
        """Show how often each class was taken for each.

        Args:
            actual: whole numbers (n,), the true classes.
            predicted: whole numbers (n,), the predicted ones.

        Raises:
            DataError: the two do not fit together or to the classes.
        """
        confusion = metrics.count_confusions(actual, predicted, len(self.labels))
        return self._show("confusion_matrix", plots.confusion_matrix_figure(confusion, self.labels))

    def visualize_predictions(
        self, sample_indices: Sequence[int] | None = None, count: int = 4
    ) -> Figure:
        """Show test images with predicted and true label and every class's confidence.

        Args:
            sample_indices: positions in the test set, any number of them; by default
                `count` positions drawn by the seed.
            count: number of images to draw.

        Raises:
            StepOrderError: `run_training` was not called.
            UsageError: an index lies outside the test set, or there is none.
        """
        _need(self.training_logs, "visualize_predictions", "run_training")
        *_, images, one_hot_labels = self._prepared_arrays("visualize_predictions")
        self._check_fits(images)
        indices = keras_inference.choose_samples(
            sample_indices, count=count, n_images=len(images), seed=self._settings().seed
        )
        predictions = keras_inference.describe(
            indices,
            keras_inference.predict_probabilities(self.model, images[indices]),
            images,
            one_hot_labels.argmax(axis=1),
            tuple(self.labels),
        )
        say(text.prediction_lines(predictions))
        return self._show("predictions", plots.predictions_figure(predictions))

    def show_mistakes(self, count: int = 12) -> Figure:
        """Show the images named wrongly with the most confidence, and the pixels that did it.

        Args:
            count: number of images to show at most.

        Raises:
            StepOrderError: `test_model` was not called.
            UsageError: the count is no whole number of at least 1.
        """
        evaluation = _need(self.evaluation, "show_mistakes", "test_model")
        indices = evaluation.worst_mistakes(whole_number("count", count, minimum=1))
        *_, images, _ = self._prepared_arrays("show_mistakes")
        mistakes = keras_inference.describe(
            indices, evaluation.probabilities[indices], images, evaluation.true, tuple(self.labels)
        )
        found = saliency.explain_images(
            self.model,
            architectures.logits_model(self.model),
            images[indices],
            evaluation.predicted[indices],
        )
        return self._show("mistakes", plots.mistakes_figure(mistakes, found))

    def explain_results(self) -> tuple[Finding, ...]:
        """Say what each metric means, what these results say, and what stands out in them.

        Returns:
            What stands out, what matters most first; nothing if the result is healthy.

        Raises:
            StepOrderError: `test_model` was not called.
        """
        evaluation = _need(self.evaluation, "explain_results", "test_model")
        trained = _need(self._trained, "explain_results", "run_training")
        findings = findings_module.explain(
            Evidence(
                evaluation=evaluation,
                history=self.training_logs,
                images_per_class=trained.splits.images_per_class["training"],
            )
        )
        headline = findings_module.headline(evaluation)
        say(text.explanation(glossary.METRICS_EXPLAINED, headline, findings))
        return findings

    def export_model(
        self, save_path: str | os.PathLike[str] = SAVED_FILE, *, int8: bool = False
    ) -> Path:
        """Save the trained model; the suffix chooses the format.

        It is `.keras`, `.onnx`, `.tflite` for LiteRT, `.xml` for OpenVINO, which comes with a
        `.bin` file, or `.savedmodel` for a folder that TensorFlow reads. What is written is read
        back and compared with the model before it is kept. ONNX files also say how unlike the
        training images an image is.

        Args:
            save_path: where to.
            int8: whether the layers compute in integers of eight bits, for `.onnx`, `.tflite`
                and `.xml`.

        Raises:
            StepOrderError: the model was not trained.
            UsageError: the suffix names no format, or one that knows no int8.
            ApparelError: what is read back is not the same model, or a package is missing.
        """
        kind = format_of(save_path)
        trained = _need(self._trained, "export_model", "run_training")
        splits, evaluation = trained.splits, self.evaluation
        images, labels = keras_inference.comparison_images(splits)
        exported = exporting.export(
            self.model,
            save_path,
            images=images,
            labels=labels,
            class_names=tuple(self.labels),
            metadata=metadata.run_facts(
                dataset=splits.manifest,
                settings=trained.settings,
                recipe=trained.recipe,
                threshold=self.calibration.threshold if self.calibration else None,
                accuracy=metadata.accuracy_fact(evaluation) if evaluation else None,
            ),
            novelty=trained.novelty if kind == "onnx" else None,
            calibration=keras_inference.calibration_images(splits) if int8 else None,
            show_examples=self._is_fashion_mnist(splits),
        )
        if self._run:
            files.write_export(self._run.path, exported)
        say(f"Model saved to {exported.path}")
        return exported.path

    # -- inside -------------------------------------------------------------------------

    def _settings(self) -> Settings:
        """Check the settings, and add what was chosen for a budget, or raise UsageError."""
        settings = Settings(**{name: getattr(self, name) for name, *_ in options()})
        if self._plan is None:
            return settings
        return replace(settings, model_name=self._plan.model_name, width=self._plan.width)

    def _new_model(self, n_classes: int, img_shape: tuple[int, int, int], *, n_images: int) -> None:
        """Choose a model, for the budget if there is one, and build it."""
        self._plan = self._provenance.plan if self._provenance else None
        settings = self._settings()
        if settings.budget is not None and self._plan is None:
            held_out = round(settings.validation_split * n_images)
            self._plan = budget.plan(
                settings,
                n_classes=n_classes,
                img_shape=img_shape,
                n_training=n_images - held_out,
                n_validation=held_out,
                number_format=self._number_format(),
            )
            say(f"Budget of {settings.budget:.0f} s: {self._plan}")
        recipe = recipe_of(self._settings())
        self.model = architectures.create(
            recipe.model_name,
            n_classes=n_classes,
            img_shape=img_shape,
            seed=settings.seed,
            width=recipe.width,
        )
        self.training_logs = self.calibration = self.evaluation = self._trained = None

    def _number_format(self) -> backend.NumberFormat:
        """Return the recorded number format when resuming, else the one chosen for this machine."""
        if self._provenance:
            return self._provenance.number_format
        return backend.choose_number_format(self._settings().dtype)

    def _train(
        self,
        splits: Splits,
        settings: Settings,
        run: RunDirectory | None = None,
        workers: Workers | None = None,
    ) -> History:
        """Train and calibrate the model, and write what came of it into the run directory.

        Ctrl-C is raised once all of that is done.
        """
        number_format = self._number_format()
        training = _Trained(splits, settings, recipe_of(settings, self._plan))
        if run:
            self._write_beginning(run, training, number_format)
            if workers:
                workers.train(run)
        self.evaluation = None
        self._replace_model(architectures.uncalibrated(self.model), settings)
        history = self.training_logs = fit.fit(
            self.model,
            splits,
            settings,
            number_format,
            plan=self._plan,
            checkpoints=run.checkpoints() if run else None,
        )
        self._trained = training
        self.calibration = calibration.fit(
            *keras_inference.predict_validation(self.model, splits),
            target_accuracy=settings.target_accuracy,
            smoothed=training.recipe.label_smoothing > 0,
        )
        self._replace_model(architectures.calibrated(self.model, self.calibration), settings)
        if run:
            files.write_weights(run.path, architectures.named_weights(self.model))
            run.write_history(history, self.calibration, architectures.weights_sha256(self.model))
            # At once, so that a later failure loses no training.
            self.export_model(run.path / KERAS_FILE)
            files.write_novelty(run.path, training.novelty)
            run.write_status("interrupted" if history.interrupted else "trained")
        if history.interrupted:
            raise KeyboardInterrupt
        return history

    def _write_beginning(
        self, run: RunDirectory, training: _Trained, number_format: backend.NumberFormat
    ) -> None:
        """Record how training begins, or check that it may be resumed."""
        splits, recipe = training.splits, training.recipe
        if self._provenance:
            self._provenance.check(recipe, splits.manifest)
            say(self._provenance.changes(versions(), backend.processor_name()), end="")
            run.drop_outcome()
            return
        run.write_settings(
            training.settings,
            recipe=recipe,
            plan=self._plan,
            number_format=number_format,
            dataset=splits.manifest,
            class_names=self.labels,
            img_shape=self.img_shape,
            can_resume=self._is_loaded(),
        )
        if self.data_check:
            files.write_check(run.path / files.CHECK_FILE, self.data_check)
        if self._loaded and self._loaded.image_list and self._is_loaded():
            try:
                if table := splits_table(self._loaded.image_list, splits, run.path / IMAGES_FILE):
                    write_text(run.path / IMAGES_FILE, table)
            except DataError as error:  # a name that only the system can read must not end a run
                say(f"{IMAGES_FILE} was not written: {error}")

    def _replace_model(self, model: Any, settings: Settings) -> None:
        """Replace the model by one with another head and compile it."""
        if model is not self.model:
            fit.compile_model(model, settings)
            self.model = model

    def _follow(self, dataset: Dataset) -> None:
        """Take over classes and shape of the data, or raise DataError if others were asked for."""
        for name, default in (("n_classes", N_CLASSES), ("img_shape", IMG_SHAPE)):
            asked, found = getattr(self, name), getattr(dataset, name)
            asked = tuple(asked) if isinstance(asked, list) else asked
            if asked not in (default, self._followed.get(name), found):
                raise DataError(
                    f"{dataset.source} has {dataset.n_classes} classes of images of shape "
                    f"{dataset.img_shape}, but {name}={asked} was asked for. Leave it out to get "
                    "what the data have."
                )
        self.n_classes, self.img_shape = dataset.n_classes, dataset.img_shape
        self._followed = {"n_classes": self.n_classes, "img_shape": self.img_shape}

    def _untouched(self, arrays: tuple[Any, ...]) -> Dataset | None:
        """Give the data set as it was imported, unless arrays or labels were replaced since."""
        if self._loaded is None or self._loaded.dataset is None:
            return None
        same = all(a is b for a, b in zip(arrays, self._loaded.arrays, strict=True))
        dataset = self._loaded.dataset
        return dataset if same and tuple(self.labels) == dataset.class_names else None

    def _is_loaded(self) -> bool:
        """Say whether the training images are those that were loaded, not others put in by hand."""
        return self._loaded is not None and self._loaded.arrays[0] is self.train_images

    def _leaked(self, n_images: int) -> NDArray[np.bool_]:
        """Mark the test images that were trained on as well, as far as is known."""
        leaked = np.zeros(n_images, bool)
        if self._settings().keep_leaks and self.data_check and self._is_loaded():
            leaked[self.data_check.leaked_test] = True
        return leaked

    def _is_fashion_mnist(self, splits: Splits) -> bool:
        """Say whether the images are those of Fashion-MNIST, none of them put in by hand."""
        return (
            splits.manifest["source"] == FASHION_MNIST
            and self.data_check is not None
            and splits.manifest.get("sha256") == self.data_check.sha256
            and self._loaded is not None
            and splits.train_images is self._loaded.arrays[0]
        )

    def _check_fits(self, images: ImageArray) -> None:
        """Raise ModelFileError if the model does not fit the images and class names in use."""
        keras_inference.check_fits(
            self.model, n_classes=len(self.labels), img_shape=tuple(images.shape[1:])
        )

    def _prepared_arrays(self, step: str) -> tuple[Any, ...]:
        """Give what `_images_and_labels` gives, or raise StepOrderError if it is not prepared."""
        arrays = self._images_and_labels(step)
        for images, labels in (arrays[:2], arrays[2:]):
            _need(is_prepared(images, labels), step, "prepare_data")
        return arrays

    def _images_and_labels(self, step: str) -> tuple[Any, ...]:
        """Give images and labels for training, then for testing, or raise StepOrderError."""
        arrays = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        return tuple(_need(array, step, "import_data") for array in arrays)

    def _show(self, name: str, figure: Figure) -> Figure:
        """Show a figure in a notebook or on a screen, and keep it in the run directory."""
        if self._run:
            files.write_figure(self._run.path, name, figure)
        display.show(figure)
        return figure

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Stay one line in a notebook, where scikit-learn would draw a diagram."""
        return {"text/plain": repr(self)}


def _need(value: T | None, step: str, first: str) -> T:
    """Give `value`, or raise StepOrderError if it is None or False: a step comes too early."""
    if value is None or value is False:
        raise StepOrderError(f"{step}() was called too early. Call {first}() first.")
    return value


def _default_labels(n_classes: int) -> list[str]:
    """Give Fashion-MNIST's class names where their number fits, else numbers."""
    if n_classes == len(fashion_mnist.FASHION_MNIST_LABELS):
        return list(fashion_mnist.FASHION_MNIST_LABELS)
    return [str(k) for k in range(n_classes)] if isinstance(n_classes, int) else []
