"""`ApparelClassifier`: the steps from images to a trained, tested and exported classifier.

Each method checks that it may run, calls the stage that does the work, and keeps the result.
"""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from apparel.core import backend, display
from apparel.core.errors import UsageError
from apparel.core.image_array import ImageArray
from apparel.core.model_formats import KERAS_FILE, SAVED_FILE, format_of
from apparel.core.recipes import recipe_of
from apparel.core.records import ARRAYS, Evaluation, Evidence, Finding, History, Novelty, Splits
from apparel.core.settings import Settings
from apparel.core.validation import whole_number
from apparel.data.loading import Source
from apparel.data.sources import fashion_mnist
from apparel.data.splits import split
from apparel.data_steps import DataSteps
from apparel.estimator import Workers, need
from apparel.evaluation import metrics
from apparel.explain import findings as findings_module
from apparel.explain import glossary, saliency
from apparel.export import exporting, metadata
from apparel.models import architectures, keras_inference, novelty
from apparel.reporting import plots, text
from apparel.runs.files import write_weights
from apparel.runs.provenance import versions
from apparel.runs.run_directory import RunDirectory
from apparel.training import fit


class ApparelClassifier(DataSteps):
    """An image classifier, step by step or as a scikit-learn estimator.

    Step by step, in this order: `import_data`, `prepare_data`, `create_model`, `setup_model`,
    `run_training`, `test_model`, `explain_results`, `visualize_predictions`,
    `show_mistakes`, `export_model`.
    As an estimator: `fit`, `predict`, `predict_proba`, `score`.

    Args:
        n_classes: how many classes the data have. What differs from the default is checked
            against the data; the default gives way to what they have.
        img_shape: height, width and channels of one image; likewise.
        data_dir: a folder with the data set's files.
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
        classes_: what `predict` answers with, once trained.

    Example:
        >>> classifier = ApparelClassifier(limit=1000, epochs=1)
        >>> classifier.import_data().prepare_data().create_model().setup_model()
        >>> classifier.run_training()
        >>> classifier.test_model()
    """

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str] | RunDirectory,
        *,
        source: Source | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        workers: Workers | None = None,
    ) -> Self:
        """Go on with a training that was broken off, and finish it.

        The weights are, bit for bit, those of a training that nobody broke off.

        Args:
            path: its run directory.
            source: where the images are, if not where they were. Needed for arrays.
            data_dir: a folder with the data set's files, if not the one that the run was given.
            workers: what trains; None for this process alone.

        Returns:
            The classifier, trained; go on with `test_model`.

        Raises:
            ModelFileError: it is no run directory, or nothing can go on from what is there.
            UsageError: the run is complete, or was trained on arrays and got none.
            DataError: the images are not those that training began with.
            ApparelError: another process is at work on it.
        """
        directory = path if isinstance(path, RunDirectory) else RunDirectory.resume(path)
        with directory.lock():
            settings, begun = directory.begun()
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
            classifier._begun = begun  # its own
            classifier.train_on(workers)
            classifier.import_data(named).prepare_data().create_model().setup_model()
            classifier.run_training()
            classifier._begun = None  # its own
        return classifier

    # -- model --------------------------------------------------------------------------

    def train_on(self, workers: Workers | None) -> Self:
        """Let several workers train in `run_training`, which needs a `run_dir`.

        Args:
            workers: train the run, and leave its checkpoints; None for this process alone.
        """
        self._workers = workers
        return self

    def create_model(self) -> Self:
        """Build the model with fresh weights and print its summary.

        With a budget, this machine is measured first, and model and width chosen for it.

        Raises:
            StepOrderError: there is a budget, and `import_data` was not called.
            UsageError: the model is unknown, or a setting makes no sense.
        """
        n_images = 0
        if self.budget is not None:
            n_images = len(self._images_and_labels("create_model")[0])
        self.model = self._new_model(self.n_classes, self.img_shape, n_images=n_images)
        self._forget_training()
        self.model.summary()
        chosen = self._number_format()
        print(f"Number format of training: {chosen.policy} ({chosen.reason})")
        return self

    def setup_model(self) -> Self:
        """Compile: categorical cross-entropy, accuracy, precision, recall, and for "cnn" Adam.

        Raises:
            StepOrderError: `create_model` was not called.
        """
        model = need(self.model, "setup_model", "create_model")
        fit.compile_model(model, self._settings())
        return self

    def run_training(self, batch_size: int | None = None, epochs: int | None = None) -> History:
        """Train, with a tenth of the training images held out for validation.

        Args:
            batch_size: images in one step; by default what the classifier was made with, or
                the model's own: 128 for "cnn".
            epochs: passes over the images; likewise: 15 for "cnn".

        Returns:
            The history, also in `training_logs`.

        Raises:
            StepOrderError: an earlier step was not called.
            UsageError: an argument makes no sense.
            KeyboardInterrupt: Ctrl-C. What was trained so far is in `model`, `training_logs`
                and the run directory.
        """
        settings = self._settings()
        if batch_size is not None:
            settings = replace(settings, batch_size=batch_size)
        if epochs is not None:
            settings = replace(settings, epochs=epochs)
        arrays = self._prepared_arrays("run_training")
        model = need(self.model, "run_training", "create_model")
        need(model.compiled, "run_training", "setup_model")
        need(self._plan or settings.budget is None, "run_training", "create_model")
        self._check_fits(arrays[0])
        splits = split(
            *arrays,
            settings=settings,
            manifest=self._manifest,
            validation=self._validation[0] if arrays[0] is self._validation[1] else None,
        )
        with self._run.lock() if self._run else nullcontext():
            history = self._train_and_record(splits, settings, self._run)
        if history.interrupted:
            raise KeyboardInterrupt
        return history

    # -- results ------------------------------------------------------------------------

    def test_model(self) -> Evaluation:
        """Score the test set: print every figure, then show confusion matrix and history.

        Returns:
            The evaluation, also in `evaluation`.

        Raises:
            StepOrderError: `run_training` was not called.
        """
        need(self.training_logs, "test_model", "run_training")
        *_, images, one_hot_labels = self._prepared_arrays("test_model")
        self._check_fits(images)
        measures = keras_inference.keras_measures(self.model, images, one_hot_labels)
        probabilities = keras_inference.predict_probabilities(self.model, images)
        averaged = keras_inference.predict_averaged(
            self.model, images, probabilities, recipe_of(self._settings(), self._plan)
        )
        labels = one_hot_labels.argmax(axis=1)
        self.evaluation = metrics.evaluate(
            probabilities,
            labels,
            tuple(self.labels),
            averaged=averaged,
            calibration=need(self.calibration, "test_model", "run_training"),
            leaked=self._leaked(len(labels)),
            imbalanced=self._splits is not None and self._splits.class_weights is not None,
        )
        print(text.test_summary(self.evaluation, measures))
        highest = fashion_mnist.highest_credible_accuracy(self.labels)
        print(text.too_good_line(self.evaluation, highest), end="")
        if self._run:
            print(text.looks_line(self._run.count_test_look()), end="")
            self._run.write_evaluation(self.evaluation)
        self.show_conf_matrix(self.evaluation.true, self.evaluation.predicted)
        self.plot_history()
        self.plot_calibration()
        return self.evaluation

    def plot_history(self) -> Figure:
        """Show accuracy and loss of each epoch, for training and validation.

        Raises:
            StepOrderError: `run_training` was not called.
        """
        history = need(self.training_logs, "plot_history", "run_training")
        return self._show("history", plots.history_figure(history))

    def plot_calibration(self) -> Figure:
        """Show how far confidences can be trusted, and what is gained by not answering.

        Raises:
            StepOrderError: `test_model` was not called.
        """
        evaluation = need(self.evaluation, "plot_calibration", "test_model")
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
            count: how many to draw.

        Raises:
            StepOrderError: `run_training` was not called.
            UsageError: an index lies outside the test set, or there is none.
        """
        need(self.training_logs, "visualize_predictions", "run_training")
        *_, images, one_hot_labels = self._prepared_arrays("visualize_predictions")
        self._check_fits(images)
        indices = keras_inference.choose_samples(
            sample_indices, count=count, n_images=len(images), seed=self.seed
        )
        predictions = keras_inference.describe(
            indices,
            keras_inference.predict_probabilities(self.model, images[indices]),
            images,
            one_hot_labels.argmax(axis=1),
            tuple(self.labels),
        )
        print(text.prediction_lines(predictions))
        return self._show("predictions", plots.predictions_figure(predictions))

    def show_mistakes(self, count: int = 12) -> Figure:
        """Show the images named wrongly with the most confidence, and the pixels that did it.

        Args:
            count: how many images to show at most.

        Raises:
            StepOrderError: `test_model` was not called.
            UsageError: the count is no whole number of at least 1.
        """
        evaluation = need(self.evaluation, "show_mistakes", "test_model")
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
        evaluation = need(self.evaluation, "explain_results", "test_model")
        splits = need(self._splits, "explain_results", "run_training")
        findings = findings_module.explain(
            Evidence(
                evaluation=evaluation,
                history=self.training_logs,
                images_per_class=splits.images_per_class["training"],
            )
        )
        headline = findings_module.headline(evaluation)
        print(text.explanation(glossary.METRICS_EXPLAINED, headline, findings))
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
            int8: whether the layers compute in whole numbers of eight bits, for `.onnx`, `.tflite`
                and `.xml`.

        Raises:
            StepOrderError: the model was not trained.
            UsageError: the suffix names no format, or one that knows no int8.
            ApparelError: what is read back is not the same model, or a package is missing.
        """
        kind = format_of(save_path)
        splits = need(self._splits, "export_model", "run_training")
        images, labels = keras_inference.comparison_images(splits)
        settings = need(self._trained_with, "export_model", "run_training")
        exported = exporting.export(
            self.model,
            save_path,
            images=images,
            labels=labels,
            class_names=tuple(self.labels),
            metadata=metadata.run_facts(
                dataset=splits.manifest,
                settings=settings,
                recipe=recipe_of(settings, self._plan),
                threshold=self.calibration.threshold if self.calibration else None,
                accuracy=metadata.accuracy_fact(self.evaluation) if self.evaluation else None,
            ),
            novelty=self._look_of(splits) if kind == "onnx" else None,
            calibration=keras_inference.calibration_images(splits) if int8 else None,
            show_examples=self._is_fashion_mnist(splits),
        )
        if self._run:
            self._run.write_export(exported)
        print(f"Model saved to {exported.path}")
        return exported.path

    # -- inside -------------------------------------------------------------------------

    def _train_and_record(
        self, splits: Splits, settings: Settings, run: RunDirectory | None
    ) -> History:
        """Train, or go on with it, and write what came of it into the run directory."""
        number_format, recipe = self._number_format(), recipe_of(settings, self._plan)
        if run and self._begun:
            self._begun.check(recipe, splits.manifest)
            print(self._begun.changes(versions(), backend.processor_name()), end="")
            run.drop_outcome()
        elif run:
            run.write_settings(
                settings,
                recipe=recipe,
                plan=self._plan,
                number_format=number_format,
                dataset=splits.manifest,
                class_names=self.labels,
                img_shape=self.img_shape,
                can_resume=splits.train_images is self._validation[1],
            )
            if self.data_check:
                run.write_check(self.data_check)
            self._write_image_table(run, splits)
        print(text.class_weights_line(splits), end="")
        if run and self._workers:
            self._workers.train(run)
        history = self._train(splits, settings, number_format, run.checkpoints() if run else None)
        self.classes_ = np.arange(self.n_classes)
        if run:
            write_weights(run.path, architectures.named_weights(self.model))
            run.write_history(history, self.calibration, architectures.weights_sha256(self.model))
            # At once: whatever fails later, minutes of training are not lost.
            self.export_model(run.path / KERAS_FILE)
            run.write_novelty(self._look_of(splits))
            run.write_status("interrupted" if history.interrupted else "trained")
        return history

    def _check_fits(self, images: ImageArray) -> None:
        """Check the model against the images and class names in use.

        Raises:
            ModelFileError: they do not fit.
        """
        keras_inference.check_fits(
            self.model, n_classes=len(self.labels), img_shape=tuple(images.shape[1:])
        )

    def _is_fashion_mnist(self, splits: Splits) -> bool:
        """Whether the images are those of Fashion-MNIST, and nobody has put in others since."""
        return (
            splits.manifest["source"] == metadata.FASHION_MNIST
            and self.data_check is not None
            and splits.manifest.get("sha256") == self.data_check.sha256
            and splits.train_images is self._validation[1]
        )

    def _look_of(self, splits: Splits) -> Novelty:
        """What the training images look like, learnt once a training."""
        if self._novelty is None:
            self._novelty = novelty.fit(
                splits.train_images, splits.training, splits.validation, seed=self.seed
            )
        return self._novelty

    def _show(self, name: str, figure: Figure) -> Figure:
        """Show a figure where somebody can see it, and keep it in the run directory."""
        if self._run:
            self._run.write_figure(name, figure)
        display.show(figure)
        return figure
