"""Rules about the classes: the hardest ones, and those most often confused."""

import numpy as np
from numpy.typing import NDArray

from apparel.core.messages import count
from apparel.core.records import Evaluation, Evidence, Finding
from apparel.evaluation.intervals import wilson_interval
from apparel.explain.findings.wording import listed, percent

# Of a class's images predicted as one of two classes, the share predicted correctly: half-way
# between guessing and telling the two apart. Both classes must lie below it: where only one does,
# the model is biased towards the other, and further training may mend that.
BARELY_TOLD_APART = 0.75
# Two classes are often confused if the accuracy on their images alone, as a two-class problem,
# would be below 95 %.
OFTEN_CONFUSED = 0.05
# Their confusions must also be this many times those of the average pair: some pair is always the
# first, even where errors are spread evenly.
TIMES_THE_AVERAGE = 2
# Number of classes named that images of the hardest one are taken for; the rest is summed up.
MOST_NEIGHBOURS = 3


def hardest_class(evidence: Evidence) -> Finding | None:
    """Name the class with a clearly lower recall than the others, and its neighbours.

    Weight: the share of the test images that are missed images of this class.
    """
    evaluation = evidence.evaluation
    hardest = _hardest(evaluation)
    if not hardest:
        return None
    missed = _missed(evaluation, hardest)
    names = listed([evaluation.class_names[i] for i in hardest])
    scores, many = evaluation.per_class[hardest[0]], len(hardest) > 1
    images = "the images of each" if many else f"its {count(scores.support, 'image')}"
    text = (
        f"The hardest {'classes are' if many else 'class is'} {names}: the model recognises "
        f"{percent(scores.recall.value)} of {images} (recall), and "
        f"{percent(evaluation.metrics['accuracy'].value)} of all. "
        f"{_taken_for(missed.sum(axis=0), evaluation.class_names)}"
    )
    one, other = np.unravel_index(missed.argmax(), missed.shape)
    if 2 * missed.max() < missed.sum():
        advice = f"Add clearer training images of {names}: no single class draws most of them away."
    else:
        advice = _tell_apart(evaluation, hardest[int(one)], int(other))
    weight = float(missed.sum() / evaluation.confusion.sum())
    return Finding(topic="hardest_class", text=text, advice=advice, weight=weight)


def _hardest(evaluation: Evaluation) -> list[int]:
    """The classes with the lowest recall, if it is clearly low; several if they are equal.

    Clearly: the intervals of recall and accuracy do not overlap. For the lowest of ten classes that
    are equally hard, chance does that in at most 1 test of 20, but puts the recall's interval below
    the accuracy's value in 1 of 5. The interval of a class without images ends at 1.
    """
    accuracy = evaluation.metrics["accuracy"]
    recalls = {
        i: scores.recall.value
        for i, scores in enumerate(evaluation.per_class)
        if scores.recall.high < accuracy.low
    }
    return [i for i, recall in recalls.items() if recall == min(recalls.values())]


def _missed(evaluation: Evaluation, labels: list[int]) -> NDArray[np.int64]:
    """Number of images of each label taken for each other class, shape (len(labels), k)."""
    missed = evaluation.confusion[labels]
    # Rows by a list of indices are a copy.
    missed[np.arange(len(labels)), labels] = 0
    return missed


def _neighbours(missed: NDArray[np.int64]) -> list[int]:
    """The classes to be named that images were taken for, most frequent first."""
    takers = [int(i) for i in np.argsort(-missed, kind="stable") if missed[i]]
    # "1 other class" is shorter by its name.
    return takers if len(takers) <= MOST_NEIGHBOURS + 1 else takers[:MOST_NEIGHBOURS]


def _taken_for(missed: NDArray[np.int64], names: tuple[str, ...]) -> str:
    """A sentence on the classes that missed images, shape (k,), at least one, were taken for."""
    total, neighbours = int(missed.sum()), _neighbours(missed)
    if len(neighbours) == 1:
        name = names[neighbours[0]]
        which = "The one it misses is" if total == 1 else f"All {total:,} that it misses are"
        return f"{which} taken for {name}."
    shares = [f"{missed[i]:,} for {names[i]}" for i in neighbours]
    if rest := total - int(missed[neighbours].sum()):
        shares.append(f"{rest:,} for other classes")
    return f"Of the {total:,} it misses, it takes {listed(shares)}."


def confused_pair(evidence: Evidence) -> Finding | None:
    """Name the two classes most often confused that `hardest_class` does not name.

    Weight: the share of the test images of either class that were taken for the other.
    """
    evaluation = evidence.evaluation
    pairs = _most_confused(evaluation)
    if not pairs or not _stands_out(evaluation, *pairs[0]):
        return None
    first, second = pairs[0]
    one, other = evaluation.class_names[first], evaluation.class_names[second]
    there, back = int(evaluation.confusion[pairs[0]]), int(evaluation.confusion[pairs[0][::-1]])
    of_both = evaluation.per_class[first].support + evaluation.per_class[second].support
    text = (
        f"{one} and {other} are often confused, {count(there + back, 'time')} in "
        f"{count(of_both, 'image')}: {count(there, 'image')} of {one} "
        f"{'was' if there == 1 else 'were'} taken for {other}, "
        f"and {f'{back:,}' if back else 'none'} the other way round."
    )
    if ties := len(pairs) - 1:
        text += f" {count(ties, 'other pair')} {'is' if ties == 1 else 'are'} just as frequent."
    return Finding(
        topic="confused_pair",
        text=text,
        advice=_tell_apart(evaluation, first, second),
        weight=float((there + back) / evaluation.confusion.sum()),
    )


def _most_confused(evaluation: Evaluation) -> list[tuple[int, int]]:
    """The most confused pairs without those of the hardest class; several if equally frequent.

    The more frequent direction comes first.
    """
    counts = evaluation.confusion
    both = np.triu(counts + counts.T, k=1)
    if hardest := _hardest(evaluation):
        named = _neighbours(_missed(evaluation, hardest).sum(axis=0))
        for label in hardest:
            both[label, named] = both[named, label] = 0
    if both.max() == 0:
        return []
    found = np.argwhere(both == both.max()).tolist()
    return [(i, j) if counts[i, j] >= counts[j, i] else (j, i) for i, j in found]


def _stands_out(evaluation: Evaluation, one: int, other: int) -> bool:
    """Test whether two classes are confused often, and more often than other pairs."""
    counts, k = evaluation.confusion, len(evaluation.class_names)
    confused = int(counts[one, other] + counts[other, one])
    average = (counts.sum() - np.trace(counts)) / (k * (k - 1) / 2)
    if confused < TIMES_THE_AVERAGE * average:
        return False
    return wilson_interval(confused, int(counts[[one, other]].sum())).low > OFTEN_CONFUSED


def _tell_apart(evaluation: Evaluation, one: int, other: int) -> str:
    """Advice on two classes of which some images were taken for the other."""
    names = f"{evaluation.class_names[one]} and {evaluation.class_names[other]}"
    pair = evaluation.confusion[np.ix_((one, other), (one, other))]
    if (np.diag(pair) < BARELY_TOLD_APART * pair.sum(axis=1)).all():
        return (
            f"Merge {names} into one class if you can do without the difference: of their images "
            f"predicted as one of the two, only {percent(np.trace(pair) / pair.sum())} are right."
        )
    return (
        f"Look at the images of {names} that were taken for each other: if you cannot tell them "
        "apart either, check their labels; if you can, the model needs more such images."
    )
