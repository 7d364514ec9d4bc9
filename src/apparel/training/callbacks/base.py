"""What training is told to: plain objects, and the one Keras callback that passes on to them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from apparel.core import backend

Measures: TypeAlias = Mapping[str, float]


class Listener:
    """Is told how a training goes. Each method does nothing unless it is overridden.

    `model` is the `keras.Model` that trains; epochs count from 0; measures have Keras's names.
    """

    def epoch_begins(self, model: Any, epoch: int) -> None:
        """Before the first step of an epoch, once its measures are reset."""

    def step_begins(self, model: Any) -> None:
        """Before a step."""

    def step_ends(self, model: Any, measures: Measures) -> None:
        """After a step, with the measures of the epoch so far."""

    def validation_begins(self) -> None:
        """After the last step of an epoch."""

    def validation_ends(self) -> None:
        """Before the end of an epoch."""

    def epoch_ends(self, model: Any, epoch: int, measures: Measures) -> None:
        """After an epoch, with its measures and those of the validation."""

    def training_ends(self, model: Any) -> None:
        """After the last epoch of a call of Keras's `fit`."""


def keras_callback(listeners: Sequence[Listener]) -> Any:
    """Make a `keras.callbacks.Callback` that tells listeners, in order."""
    keras = backend.load_keras()

    def tell(what: str, *details: object) -> None:
        for listener in listeners:
            getattr(listener, what)(*details)

    class Teller(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # Keras publishes no types
        """Passes on."""

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            tell("epoch_begins", self.model, epoch)

        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            tell("step_begins", self.model)

        def on_train_batch_end(self, batch: int, logs: Measures | None = None) -> None:  # noqa: ARG002  # Keras's signature
            tell("step_ends", self.model, logs or {})

        def on_test_begin(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            tell("validation_begins")

        def on_test_end(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            tell("validation_ends")

        def on_epoch_end(self, epoch: int, logs: Measures | None = None) -> None:
            tell("epoch_ends", self.model, epoch, logs or {})

        def on_train_end(self, logs: object = None) -> None:  # noqa: ARG002  # Keras's signature
            tell("training_ends", self.model)

    return Teller()
