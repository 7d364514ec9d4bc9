"""Say in plain language what a result says.

Every sentence is computed from an Evaluation and, where there is one, a History.
"""

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import numpy as np

from apparel.records import Evaluation, Finding, History

# Prechelt ("Early Stopping - But When?", 1998) stops at a rise of 5 %; on a few thousand
# validation images that is still within the noise from epoch to epoch, so we ask for twice that.
CLEAR_RISE = 0.10
# With fewer epochs, no minimum can have two epochs after it.
EPOCHS_FOR_A_TREND = 3
# Smaller gaps, in percentage points, change sign from one epoch to the next.
SMALL_GAP = 1.0

Verdict: TypeAlias = Literal[
    "unknown", "broken", "too_short", "unstable", "overfits", "improving", "level"
]

# One sentence a verdict, filled from the fields of _Course.
_COURSES: dict[Verdict, str] = {
    "unknown": "Whether training overfits cannot be said: there are no validation results.",
    "broken": "Training broke down, which is not overfitting: from epoch {best} on "
    "the loss is no longer a finite number.",
    "too_short": "Whether training overfits cannot be said after {count}: "
    f"a trend needs at least {EPOCHS_FOR_A_TREND}.",
    "unstable": "Training became unstable, which is not overfitting: the validation loss rose from "
    "{lowest:.3f} in epoch {best} to {last:.3f} in epoch {epochs}, "
    "and the training loss did not fall in that time either.",
    "overfits": "Training overfits from epoch {after} on: the validation loss is lowest in epoch "
    "{best} ({lowest:.3f}) and has clearly risen since ({last:.3f} in epoch {epochs}), "
    "although the training loss went on falling.",
    "improving": "No sign of overfitting: the validation loss is lowest ({lowest:.3f}) "
    "in epoch {best} of {epochs}, so it may well fall further.",
    "level": "No clear overfitting: the validation loss is lowest in epoch {best} ({lowest:.3f}) "
    "and has not clearly risen until epoch {epochs}.",
}


@dataclass(frozen=True)
class _Course:
    """How training went: its verdict, and the lowest and the last validation loss."""

    verdict: Verdict
    epochs: int
    best: int = 0  # the epoch of the lowest loss or, if broken, of the first that is not finite
    lowest: float = 0.0
    last: float = 0.0


def explain(evaluation: Evaluation, history: History | None) -> tuple[Finding, ...]:
    """Say what a result means, in the order in which a learner asks.

    Args:
        evaluation: the result on at least one test image.
        history: how the model was trained, or None where nobody knows.

    Returns:
        One Finding for each Topic, in the order of `records.Topic`.
    """
    course = _judge(history)
    return (
        Finding("overall", _overall(evaluation)),
        Finding("hardest_class", _hardest_class(evaluation)),
        Finding("confused_pair", _confused_pair(evaluation)),
        Finding("overfitting", _overfitting(course, history)),
        Finding("gap", _gap(history)),
        Finding("next_step", _next_step(evaluation, history, course)),
    )


def _judge(history: History | None) -> _Course:
    """Judge the course of training by its losses.

    Training overfits if the validation loss in *both* of the last two epochs lies more than
    `CLEAR_RISE` above its minimum while the training loss has gone on falling. One bad last epoch
    therefore never triggers it. If the training loss has not fallen either, training is unstable
    and nothing was learnt by heart. A minimum in one of the last two epochs counts as still
    improving, anything else as level.
    """
    measures = history.history if history else {}
    training, validation = measures.get("loss", ()), measures.get("val_loss", ())
    epochs = len(training)
    finite = np.isfinite(training) & (np.isfinite(validation) if validation else True)
    if not finite.all():
        return _Course("broken", epochs, int(np.argmin(finite)) + 1)
    if not validation:
        return _Course("unknown", epochs)
    lowest = int(np.argmin(validation))
    if epochs < EPOCHS_FOR_A_TREND:
        verdict: Verdict = "too_short"
    elif min(validation[-2:]) > (1 + CLEAR_RISE) * validation[lowest]:
        verdict = "overfits" if training[-1] < training[lowest] else "unstable"
    else:
        verdict = "improving" if lowest >= epochs - 2 else "level"
    return _Course(verdict, epochs, lowest + 1, validation[lowest], validation[-1])


def _overall(evaluation: Evaluation) -> str:
    accuracy, images = evaluation.metrics["accuracy"], len(evaluation.true)
    share, low, high = (_percent(x) for x in (accuracy.value, accuracy.low, accuracy.high))
    tested, chance = _count(images, "test image"), 1 / len(evaluation.class_names)
    if _wrong(evaluation) in {0, images}:
        which = "the only test image" if images == 1 else f"all {tested}"
        text = f"The model names {which} {'wrongly' if _wrong(evaluation) else 'correctly'}."
    else:
        right_is_rare = accuracy.value < 0.5  # noqa: PLR2004
        rarer = accuracy.value if right_is_rare else 1 - accuracy.value
        text = (
            f"The model names {share} of {tested} correctly: "
            f"about {_one_in(rarer)} named {'correctly' if right_is_rare else 'wrongly'}."
        )
    text += f" With 95 % confidence, its true accuracy lies between {low} and {high}"
    if accuracy.low <= chance < 1:
        text += f": blind guessing, at {_percent(chance)}, is not clearly worse"
    return f"{text}."


def _hardest_class(evaluation: Evaluation) -> str:
    if _wrong(evaluation) == 0:
        return "No class is hard for the model: it recognises every image of every class."
    tested = [i for i, scores in enumerate(evaluation.per_class) if scores.support]
    lowest = min(evaluation.per_class[i].recall.value for i in tested)
    hardest = [i for i in tested if evaluation.per_class[i].recall.value == lowest]
    names = _listed([evaluation.class_names[i] for i in hardest])
    if len(hardest) > 1:
        everyone = len(hardest) == len(tested)
        who = "All classes are equally hard" if everyone else f"The hardest classes are {names}"
        return f"{who}: the model recognises {_percent(lowest)} of the images of each (recall)."
    images = _count(evaluation.per_class[hardest[0]].support, "image")
    return (
        f"The hardest class is {names}: the model recognises {_percent(lowest)} of its {images} "
        f"(recall). {_taken_for(evaluation, hardest[0])}"
    )


def _taken_for(evaluation: Evaluation, label: int) -> str:
    """Say what the missed images of a class, at least one, were taken for."""
    row = evaluation.confusion[label].copy()
    row[label] = 0
    missed, most = int(row.sum()), int(row.max())
    takers = [evaluation.class_names[i] for i in np.flatnonzero(row == most)]
    if missed == 1:
        return f"The one it misses is taken for {takers[0]}."
    if len(takers) == 1 and most == missed:
        return f"All {missed:,} that it misses are taken for {takers[0]}."
    return (
        f"The {missed:,} it misses are most often taken for {_listed(takers)} "
        f"({_count(most, 'image')}{' each' if takers[1:] else ''})."
    )


def _pairs(evaluation: Evaluation) -> list[tuple[int, int]]:
    """Return the most confused pairs, several if equally often; more frequent direction first."""
    both = np.triu(evaluation.confusion + evaluation.confusion.T, k=1)
    if both.max() == 0:
        return []
    counts, found = evaluation.confusion, np.argwhere(both == both.max()).tolist()
    return [(i, j) if counts[i, j] >= counts[j, i] else (j, i) for i, j in found]


def _confused_pair(evaluation: Evaluation) -> str:
    pairs = _pairs(evaluation)
    if not pairs:
        return "No two classes are confused with each other, not even once."
    one, other = (evaluation.class_names[i] for i in pairs[0])
    there, back = int(evaluation.confusion[pairs[0]]), int(evaluation.confusion[pairs[0][::-1]])
    text = (
        f"{one} and {other} are confused most often, {_count(there + back, 'time')} in all: "
        f"{_count(there, 'image')} of {one} {'was' if there == 1 else 'were'} taken for {other}, "
        f"and {f'{back:,}' if back else 'none'} the other way round."
    )
    if ties := len(pairs) - 1:
        text += f" {_count(ties, 'other pair')} {'is' if ties == 1 else 'are'} just as frequent."
    return text


def _overfitting(course: _Course, history: History | None) -> str:
    if not course.epochs:
        return "Whether training overfits cannot be said: no finished epoch is on record."
    after, count = course.best + 1, _count(course.epochs, "epoch")
    text = _COURSES[course.verdict].format(**asdict(course), after=after, count=count)
    if history and history.restored_epoch:
        text += f" The weights of epoch {history.restored_epoch} were kept."
    return text


def _final_accuracies(history: History | None) -> tuple[float, float] | None:
    """Return training and validation accuracy of the epoch whose weights the model has."""
    measures = history.history if history else {}
    training, validation = measures.get("accuracy"), measures.get("val_accuracy")
    if not (history and training and validation):
        return None
    kept = (history.restored_epoch or history.epochs) - 1
    return training[kept], validation[kept]


def _gap(history: History | None) -> str:
    final = _final_accuracies(history)
    if history is None or final is None:
        return "How far training and validation accuracy lie apart is not on record."
    gap = 100 * (final[0] - final[1])
    epoch = f"epoch {history.restored_epoch}" if history.restored_epoch else "the last epoch"
    if gap >= SMALL_GAP:
        least = "at least " if history.harder else ""
        meaning = (
            f"{least}that much of what it gets right in training does not carry over to new images"
        )
    elif history.harder:
        meaning = (
            "this says little, as the training images were changed at random and easy ones left "
            "out, which makes them harder"
        )
    elif abs(gap) < SMALL_GAP:
        meaning = "next to nothing, so what the model learns carries over to new images"
    else:
        meaning = (
            "common, as the training figure is a mean over an epoch in which the model "
            "was still learning, and with dropout switched on"
        )
    return (
        f"In {epoch} the training accuracy ({_percent(final[0])}) lies {abs(gap):.1f} percentage "
        f"points {'below' if gap < 0 else 'above'} the validation accuracy "
        f"({_percent(final[1])}): {meaning}."
    )


def _next_step(evaluation: Evaluation, history: History | None, course: _Course) -> str:
    """Choose one step: a broken training first, then a suspicion, training, and the data last."""
    if course.verdict in {"broken", "unstable"}:
        return "Try a smaller learning rate, for example a third of this one: training ran away."
    if _wrong(evaluation) == 0:
        return "Nothing was wrong, so look for a leak: check that no test image was trained on."
    if change := _train_otherwise(history, course):
        return change
    one, other = (evaluation.class_names[i] for i in _pairs(evaluation)[0])
    return (
        f"Look at the images of {one} and {other} that were taken for each other: "
        "if you cannot tell them apart either, check their labels; "
        "if you can, the model needs more such images."
    )


def _train_otherwise(history: History | None, course: _Course) -> str | None:
    """Choose a change to the training, or None if the history suggests none."""
    epochs = course.epochs
    if history and history.interrupted:
        return f"Let training finish: it was interrupted after {_count(epochs, 'epoch')}."
    if course.verdict == "overfits":
        return _stop_earlier(history, course)
    if course.verdict == "improving" or 0 < epochs < EPOCHS_FOR_A_TREND:
        return f"Train longer, for example {2 * epochs} epochs: the model has not levelled off yet."
    final = _final_accuracies(history)
    if course.verdict != "level" or final is None or (history and history.harder):
        return None
    if 100 * (final[0] - final[1]) >= SMALL_GAP:
        return None
    return (
        "Try a larger model, for example with twice the filters: training has levelled off "
        "and does no better on the images it learns from than on new ones."
    )


def _stop_earlier(history: History | None, course: _Course) -> str | None:
    """Choose a way out of overfitting, or None if the best weights were kept anyway."""
    if history and history.restored_epoch:
        return None
    if course.best < EPOCHS_FOR_A_TREND:
        return (
            f"Try more dropout: training overfits from epoch {course.best + 1} on, too soon to "
            "just stop."
        )
    return (
        f"Train for {course.best} epochs instead of {course.epochs}: after that, the model "
        "overfits."
    )


def _wrong(evaluation: Evaluation) -> int:
    return int(evaluation.confusion.sum() - np.trace(evaluation.confusion))


def _percent(share: float) -> str:
    """Write a share, 0 to 1; never '100.0 %' or '0.0 %' for what is not quite all or none."""
    digits = 1
    while 0 < share < 1 and float(f"{100 * share:.{digits}f}") in {0.0, 100.0}:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def _one_in(share: float) -> str:
    """Write a share, above 0 and at most 0.5, as '1 image in 12 is' or '4 images in 10 are'."""
    tenths = round(10 * share)
    few = tenths <= 3  # noqa: PLR2004  # above, 1 in N steps too coarsely: 1 in 3, then 1 in 2
    return f"1 image in {round(1 / share):,} is" if few else f"{tenths} images in 10 are"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
