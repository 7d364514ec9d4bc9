"""Model + Splits + Settings → History, and the weights in the model."""

import statistics
import time
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from apparel.core import backend
from apparel.core.backend import NumberFormat
from apparel.core.errors import ModelFileError
from apparel.core.image_array import take
from apparel.core.recipes import HEAD, STEM, recipe_of
from apparel.core.records import History, Splits
from apparel.core.settings import Plan, Recipe, Settings
from apparel.core.signals import signals_held
from apparel.models import batches as batches_module
from apparel.runs.checkpoints import CheckpointFolder
from apparel.training.callbacks.base import keras_callback
from apparel.training.callbacks.checkpointing import CheckpointKeeper, ModelState
from apparel.training.callbacks.watching import EpochWatcher, Watch
from apparel.training.distributed import Worker, parallel_model, steps_of_first
from apparel.training.infobatch import recording
from apparel.training.muon import muon
from apparel.training.setup import TrainingParts, training_parts
from apparel.training.training_copy import (
    copy_optimizer,
    copy_variables,
    training_optimizer,
    training_twin,
)

ADAM_LR_RATIO = 0.25
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
    worker: Worker | None = None,
    watch: Watch | None = None,
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
        worker: train as one of several workers, each of which calls this with the same arguments;
            None for alone.
        watch: is asked after each epoch, once its checkpoint is written, whether to go on; None to
            go on.

    Returns:
        The measures of every finished epoch; `interrupted` is set after Ctrl-C.

    Raises:
        OSError: a checkpoint cannot be written or read.
        ModelFileError: the last checkpoint does not fit the model.
        Terminated: somebody ended the process by SIGTERM; a checkpoint was written before.
    """
    recipe = recipe_of(settings, plan)
    twin = _compiled_twin(model, recipe, number_format, _batch_size(splits, recipe), worker)
    backend.seed_everything(settings.seed)
    parts = training_parts(splits, settings, recipe, plan)
    history = partial(_history, parts, recipe, number_format)
    watchers = [EpochWatcher(watch, history, parts.course)] if watch else []
    interrupted = False
    try:
        with signals_held() as request:
            keeper = CheckpointKeeper(
                ModelState(twin),
                parts.stateful,
                parts.log,
                request,
                folder=checkpoints,
                every=settings.checkpoint_every,
                steps=parts.steps,
                writes=worker is None or worker.rank == 0,
            )
            _begin(keeper, parts, worker)
            _run(
                twin,
                parts,
                validation_data=_validation(splits, recipe),
                callbacks=[keras_callback([*parts.listeners, keeper, *watchers])],
            )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        parts.close()
    if parts.stopping:
        parts.stopping.bring_back(twin)
    copy_variables(twin, model)
    if recipe.optimizer == "adam":
        copy_optimizer(twin.optimizer, model)
    return history(interrupted=interrupted)


def _begin(keeper: CheckpointKeeper, parts: TrainingParts, worker: Worker | None) -> None:
    """Begin, or go on from the last checkpoint; of several workers, all from the same one.

    Raises:
        ModelFileError: the last checkpoint is of another model, or other workers have another.
    """
    if worker is None or worker.size == 1:
        keeper.begin()
        return
    if worker.rank == 0:  # it may write the first one, and sets damaged ones aside
        keeper.begin()
    first = steps_of_first(worker, parts.log.steps)
    if worker.rank != 0:
        keeper.begin()
    if parts.log.steps != first:
        raise ModelFileError(
            f"a worker has a checkpoint after {parts.log.steps:,} steps, and another one after "
            f"{first:,}. Put the run directory on storage that all of them share."
        )


def _history(
    parts: TrainingParts,
    recipe: Recipe,
    number_format: NumberFormat,
    *,
    interrupted: bool = False,
) -> History:
    """What training did so far."""
    measures = parts.log.measures
    return History(
        history={name: tuple(measures[name]) for name in sorted(measures, key=_order)},
        seconds=tuple(parts.log.seconds),
        dtype=number_format.policy,
        interrupted=interrupted,
        restored_epoch=parts.stopping.best_epoch if parts.stopping else None,
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


def _compiled_twin(
    model: Any,
    recipe: Recipe,
    number_format: NumberFormat,
    batch_size: int,
    worker: Worker | None = None,
) -> Any:
    """A copy of a compiled model for training, with the optimiser's state where it is the same."""
    twin = training_twin(model, number_format.policy)
    if worker and worker.size > 1:
        twin = parallel_model(twin, worker, recipe.batch_size)
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


def _run(twin: Any, parts: TrainingParts, **told: Any) -> None:
    """Train from where the log is to the end; first, the rest of an epoch that has begun."""
    log, steps = parts.log, parts.steps
    twin.stop_training = parts.is_over
    if log.step and not twin.stop_training:
        rest = steps - log.step
        begun = batches_module.drawn(islice(parts.batches, rest))
        _fit(twin, begun, log.epoch, epochs=log.epoch + 1, steps_per_epoch=rest, **told)
    if log.epoch < parts.epochs and not twin.stop_training:
        drawn = batches_module.drawn(parts.batches)
        _fit(twin, drawn, log.epoch, epochs=parts.epochs, steps_per_epoch=steps, **told)


def _fit(twin: Any, batches: Any, epoch: int, **told: Any) -> None:
    """Call Keras's `fit`, to begin with an epoch that is counted from 0."""
    twin.fit(batches, initial_epoch=epoch, shuffle=False, verbose=0, **told)


def _validation(splits: Splits, recipe: Recipe) -> Any:
    """The images held out, as Keras's `fit` takes them; None where there are none."""
    held_out = splits.validation
    if not len(held_out):
        return None
    images, labels = take(splits.train_images, held_out), splits.train_labels[held_out]
    return batches_module.batched(images, labels, batch_size=recipe.batch_size)


def _batch_size(splits: Splits, recipe: Recipe) -> int:
    """Images in a step, where every batch is whole."""
    return min(recipe.batch_size, len(splits.training))


def _order(measure: str) -> tuple[bool, bool]:
    """Sort key: training before validation, and the loss before the other measures."""
    return measure.startswith("val_"), not measure.endswith("loss")
