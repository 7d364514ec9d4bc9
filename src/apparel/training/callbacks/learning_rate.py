"""The learning rate of each step."""

from apparel.training.callbacks.base import Callback, Logs
from apparel.training.progress import TrainingProgress

# Fraction of training in which the learning rate rises.
WARM_UP = 0.1


class TriangularSchedule(Callback):
    """Sets the learning rate by the progress of training.

    Args:
        progress: of the training.
        peak: the highest learning rate.
    """

    def __init__(self, progress: TrainingProgress, peak: float) -> None:
        super().__init__()
        self._progress, self._peak = progress, peak

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """See `keras.callbacks.Callback`."""
        # Never quite 0, which would waste the first step.
        self.model.optimizer.learning_rate = self._peak * max(
            triangle(self._progress.fraction), 1e-3
        )


def triangle(fraction: float) -> float:
    """Give the learning rate as a fraction of its peak: up in a straight line, then down.

    Args:
        fraction: finished fraction of training, at least 0.

    Returns:
        0 to 1; 0 at both ends.
    """
    return max(min(fraction / WARM_UP, (1 - fraction) / (1 - WARM_UP)), 0.0)
