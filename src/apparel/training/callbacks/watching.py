"""Let somebody outside see each epoch of a training, and end it early."""

from collections.abc import Callable
from typing import Any, TypeAlias

from apparel.core.records import History
from apparel.training.callbacks.base import Listener, Measures
from apparel.training.learning_rate import Course

# Takes the history so far and the finished share of training; says whether to go on.
Watch: TypeAlias = Callable[[History, float], bool]


class EpochWatcher(Listener):
    """Asks after each epoch whether training is to go on.

    Args:
        watch: is asked.
        history: gives the history so far.
        course: of the training.
    """

    def __init__(self, watch: Watch, history: Callable[[], History], course: Course) -> None:
        self._watch, self._history, self._course = watch, history, course

    def epoch_ends(self, model: Any, epoch: int, measures: Measures) -> None:  # noqa: ARG002  # of all listeners
        """See `Listener`."""
        if not self._watch(self._history(), self._course.progress):
            model.stop_training = True
