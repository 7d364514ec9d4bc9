"""Model + Splits + Settings → History, and the weights in the model."""

import statistics
import time
from itertools import islice
from typing import Any

import numpy as np

from apparel import backend, pipeline
from apparel.augment import TrainingBatches
from apparel.averaging import WeightAverage
from apparel.backend import NumberFormat
from apparel.checkpointing import CheckpointKeeper, ModelState
from apparel.checkpoints import CheckpointFolder
from apparel.early_stopping import EarlyStopping
from apparel.epoch_log import EpochLog
from apparel.images import take
from apparel.interruption import signals_held
from apparel.listeners import Listener, keras_callback
from apparel.muon import muon
from apparel.progress import epoch_reporter
from apparel.pruning import LossFeedback, LossReader, recording
from apparel.recipes import HEAD, STEM, recipe_of
from apparel.records import History, Splits
from apparel.schedule import Course, StepCourse, TimeCourse, TriangularSchedule
from apparel.settings import Plan, Recipe, Settings
from apparel.stateful import Stateful
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
    checkpoints: CheckpointFolder | None = None,
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
        checkpoints: keep the state of training here, and go on from what is there; the end is the
            same, bit for bit. None keeps none.

    Returns:
        The measures of every finished epoch; `interrupted` is set after Ctrl-C.

    Raises:
        OSError: a checkpoint cannot be written or read.
        ModelFileError: the last checkpoint does not fit the model.
        Terminated: somebody ended the process by SIGTERM; a checkpoint was written before.
    """
    recipe = recipe_of(settings, plan)
    steps = _steps(len(splits.training), recipe)
    course = _course(recipe, plan, steps)
    twin = _compiled_twin(model, recipe, number_format, _batch_size(splits, recipe))
    feedback = LossFeedback(len(splits.training)) if recipe.prune else None
    backend.seed_everything(settings.seed)
    epochs = None if plan else recipe.epochs
    batches = _batches(splits, recipe, settings.seed, course, feedback)
    log = EpochLog(course, batches, epoch_reporter(epochs), epochs)
    average = WeightAverage(course, share=recipe.weight_averaging)
    stopping = EarlyStopping(recipe.patience) if recipe.patience is not None else None
    listeners: list[Listener | None] = [
        log,
        LossReader(feedback, course) if feedback else None,
        TriangularSchedule(course, recipe.learning_rate)
        if recipe.schedule == "triangular"
        else None,
        average if recipe.weight_averaging else None,
        stopping,
    ]
    parts: dict[str, Stateful | None] = {
        "course": course,
        "batches": batches,
        "losses": feedback,
        "average": average,
        "stopping": stopping,
    }
    interrupted = False
    try:
        with signals_held() as request:
            keeper = CheckpointKeeper(
                ModelState(twin),
                {name: part for name, part in parts.items() if part},
                log,
                request,
                folder=checkpoints,
                every=settings.checkpoint_every,
                steps=steps,
            )
            keeper.begin()
            twin.stop_training = log.is_over or (stopping is not None and stopping.is_over)
            _run(
                twin,
                batches,
                log,
                steps=steps,
                epochs=epochs or MOST_EPOCHS,
                validation_data=_validation(splits, recipe),
                callbacks=[keras_callback([part for part in (*listeners, keeper) if part])],
            )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if feedback:
            feedback.close()
        log.close()
    if stopping:
        stopping.bring_back(twin)
    copy_variables(twin, model)
    if recipe.optimizer == "adam":
        copy_optimizer(twin.optimizer, model)
    return History(
        history={name: tuple(log.measures[name]) for name in sorted(log.measures, key=_order)},
        seconds=tuple(log.seconds),
        dtype=number_format.policy,
        interrupted=interrupted,
        restored_epoch=stopping.best_epoch if stopping else None,
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


def _run(
    twin: Any,
    batches: TrainingBatches,
    log: EpochLog,
    *,
    steps: int,
    epochs: int,
    **told: Any,
) -> None:
    """Train from where the log is to the end; first, the rest of an epoch that has begun."""
    told |= {"shuffle": False, "verbose": 0}
    if log.step and not twin.stop_training:
        rest = steps - log.step
        twin.fit(
            pipeline.drawn(islice(batches, rest)),
            initial_epoch=log.epoch,
            epochs=log.epoch + 1,
            steps_per_epoch=rest,
            **told,
        )
    if log.epoch < epochs and not twin.stop_training:
        twin.fit(
            pipeline.drawn(batches),
            initial_epoch=log.epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            **told,
        )


def _validation(splits: Splits, recipe: Recipe) -> Any:
    """The images held out, as Keras's `fit` takes them; None where there are none."""
    held_out = splits.validation
    if not len(held_out):
        return None
    images, labels = take(splits.train_images, held_out), splits.train_labels[held_out]
    return pipeline.batched(images, labels, batch_size=recipe.batch_size)


def _batches(
    splits: Splits, recipe: Recipe, seed: int, course: Course, feedback: LossFeedback | None
) -> TrainingBatches:
    """The batches of the images that are trained on."""
    return TrainingBatches(
        take(splits.train_images, splits.training),
        splits.train_labels[splits.training],
        recipe,
        seed=seed,
        course=course,
        feedback=feedback,
        class_weights=splits.class_weights,
    )


def _course(recipe: Recipe, plan: Plan | None, steps: int) -> Course:
    """How far training goes: so many epochs, or as long as a plan says."""
    if plan is None:
        return StepCourse(recipe.epochs * steps)
    course = TimeCourse(plan.seconds, plan.passes * steps)
    course.set_aside(plan.validation_seconds)
    return course


def _batch_size(splits: Splits, recipe: Recipe) -> int:
    """Images in a step, where every batch is whole."""
    return min(recipe.batch_size, len(splits.training))


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
