"""Model + Splits + Settings → History, and the weights in the model."""

import time
from typing import Any

from apparel import backend
from apparel.averaging import weight_average
from apparel.backend import NumberFormat
from apparel.progress import EpochEnd, epoch_reporter
from apparel.records import History, Settings, Splits


def compile_model(model: Any, settings: Settings) -> None:
    """Compile with Adam, categorical cross-entropy, accuracy, precision and recall.

    Args:
        model: an uncompiled `keras.Model`.
        settings: gives `learning_rate`.
    """
    keras = backend.load_keras()
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="categorical_crossentropy",
        # Named, because Keras numbers the default names: precision_1, precision_2, …
        metrics=[
            "accuracy",
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
        ],
    )


def fit(model: Any, splits: Splits, settings: Settings, number_format: NumberFormat) -> History:
    """Train a compiled model in the chosen number format.

    A twin of the model trains, and its weights and optimiser state are copied back: the
    model itself stays float32, for evaluation and export. Ctrl-C ends training early and
    keeps what was learnt.

    Args:
        model: a compiled float32 `keras.Model`; its weights change.
        splits: images, labels, and which of them are held out for validation.
        settings: gives `epochs`, `batch_size`, `seed` and `weight_averaging`.
        number_format: of the twin.

    Returns:
        The measures of every finished epoch; `interrupted` is set after Ctrl-C.
    """
    twin = _training_twin(model, number_format.policy)
    backend.seed_everything(settings.seed)
    steps = _steps(len(splits.training), settings.batch_size)
    log = _epoch_log(settings.epochs, steps)
    callbacks = [log]
    if settings.weight_averaging:
        total = settings.epochs * steps
        callbacks.append(weight_average(steps=total, share=settings.weight_averaging))
    held_out = splits.validation
    validation_data = (
        (splits.train_images[held_out], splits.train_labels[held_out]) if len(held_out) else None
    )
    interrupted = False
    try:
        twin.fit(
            splits.train_images[splits.training],
            splits.train_labels[splits.training],
            validation_data=validation_data,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            verbose=0,
            callbacks=callbacks,
        )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        log.reporter.close()
    backend.copy_variables(twin, model)
    _copy_optimizer(twin.optimizer, model)
    return History(
        history={name: tuple(log.measures[name]) for name in sorted(log.measures, key=_order)},
        seconds=tuple(log.seconds),
        dtype=number_format.policy,
        interrupted=interrupted,
    )


def _training_twin(model: Any, policy: str) -> Any:
    """A copy of a compiled model in another number format, optimiser state included."""
    twin = backend.clone_with_policy(model, policy)
    twin.compile_from_config(model.get_compile_config())
    if model.optimizer.built:
        _copy_optimizer(model.optimizer, twin)
    return twin


def _copy_optimizer(optimizer: Any, model: Any) -> None:
    """Give a model's optimiser the state of another."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    state: dict[str, Any] = {}
    optimizer.save_own_variables(state)
    model.optimizer.load_own_variables(state)


def _order(measure: str) -> tuple[bool, bool]:
    """Sort key: training before validation, and the loss before the other measures."""
    return measure.startswith("val_"), not measure.endswith("loss")


def _steps(n_images: int, batch_size: int) -> int:
    """Training steps in an epoch; the last batch may be smaller."""
    return -(-n_images // batch_size)


def _epoch_log(epochs: int, steps: int) -> Any:
    """A Keras callback that keeps each epoch's measures and seconds, and reports progress."""
    keras = backend.load_keras()

    class EpochLog(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Keeps what finished epochs measured; an unfinished one leaves nothing behind."""

        def __init__(self) -> None:
            super().__init__()
            self.measures: dict[str, list[float]] = {}
            self.seconds: list[float] = []
            self.reporter = epoch_reporter(epochs=epochs, steps=steps)

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            self._start = time.perf_counter()
            self.reporter.epoch_begins(epoch + 1)

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            self.reporter.step_ends(batch + 1, logs or {})

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            seconds = time.perf_counter() - self._start
            for name, value in (logs or {}).items():
                self.measures.setdefault(name, []).append(float(value))
            self.seconds.append(seconds)
            self.reporter.epoch_ends(EpochEnd(epoch + 1, epochs, seconds, logs or {}))

    return EpochLog()
