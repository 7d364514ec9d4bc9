"""Rules about the training: how it went, and what of it carries over to new images."""

from dataclasses import asdict

from apparel.core.records import Evidence, Finding, History, Topic
from apparel.evaluation.intervals import wilson_interval
from apparel.explain.findings.course import EPOCHS_FOR_A_TREND, Course, Verdict, judge
from apparel.explain.findings.wording import count, percent, points

# The accuracy of 400 validation images at 90 % is known to 3 points; a smaller gap is either
# chance or what every model has that has learnt something of its training images.
LARGE_GAP = 0.03

# Topic, text and advice of a verdict, filled from the fields of a Course. A verdict that is not
# here gives no finding. "level" is none of them: a larger model might do better wherever training
# has levelled off, so it is no more than a hope, and no reason to call a good result deficient.
_SENTENCES: dict[Verdict, tuple[Topic, str, str]] = {
    "broken": (
        "broken_training",
        "Training broke down: from epoch {best} on the loss is no longer a finite number.",
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
        "Whether training has levelled off cannot be said after {finished}: "
        f"a trend needs at least {EPOCHS_FOR_A_TREND}.",
        "Train longer, for example for {more} epochs.",
    ),
    "improving": (
        "short_training",
        "Training has not levelled off: in the last two epochs the validation loss still fell "
        "from {earlier:.3f} to {lowest:.3f}.",
        "Train longer, for example for {more} epochs.",
    ),
    "overfits": (
        "overfitting",
        "Training overfits from epoch {after} on: the validation loss is lowest in epoch {best} "
        "({lowest:.3f}) and has clearly risen since ({last:.3f} in epoch {epochs}), "
        "although the training loss went on falling.",
        "Train for {best} epochs instead of {epochs}.",
    ),
}
_TOO_SOON_TO_STOP = "Use more dropout, as training for {least} only would be too short."


def course_of_training(evidence: Evidence) -> Finding | None:
    """Say what went wrong in training.

    Weight: 1 if it ran away, for then chance decides what the model says of any image. Otherwise
    the share of test images named wrongly, all of which complete training might have named
    correctly; times the share of the loss that was added by overfitting, or that went in the last
    two epochs of a loss that still falls.
    """
    history = evidence.history
    if history is None:
        return None
    course = judge(history)
    weight = _weight(course, 1 - evidence.evaluation.metrics["accuracy"].value)
    # Overfitting costs nothing where the weights of an earlier epoch were kept.
    harmless = course.verdict == "overfits" and history.restored_epoch
    if course.verdict not in _SENTENCES or weight == 0 or harmless:
        return None
    topic, text, advice = _sentences(course, history)
    if history.restored_epoch:
        text += f" The weights of epoch {history.restored_epoch} were kept."
    figures = {
        **asdict(course),
        "after": course.best + 1,
        "finished": count(course.epochs, "epoch"),
        "least": count(course.best, "epoch"),
        "more": max(2 * course.epochs, EPOCHS_FOR_A_TREND),
    }
    return Finding(
        topic=topic, text=text.format(**figures), advice=advice.format(**figures), weight=weight
    )


def _sentences(course: Course, history: History) -> tuple[Topic, str, str]:
    """Topic, text and advice of a verdict, to be filled."""
    topic, text, advice = _SENTENCES[course.verdict]
    if course.verdict != "overfits":
        return topic, text, advice
    accuracies = history.history.get("val_accuracy")
    # The loss punishes a model that is too sure of its mistakes, which the accuracy does not see,
    # and which calibration mends once training is over.
    if accuracies and accuracies[-1] > accuracies[course.best - 1]:
        text += (
            f" Yet the validation accuracy rose from {percent(accuracies[course.best - 1])} to "
            f"{percent(accuracies[-1])}: the model became too sure of its mistakes, but made fewer."
        )
        return topic, text, _against_memorising(history)
    return topic, text, _TOO_SOON_TO_STOP if course.best < EPOCHS_FOR_A_TREND else advice


def _weight(course: Course, wrong: float) -> float:
    if course.verdict in {"broken", "unstable"}:
        return 1.0
    if course.verdict == "overfits":
        return wrong * (1 - course.lowest / course.last)
    if course.verdict == "improving":
        return wrong * (1 - course.lowest / course.earlier)
    return wrong


def gap(evidence: Evidence) -> Finding | None:
    """Say how much of what is right in training is wrong on new images.

    Weight: the gap between training and validation accuracy, a share of new images.
    """
    history = evidence.history
    accuracies = _final_accuracies(history) if history else None
    if history is None or accuracies is None:
        return None
    training, validation = accuracies
    difference, n_images = training - validation, evidence.evaluation.calibration.n_images
    if not difference >= LARGE_GAP:  # nor if it is no number
        return None
    if training <= wilson_interval(round(validation * n_images), n_images).high:
        return None
    epoch = f"epoch {history.restored_epoch}" if history.restored_epoch else "the last epoch"
    text = (
        f"In {epoch} the training accuracy ({percent(training)}) lies {points(difference)} above "
        f"the validation accuracy ({percent(validation)}): {'at least ' if history.harder else ''}"
        "that much of what it gets right in training does not carry over to new images."
    )
    return Finding(topic="gap", text=text, advice=_against_memorising(history), weight=difference)


def _against_memorising(history: History) -> str:
    if history.harder:  # the images are changed at random already
        return "Train on more images."
    return "Train on images that are changed at random, as the models fast and best do."


def _final_accuracies(history: History) -> tuple[float, float] | None:
    """Return training and validation accuracy of the epoch whose weights the model has."""
    training, validation = (history.history.get(name) for name in ("accuracy", "val_accuracy"))
    if not (training and validation):
        return None
    kept = (history.restored_epoch or history.epochs) - 1
    return training[kept], validation[kept]
