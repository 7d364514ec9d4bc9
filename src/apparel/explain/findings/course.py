"""Judge the course of training by its losses."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from apparel.core.records import History

# Prechelt ("Early Stopping - But When?", 1998) stops at a rise of 5 %; on a few thousand
# validation images that is still within the noise from epoch to epoch, so we ask for twice that.
CLEAR_RISE = 0.10
# The lower of the last two epochs against the lowest of all before. On a plateau whose losses
# scatter by 3 %, the best of many epochs is itself some 5 % below the mean, so chance hardly ever
# gives another 5 %.
CLEAR_FALL = 0.05
# With fewer epochs, no minimum can have two epochs after it.
EPOCHS_FOR_A_TREND = 3

Verdict: TypeAlias = Literal[
    "unknown", "broken", "unstable", "interrupted", "too_short", "overfits", "improving", "level"
]


@dataclass(frozen=True)
class Course:
    """How training went.

    Attributes:
        verdict: in a word.
        epochs: how many were finished.
        best: the epoch, from 1, of the lowest validation loss or, if broken, of the first loss
            that is not finite.
        lowest: the lowest validation loss.
        last: that of the last epoch.
        earlier: the lowest of all epochs but the last two.
    """

    verdict: Verdict
    epochs: int
    best: int = 0
    lowest: float = 0.0
    last: float = 0.0
    earlier: float = 0.0


def judge(history: History) -> Course:
    """Judge how training went.

    Training overfits if the validation loss in *both* of the last two epochs lies more than
    `CLEAR_RISE` above its minimum while the training loss has gone on falling. One bad last epoch
    therefore never triggers it. If the training loss has not fallen either, training is unstable
    and nothing was learnt by heart. It is improving if the minimum is one of the last two epochs
    and more than `CLEAR_FALL` below all before; anything else counts as level.

    Of training that was interrupted nothing else is said unless it ran away: its last epochs, in
    which step sizes fall and weights are averaged, may change every other verdict.
    """
    course = _judge_losses(history)
    if history.interrupted and course.verdict not in {"broken", "unstable"}:
        return replace(course, verdict="interrupted")
    return course


def _judge_losses(history: History) -> Course:
    training = history.history.get("loss", ())
    validation = history.history.get("val_loss", ())
    epochs = len(training)
    finite = np.isfinite(training) & (np.isfinite(validation) if validation else True)
    if not finite.all():
        return Course("broken", epochs, int(np.argmin(finite)) + 1)
    if not validation:
        return Course("unknown", epochs)
    if epochs < EPOCHS_FOR_A_TREND:
        return Course("too_short", epochs)
    lowest, earlier = int(np.argmin(validation)), min(validation[:-2])
    verdict: Verdict = "level"
    if min(validation[-2:]) > (1 + CLEAR_RISE) * validation[lowest]:
        verdict = "overfits" if training[-1] < training[lowest] else "unstable"
    elif validation[lowest] < (1 - CLEAR_FALL) * earlier:
        verdict = "improving"
    return Course(verdict, epochs, lowest + 1, validation[lowest], validation[-1], earlier)
