"""Rules about training: what went wrong, and how much of it does not generalise."""

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import numpy as np

from apparel.core.messages import count
from apparel.core.records import Evidence, Finding, History, Topic
from apparel.evaluation.intervals import wilson_interval
from apparel.explain.findings.wording import percent, points

# Prechelt ("Early Stopping - But When?", 1998) stops at a rise of 5 %; on a few thousand
# validation images that is still noise between epochs, so this asks for twice as much.
CLEAR_RISE = 0.10
# The lower of the last two epochs against the lowest of all before. On a plateau whose losses
# scatter by 3 %, the best of many epochs is itself some 5 % below the mean, so chance hardly ever
# gives another 5 %.
CLEAR_FALL = 0.05
# With fewer epochs, no minimum can have two epochs after it.
EPOCHS_FOR_A_TREND = 3
# The accuracy of 400 validation images at 90 % is known to 3 points. A smaller gap is either chance
# or normal: every model fits its training images a little better.
LARGE_GAP = 0.03

Verdict: TypeAlias = Literal[
    "unknown", "broken", "unstable", "interrupted", "too_short", "overfits", "improving", "level"
]

# Topic, text and advice of each verdict, filled from the fields of a `_Diagnosis`. Other verdicts
# give no finding. "level" is none of these: after any training that has converged a larger model
# might do better, which is a hope and no reason to call a good result deficient.
_SENTENCES: dict[Verdict, tuple[Topic, str, str]] = {
    "broken": (
        "broken_training",
        "Training diverged: from epoch {best} on, the loss is not a finite number.",
        "Lower the learning rate, for example to a third.",
    ),
    "unstable": (
        "unstable_training",
        "Training became unstable, which is not overfitting: the validation loss rose from "
        "{lowest:.3f} in epoch {best} to {last:.3f} in epoch {epochs}, "
        "and the training loss did not fall in that time either.",
        "Lower the learning rate, for example to a third.",
    ),
    "interrupted": (
        "interrupted_training",
        "Training was interrupted after {finished}.",
        "Let training finish.",
    ),
    "too_short": (
        "short_training",
        "After {finished} it is too early to tell whether training has converged: "
        f"a trend needs at least {EPOCHS_FOR_A_TREND}.",
        "Train longer, for example for {more} epochs.",
    ),
    "improving": (
        "short_training",
        "Training has not converged: in the last two epochs the validation loss still fell "
        "from {earlier:.3f} to {lowest:.3f}.",
        "Train longer, for example for {more} epochs.",
    ),
    "overfits": (
        "overfitting",
        "Training overfits from epoch {after} on: the validation loss is lowest in epoch {best} "
        "({lowest:.3f}) and has clearly risen since ({last:.3f} in epoch {epochs}), "
        "although the training loss kept falling.",
        "Train for {best} epochs instead of {epochs}.",
    ),
}
_TOO_SOON_TO_STOP = "Use more dropout, as training for {least} only would be too short."


@dataclass(frozen=True)
class _Diagnosis:
    """A judgement of the losses.

    Attributes:
        verdict: the judgement in a word.
        epochs: number of finished epochs.
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


def training_problem(evidence: Evidence) -> Finding | None:
    """Report what went wrong in training.

    Weight: 1 if it diverged or became unstable, as chance then decides the predictions. Otherwise
    the share of misclassified test images, all of which complete training might have classified
    correctly; for overfitting and for training that has not converged, times the share by which
    the loss rose or still fell.
    """
    history = evidence.history
    if history is None:
        return None
    found = _diagnose(history)
    weight = _weight(found, 1 - evidence.evaluation.metrics["accuracy"].value)
    # Overfitting does no harm where the weights of an earlier epoch were kept.
    harmless = found.verdict == "overfits" and history.restored_epoch
    if found.verdict not in _SENTENCES or weight == 0 or harmless:
        return None
    topic, text, advice = _SENTENCES[found.verdict]
    if found.verdict == "overfits":
        text, advice = _on_overfitting(found, history, text, advice)
    if history.restored_epoch:
        text += f" The weights of epoch {history.restored_epoch} were kept."
    figures = {
        **asdict(found),
        "after": found.best + 1,
        "finished": count(found.epochs, "epoch"),
        "least": count(found.best, "epoch"),
        "more": max(2 * found.epochs, EPOCHS_FOR_A_TREND),
    }
    return Finding(
        topic=topic, text=text.format(**figures), advice=advice.format(**figures), weight=weight
    )


def _diagnose(history: History) -> _Diagnosis:
    """Judge training by its losses.

    Training overfits if the validation loss in *both* of the last two epochs lies more than
    `CLEAR_RISE` above its minimum while the training loss kept falling. A single bad last epoch
    therefore never triggers it. If the training loss has not fallen either, training is unstable
    and nothing was memorised. It is improving if the minimum is one of the last two epochs and
    more than `CLEAR_FALL` below all before; anything else counts as level.

    Interrupted training is not judged unless it diverged or became unstable: its last epochs, in
    which learning rates fall and weights are averaged, may change every other verdict.
    """
    training = history.history.get("loss", ())
    validation = history.history.get("val_loss", ())
    epochs = len(training)
    finite = np.isfinite(training) & (np.isfinite(validation) if validation else True)
    if not finite.all():
        return _Diagnosis("broken", epochs, int(np.argmin(finite)) + 1)
    if not validation or epochs < EPOCHS_FOR_A_TREND:
        known: Verdict = "too_short" if validation else "unknown"
        return _Diagnosis("interrupted" if history.interrupted else known, epochs)
    lowest, earlier = int(np.argmin(validation)), min(validation[:-2])
    verdict: Verdict = "level"
    if min(validation[-2:]) > (1 + CLEAR_RISE) * validation[lowest]:
        verdict = "overfits" if training[-1] < training[lowest] else "unstable"
    elif validation[lowest] < (1 - CLEAR_FALL) * earlier:
        verdict = "improving"
    if history.interrupted and verdict != "unstable":
        verdict = "interrupted"
    return _Diagnosis(verdict, epochs, lowest + 1, validation[lowest], validation[-1], earlier)


def _on_overfitting(found: _Diagnosis, history: History, text: str, advice: str) -> tuple[str, str]:
    """Text and advice on overfitting, which may cost no accuracy.

    The loss punishes overconfident mistakes, which the accuracy ignores, and which calibration
    mends after training.
    """
    accuracies = history.history.get("val_accuracy")
    if accuracies and accuracies[-1] > accuracies[found.best - 1]:
        text += (
            f" Yet the validation accuracy rose from {percent(accuracies[found.best - 1])} to "
            f"{percent(accuracies[-1])}: the model became overconfident, but made fewer mistakes."
        )
        return text, _against_memorising(history)
    return text, _TOO_SOON_TO_STOP if found.best < EPOCHS_FOR_A_TREND else advice


def _weight(found: _Diagnosis, wrong: float) -> float:
    if found.verdict in {"broken", "unstable"}:
        return 1.0
    if found.verdict == "overfits":
        return wrong * (1 - found.lowest / found.last)
    if found.verdict == "improving":
        return wrong * (1 - found.lowest / found.earlier)
    return wrong


def gap(evidence: Evidence) -> Finding | None:
    """Report how much lower the accuracy is on new images than in training.

    Weight: the gap between training and validation accuracy, a share of new images.
    """
    history = evidence.history
    accuracies = _final_accuracies(history) if history else None
    if history is None or accuracies is None:
        return None
    training, validation = accuracies
    difference, n_images = training - validation, evidence.evaluation.calibration.n_images
    if not difference >= LARGE_GAP:  # nor if it is not a number
        return None
    if training <= wilson_interval(round(validation * n_images), n_images).high:
        return None
    epoch = f"epoch {history.restored_epoch}" if history.restored_epoch else "the last epoch"
    text = (
        f"In {epoch} the training accuracy ({percent(training)}) lies {points(difference)} above "
        f"the validation accuracy ({percent(validation)}): {'at least ' if history.harder else ''}"
        "that much of it does not generalise to new images."
    )
    return Finding(topic="gap", text=text, advice=_against_memorising(history), weight=difference)


def _against_memorising(history: History) -> str:
    if history.harder:  # the images are augmented already
        return "Train on more images."
    return "Train with augmentation, as the models fast and best do."


def _final_accuracies(history: History) -> tuple[float, float] | None:
    """Training and validation accuracy of the epoch whose weights the model has."""
    training, validation = (history.history.get(name) for name in ("accuracy", "val_accuracy"))
    if not (training and validation):
        return None
    kept = (history.restored_epoch or history.epochs) - 1
    return training[kept], validation[kept]
