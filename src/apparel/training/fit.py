"""Model + Splits + Settings → History, and the trained weights in the model.

`fit` trains a copy of the model with Keras's own `fit`. What happens in each step and epoch lies in
`augmentation`, which draws the batches, and in callbacks.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from apparel.core import backend
from apparel.core.backend import NumberFormat
from apparel.core.errors import ModelFileError
from apparel.core.image_array import take
from apparel.core.recipes import HEAD, STEM, Plan, Recipe, recipe_of
from apparel.core.records import History, Splits
from apparel.core.settings import Settings
from apparel.core.signals import signals_held
from apparel.models import architectures
from apparel.models.batches import batched, prefetched
from apparel.runs.checkpoints import CheckpointFolder, Stateful
from apparel.training.augmentation import TrainingBatches
from apparel.training.callbacks import EarlyStopping, EpochLog, TriangularSchedule, WeightAverage
from apparel.training.checkpointing import Checkpointing, ModelState
from apparel.training.distributed import Worker, parallel_model, steps_of_first
from apparel.training.infobatch import LossFeedback, recording
from apparel.training.muon import Muon
from apparel.training.progress import (
    Callback,
    StepProgress,
    TimeProgress,
    TrainingProgress,
    keras,
)
from apparel.training.progress_bar import progress_display
from apparel.training.training_copy import (
    copy_optimizer,
    copy_variables,
    training_copy,
    training_optimizer,
)

# Takes the history so far and the finished fraction of training; says whether to continue.
Watch: TypeAlias = Callable[[History, float], bool]

ADAM_LR_RATIO = 0.25
# Keras's fit needs a number of epochs; where time ends training, one that is never reached.
MOST_EPOCHS = 1_000_000


def compiled_model(
    settings: Settings, *, n_classes: int, img_shape: tuple[int, int, int], seed: int | None = None
) -> Any:
    """Build the model that settings name, and compile it.

    Args:
        settings: with a model chosen.
        n_classes: number of classes.
        img_shape: height, width and channels of an image.
        seed: of the weights; None for that of the settings.
    """
    recipe = recipe_of(settings)
    model = architectures.create(
        recipe.model_name,
        n_classes=n_classes,
        img_shape=img_shape,
        seed=settings.seed if seed is None else seed,
        width=recipe.width,
    )
    compile_model(model, settings)
    return model


def compile_model(model: Any, settings: Settings) -> None:
    """Compile with categorical cross-entropy, accuracy, precision and recall.

    The optimiser is Adam, which trains "cnn". The other models are trained by Muon, which Keras
    does not have for convolutions; theirs is SGD, whose state is empty, so that a saved model
    opens anywhere.

    Args:
        model: an uncompiled `keras.Model`.
        settings: give learning rate and label smoothing.
    """
    recipe = recipe_of(settings)
    adam = recipe.optimizer == "adam"
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate) if adam else keras.optimizers.SGD(),
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

    A copy of the model trains, and its weights are copied back: the model itself stays float32
    and of standard layers, for evaluation and export. Ctrl-C ends training early and keeps what
    was learnt.

    Args:
        model: a compiled float32 `keras.Model`; its weights change.
        splits: images, labels, and the split into training and validation images.
        settings: give the seed and, with the model's recipe, everything else.
        number_format: of the training copy.
        plan: end when its time is up instead of after the recipe's epochs.
        checkpoints: keep the state of training here, and resume from the last one; the result is
            the same, bit for bit. None keeps none.
        worker: train as one of several workers, each of which calls this with the same arguments;
            None for alone.
        watch: is asked after each epoch, once its checkpoint is written, whether to continue.

    Returns:
        The metrics of every finished epoch; `interrupted` is set after Ctrl-C.

    Raises:
        OSError: a checkpoint cannot be written or read.
        ModelFileError: the last checkpoint does not fit the model.
        Terminated: the process received SIGTERM; a checkpoint was written before.
    """
    recipe = recipe_of(settings, plan)
    batch_size = min(recipe.batch_size, len(splits.training))
    copy = compiled_copy(model, recipe, number_format, batch_size, worker)
    backend.seed_everything(settings.seed)
    training = _Training(splits, settings, recipe, plan)
    log, history = training.log, partial(_history, training, recipe, number_format)
    interrupted = False
    try:
        with signals_held() as request:
            checkpointing = Checkpointing(
                ModelState(copy),
                training.components,
                log,
                training.progress,
                request,
                folder=checkpoints,
                every=settings.checkpoint_every,
                writes=worker is None or worker.rank == 0,
            )
            callbacks = [*training.callbacks, checkpointing]
            if watch:

                def ask(*_: Any) -> None:
                    if not watch(history(), training.progress.fraction):
                        copy.stop_training = True

                callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=ask))
            _resume(checkpointing, training.progress, worker)
            validation = None
            if len(splits.validation):
                images = take(splits.train_images, splits.validation)
                labels = splits.train_labels[splits.validation]
                validation = batched(images, labels, batch_size=recipe.batch_size)
            copy.stop_training = training.is_over
            while not copy.stop_training and log.epoch < training.epochs:
                rest = log.rest  # of an interrupted epoch, which comes before all others
                copy.fit(
                    prefetched(islice(training.batches, rest or None)),
                    initial_epoch=log.epoch,
                    epochs=log.epoch + 1 if rest else training.epochs,
                    steps_per_epoch=rest or log.steps_per_epoch,
                    validation_data=validation,
                    callbacks=callbacks,
                    shuffle=False,
                    verbose=0,
                )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        training.close()
    if training.stopping:
        training.stopping.restore_best(copy)
    copy_variables(copy, model)
    if recipe.optimizer == "adam":
        copy_optimizer(copy.optimizer, model)
    return history(interrupted=interrupted)


class _Training:
    """The parts of a training beside the model; None where the recipe does not use one."""

    def __init__(
        self, splits: Splits, settings: Settings, recipe: Recipe, plan: Plan | None
    ) -> None:
        n_images, epochs = len(splits.training), None if plan else recipe.epochs
        self.epochs = epochs or MOST_EPOCHS
        # Steps per epoch, as without pruning, where the last batch of an epoch may be smaller.
        steps_per_epoch = -(-n_images // recipe.batch_size)
        if recipe.prune:
            steps_per_epoch = max(n_images // recipe.batch_size, 1)
        self.progress: TrainingProgress = StepProgress(recipe.epochs * steps_per_epoch)
        if plan:
            expected_steps = plan.passes * steps_per_epoch
            self.progress = TimeProgress(plan.seconds, expected_steps, plan.validation_seconds)
        progress = self.progress
        self.log = EpochLog(progress, steps_per_epoch)
        self.display = progress_display(progress, self.log, epochs)
        self.losses = LossFeedback(n_images, progress) if recipe.prune else None
        self.batches = TrainingBatches(
            take(splits.train_images, splits.training),
            splits.train_labels[splits.training],
            recipe,
            seed=settings.seed,
            progress=progress,
            feedback=self.losses,
            class_weights=splits.class_weights,
        )
        self.schedule = self.average = self.stopping = None
        if recipe.schedule == "triangular":
            self.schedule = TriangularSchedule(progress, recipe.learning_rate)
        if recipe.weight_averaging:
            self.average = WeightAverage(progress, recipe.weight_averaging)
        if recipe.patience is not None:
            self.stopping = EarlyStopping(recipe.patience)

    @property
    def callbacks(self) -> list[Callback]:
        """All callbacks, in the order in which Keras calls them."""
        every = (
            self.progress, self.log, self.display, self.losses, self.schedule, self.average,
            self.stopping,
        )  # fmt: skip
        return [callback for callback in every if callback]

    @property
    def components(self) -> dict[str, Stateful]:
        """All parts whose state checkpoints hold."""
        every: dict[str, Stateful | None] = {
            "log": self.log,
            "progress": self.progress,
            "batches": self.batches,
            "losses": self.losses,
            "average": self.average,
            "stopping": self.stopping,
        }
        return {name: component for name, component in every.items() if component}

    @property
    def is_over(self) -> bool:
        """True when nothing is left to train."""
        return self.progress.is_over or (self.stopping is not None and self.stopping.is_over)

    def close(self) -> None:
        """Release the thread that draws batches, and the terminal."""
        if self.losses:
            self.losses.close()
        self.display.close()


def _resume(
    checkpointing: Checkpointing, progress: TrainingProgress, worker: Worker | None
) -> None:
    """Resume from the last checkpoint if there is one; of several workers, all from the same one.

    Raises:
        ModelFileError: the last checkpoint is of another model, or other workers have another.
    """
    if worker is None or worker.size == 1:
        checkpointing.resume()
        return
    if worker.rank == 0:  # it may write the first one, and sets damaged ones aside
        checkpointing.resume()
    first = steps_of_first(worker, progress.steps)
    if worker.rank != 0:
        checkpointing.resume()
    if progress.steps != first:
        raise ModelFileError(
            f"a worker has a checkpoint after {progress.steps:,} steps, and another one after "
            f"{first:,}. Put the run directory on storage that all of them share."
        )


def _history(
    training: _Training, recipe: Recipe, number_format: NumberFormat, *, interrupted: bool = False
) -> History:
    """The record of training so far: training metrics first, and the loss before the others."""
    metrics = training.log.metrics
    names = sorted(metrics, key=lambda name: (name.startswith("val_"), not name.endswith("loss")))
    return History(
        history={name: tuple(metrics[name]) for name in names},
        seconds=tuple(training.log.seconds),
        dtype=number_format.policy,
        interrupted=interrupted,
        restored_epoch=training.stopping.best_epoch if training.stopping else None,
        harder=recipe.prune > 0,
    )


def compiled_copy(
    model: Any,
    recipe: Recipe,
    number_format: NumberFormat,
    batch_size: int,
    worker: Worker | None = None,
) -> Any:
    """Copy a compiled model for training, with the state of its optimiser if that is the same."""
    copy = training_copy(model, number_format.policy)
    if worker and worker.size > 1:
        copy = parallel_model(copy, worker, recipe.batch_size)
    if recipe.prune:
        copy = recording(copy, batch_size, recipe.label_smoothing)
    copy.compile_from_config(model.get_compile_config())
    if recipe.optimizer == "adam":
        copy.optimizer = training_optimizer(model.optimizer)
        if model.optimizer.built:
            copy_optimizer(model.optimizer, copy)
    else:
        copy.optimizer = Muon(
            recipe.learning_rate,
            adam_lr_ratio=ADAM_LR_RATIO,
            exclude_layers=(STEM, HEAD),
            dtype="bfloat16" if number_format.policy == "mixed_bfloat16" else "float32",
        )
    _create_variables(copy, batch_size)
    return copy


def _create_variables(model: Any, batch_size: int) -> None:
    """Create the variables of optimiser, loss and metrics now, without changing the weights.

    TensorFlow traces a step a second time, for a second or more, if the first one created any.
    """
    model.optimizer.build(model.trainable_variables)
    n_classes = model.output_shape[-1]
    rows = np.full((batch_size, n_classes), 1 / n_classes, np.float32)
    model.compute_loss(y=rows, y_pred=rows)
    model.compute_metrics(None, rows, rows)
    model.reset_metrics()
