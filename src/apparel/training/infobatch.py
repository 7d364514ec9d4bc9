"""Leave out some of the images that are already learnt, without bias.

Most images of a data set are easy after a pass or two. Each pass skips a share of those whose loss
was below the mean when they were last seen, and gives the easy ones that it keeps a larger weight,
so that the expected gradient stays the same (Z. Qin et al., "InfoBatch: Lossless Training Speed Up
by Unbiased Dynamic Data Pruning", 2023, arXiv 2303.04947). The last part of training sees all
images.
"""

import queue
from collections import deque
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apparel.runs.checkpoints import State
from apparel.training.progress import LAG, Callback, Logs, TrainingProgress, keras

# Fraction of training, at its end, without pruning.
ALL_IMAGES_AT_END = 0.15


class LossFeedback(Callback):
    """Hands the losses of each step back to the thread that draws the batches.

    That thread is ahead of the steps. So the losses are kept twice: as of the batches drawn, and as
    of the last step, for checkpoints.

    Args:
        n_images: number of training images.
        progress: of the training, which is updated first.
    """

    def __init__(self, n_images: int, progress: TrainingProgress) -> None:
        super().__init__()
        self._progress = progress
        self._losses = np.full(n_images, np.inf, np.float32)
        self._pending: deque[NDArray[np.int64]] = deque()
        self._measured: queue.SimpleQueue[NDArray[np.float32] | None] = queue.SimpleQueue()
        # As of the last step.
        self._settled = self._losses.copy()
        self._drawn: deque[NDArray[np.int64]] = deque()
        self._recent: deque[tuple[NDArray[np.int64], NDArray[np.float32]]] = deque()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`. The model is made by `recording`."""
        losses = keras.ops.convert_to_numpy(self.model.step_losses)
        self.measured(np.array(losses, np.float32))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        # Release the drawing thread, which Keras waits for; but not after the rest of an epoch that
        # was interrupted, when training continues with the next one.
        if self._progress.is_over or self.model.stop_training:
            self.close()

    def drawn(self, chosen: NDArray[np.int64]) -> bool:
        """Take note of a batch, and wait for the losses of the one `LAG` batches before.

        Returns:
            False when training is over.
        """
        self._pending.append(chosen)
        self._drawn.append(chosen)
        if len(self._pending) <= LAG:
            return True
        losses = self._measured.get()
        if losses is None:
            return False
        self._losses[self._pending.popleft()] = losses
        return True

    def measured(self, losses: NDArray[np.float32]) -> None:
        """Take the losses of the next batch in turn, shape (batch,)."""
        self._recent.append((self._drawn.popleft(), losses))
        if len(self._recent) > LAG:
            chosen, settled = self._recent.popleft()
            self._settled[chosen] = settled
        self._measured.put(losses)

    def close(self) -> None:
        """Release a thread that waits in `drawn`."""
        self._measured.put(None)

    def state(self) -> State:
        """See `Stateful`. It is as of the last step, not of the last batch drawn."""
        shape = (len(self._recent), len(self._recent[0][0]) if self._recent else 0)
        return {
            "settled": self._settled,
            "chosen": np.array([chosen for chosen, _ in self._recent], np.int64).reshape(shape),
            "losses": np.array([losses for _, losses in self._recent], np.float32).reshape(shape),
        }

    def restore(self, state: State) -> None:
        """See `Stateful`."""
        self._settled[:] = state["settled"]
        self._losses = self._settled.copy()
        self._recent = deque(zip(state["chosen"], state["losses"], strict=True))
        self._pending = deque(chosen for chosen, _ in self._recent)
        for _, losses in self._recent:
            self._measured.put(losses)

    def keep(
        self, share: float, random: Generator
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Choose the images of the next pass.

        Args:
            share: of the easy images that are skipped, in [0, 1).
            random: draws them.

        Returns:
            A mask of the images to keep, and the weight of each, both of shape (n,). The weights
            of those that are kept have mean 1.
        """
        seen = np.isfinite(self._losses)
        mean = self._losses[seen].mean() if seen.any() else 0.0
        easy = seen & (self._losses < mean)
        skipped = easy & (random.random(len(easy)) < share)
        weights = np.where(easy, 1 / (1 - share), 1).astype(np.float32)
        return ~skipped, weights / weights[~skipped].mean()


def recording(model: Any, batch_size: int, label_smoothing: float) -> Any:
    """Make a model that also keeps the loss of each training image of the last step.

    Args:
        model: a functional `keras.Model`, whose class may have steps of its own.
        batch_size: of every training step.
        label_smoothing: as in the loss.

    Returns:
        A `keras.Model` of the same layers, with the losses in `step_losses`.
    """

    class Recording(type(model)):  # type: ignore[misc]  # Keras publishes no types
        """Keeps the losses of the last step."""

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            if training:
                losses = keras.losses.categorical_crossentropy(
                    y, y_pred, label_smoothing=label_smoothing
                )
                self.step_losses.assign(keras.ops.stop_gradient(losses))
            return super().compute_loss(x, y, y_pred, sample_weight, training)

    recorded = Recording(inputs=model.inputs, outputs=model.outputs, name=model.name)
    recorded.step_losses = recorded.add_weight(
        shape=(batch_size,), initializer="zeros", trainable=False, dtype="float32", name="losses"
    )
    return recorded
