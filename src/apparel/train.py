"""Model + Splits + Settings → History, and the weights in the model."""

import statistics
import time
from typing import Any

import numpy as np

from apparel import backend, pipeline
from apparel.augment import training_batches
from apparel.averaging import weight_average
from apparel.backend import NumberFormat
from apparel.images import take
from apparel.muon import muon
from apparel.progress import EpochEnd, epoch_reporter
from apparel.pruning import LossFeedback, loss_reader, recording
from apparel.recipes import HEAD, STEM, recipe_of
from apparel.records import History, Splits
from apparel.schedule import Course, StepCourse, TimeCourse, triangular_schedule
from apparel.settings import Plan, Recipe, Settings
from apparel.twin import copy_optimizer, copy_variables, training_optimizer, training_twin

ADAM_LR_RATIO = 0.25
# Keras's fit wants a number of epochs; where time ends training, one that is never reached.
MOST_EPOCHS = 1_000_000
# Steps, and seconds with them, that the machine's speed is measured by.
LEAST_STEPS = 6
MEASURING_SECONDS = 3.0


def compile_model(model: Any, settings: Settings) -> None:
    """Compile with categorical cross-entropy, accuracy, precision and recall.

    The optimiser is Adam, which trains "cnn". The other models are trained by Muon, which Keras
    does not have for convolutions; theirs is SGD, whose state is empty, so that a saved model
    opens anywhere.

    Args:
        model: an uncompiled `keras.Model`.
        settings: give the step size and label smoothing.
    """
    keras = backend.load_keras()
    recipe = recipe_of(settings)
    optimizers = keras.optimizers
    model.compile(
        optimizer=(
            optimizers.Adam(recipe.learning_rate)
            if recipe.optimizer == "adam"
            else optimizers.SGD()
        ),
        loss=(
            keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
            if recipe.label_smoothing
            else "categorical_crossentropy"
        ),
        # Named, because Keras numbers the default names: precision_1, precision_2, …
        metrics=[
            "accuracy",
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
        ],
    )


def fit(
    model: Any,
    splits: Splits,
    settings: Settings,
    number_format: NumberFormat,
    *,
    plan: Plan | None = None,
) -> History:
    """Train a compiled model in the chosen number format.

    A twin of the model trains, and its weights are copied back: the model itself stays float32
    and of standard layers, for evaluation and export. Ctrl-C ends training early and keeps what
    was learnt.

    Args:
        model: a compiled float32 `keras.Model`; its weights change.
        splits: images, labels, and which of them are held out for validation.
        settings: give the seed and, with the model's recipe, all else.
        number_format: of the twin.
        plan: end when its time is up instead of after the recipe's epochs.

    Returns:
        The measures of every finished epoch; `interrupted` is set after Ctrl-C.
    """
    recipe = recipe_of(settings, plan)
    steps = _steps(len(splits.training), recipe)
    course: Course = StepCourse(recipe.epochs * steps)
    if plan:
        course = TimeCourse(plan.seconds)
        course.set_aside(plan.validation_seconds)
    twin = _compiled_twin(model, recipe, number_format, _batch_size(splits, recipe))
    feedback = LossFeedback(len(splits.training)) if recipe.prune else None
    backend.seed_everything(settings.seed)
    epochs = None if plan else recipe.epochs
    log = _epoch_log(course, epochs)
    callbacks = [log, *_callbacks(recipe, course, feedback)]
    interrupted = False
    try:
        twin.fit(
            **_data(splits, recipe, settings.seed, course, feedback),
            epochs=epochs or MOST_EPOCHS,
            verbose=0,
            callbacks=callbacks,
        )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if feedback:
            feedback.close()
        log.reporter.close()
    copy_variables(twin, model)
    if recipe.optimizer == "adam":
        copy_optimizer(twin.optimizer, model)
    return History(
        history={name: tuple(log.measures[name]) for name in sorted(log.measures, key=_order)},
        seconds=tuple(log.seconds),
        dtype=number_format.policy,
        interrupted=interrupted,
        restored_epoch=_restored_epoch(callbacks),
        harder=recipe.prune > 0,
    )


def images_per_second(model: Any, settings: Settings, number_format: NumberFormat) -> float:
    """Measure how fast this machine trains a model; its weights stay as they are.

    Args:
        model: a compiled float32 `keras.Model`.
        settings: give, with the model's recipe, the batch size and the optimiser.
        number_format: of training.

    Returns:
        Images a second, in the median of a few steps on noise.
    """
    recipe = recipe_of(settings)
    twin = _compiled_twin(model, recipe, number_format, recipe.batch_size)
    random = np.random.default_rng(0)
    images = random.random((recipe.batch_size, *model.input_shape[1:]), dtype=np.float32)
    labels = np.eye(model.output_shape[-1], dtype=np.float32)[
        random.integers(0, model.output_shape[-1], recipe.batch_size)
    ]
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < LEAST_STEPS or time.perf_counter() - begin < MEASURING_SECONDS:
        start = time.perf_counter()
        twin.train_on_batch(images, labels)
        times.append(time.perf_counter() - start)
    return recipe.batch_size / statistics.median(times[1:])  # the first one builds the graph


def _compiled_twin(model: Any, recipe: Recipe, number_format: NumberFormat, batch_size: int) -> Any:
    """A copy of a compiled model for training, with the optimiser's state where it is the same."""
    twin = training_twin(model, number_format.policy)
    if recipe.prune:
        twin = recording(twin, batch_size, recipe.label_smoothing)
    twin.compile_from_config(model.get_compile_config())
    if recipe.optimizer == "adam":
        twin.optimizer = training_optimizer(model.optimizer)
        if model.optimizer.built:
            copy_optimizer(model.optimizer, twin)
    else:
        twin.optimizer = muon(
            recipe.learning_rate,
            adam_lr_ratio=ADAM_LR_RATIO,
            exclude_layers=(STEM, HEAD),
            dtype="bfloat16" if number_format.policy == "mixed_bfloat16" else "float32",
        )
    _make_variables(twin, batch_size)
    return twin


def _make_variables(model: Any, batch_size: int) -> None:
    """Make the variables of optimiser, loss and measures now, which leaves the weights alone.

    TensorFlow traces a step a second time, for a second or more, where the first one made any.
    """
    model.optimizer.build(model.trainable_variables)
    n_classes = model.output_shape[-1]
    rows = np.full((batch_size, n_classes), 1 / n_classes, np.float32)
    model.compute_loss(y=rows, y_pred=rows)
    model.compute_metrics(None, rows, rows)
    model.reset_metrics()


def _data(
    splits: Splits, recipe: Recipe, seed: int, course: Course, feedback: LossFeedback | None
) -> dict[str, Any]:
    """What Keras's `fit` is told of the images."""
    images, labels = splits.train_images, splits.train_labels
    training, held_out = splits.training, splits.validation
    told: dict[str, Any] = {}
    if len(held_out):
        told["validation_data"] = pipeline.batched(
            take(images, held_out), labels[held_out], batch_size=recipe.batch_size
        )
    batches = training_batches(
        take(images, training),
        labels[training],
        recipe,
        seed=seed,
        course=course,
        feedback=feedback,
        class_weights=splits.class_weights,
    )
    return {
        **told,
        "x": pipeline.endless(batches),
        "steps_per_epoch": _steps(len(training), recipe),
        "shuffle": False,
    }


def _batch_size(splits: Splits, recipe: Recipe) -> int:
    """Images in a step, where every batch is whole."""
    return min(recipe.batch_size, len(splits.training))


def _callbacks(recipe: Recipe, course: Course, feedback: LossFeedback | None) -> list[Any]:
    """What a recipe wants done beside the steps."""
    callbacks = [loss_reader(feedback)] if feedback else []
    if recipe.schedule == "triangular":
        callbacks.append(triangular_schedule(course, recipe.learning_rate))
    if recipe.weight_averaging:
        callbacks.append(weight_average(course, share=recipe.weight_averaging))
    if recipe.patience is not None:
        stopping = backend.load_keras().callbacks.EarlyStopping(
            monitor="val_accuracy",
            mode="max",
            patience=recipe.patience,
            restore_best_weights=True,
        )
        callbacks.append(stopping)
    return callbacks


def _restored_epoch(callbacks: list[Any]) -> int | None:
    """The epoch, counted from 1, whose weights early stopping brought back."""
    stopping = backend.load_keras().callbacks.EarlyStopping
    return next((int(c.best_epoch) + 1 for c in callbacks if isinstance(c, stopping)), None)


def _order(measure: str) -> tuple[bool, bool]:
    """Sort key: training before validation, and the loss before the other measures."""
    return measure.startswith("val_"), not measure.endswith("loss")


def _steps(n_images: int, recipe: Recipe) -> int:
    """Training steps in an epoch, as if no image were skipped.

    Without pruning, the last one of an epoch may be smaller.
    """
    if recipe.prune:
        return max(n_images // recipe.batch_size, 1)
    return -(-n_images // recipe.batch_size)


def _epoch_log(course: Course, epochs: int | None) -> Any:
    """A Keras callback that keeps each epoch's measures and seconds, and reports progress.

    It tells the course of every step, and ends training when the course is over.
    """
    keras = backend.load_keras()

    class EpochLog(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Keeps what finished epochs measured; an unfinished one leaves nothing behind."""

        def __init__(self) -> None:
            super().__init__()
            self.measures: dict[str, list[float]] = {}
            self.seconds: list[float] = []
            self.reporter = epoch_reporter(epochs)
            self._training_start = time.perf_counter()

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            self._start = time.perf_counter()
            self.reporter.epoch_begins(epoch + 1)

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002  # Keras's signature
            course.step_ends()
            self.reporter.step_ends(course.progress, logs or {})
            if course.progress >= 1:
                self.model.stop_training = True

        def on_test_begin(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            self._test_start = time.perf_counter()

        def on_test_end(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            course.set_aside(time.perf_counter() - self._test_start)

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            now = time.perf_counter()
            for name, value in (logs or {}).items():
                self.measures.setdefault(name, []).append(float(value))
            self.seconds.append(now - self._start)
            spent = now - self._training_start
            left = spent / course.progress - spent
            end = EpochEnd(epoch + 1, epochs, self.seconds[-1], max(left, 0.0), logs or {})
            self.reporter.epoch_ends(end)

    return EpochLog()
