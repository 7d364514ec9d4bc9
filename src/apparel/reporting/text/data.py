"""Lines about the data: what a check found, and what training does about it."""

from collections.abc import Mapping, Sequence

from apparel.core.messages import count, printable
from apparel.core.records import (
    FEWEST_TO_TRAIN,
    IMBALANCE,
    CheckedImage,
    CopiedImage,
    DataCheck,
    Splits,
)

# Number of names in a line.
MOST_NAMES = 3
CLEAN = (
    "The data are clean: no test image is also trained on, no image has two labels, and every file "
    "can be read."
)


def check_lines(check: DataCheck) -> str:
    """Describe the data: source and size, images of each class and split, and all problems."""
    return f"{_heading(check)}\n\n{_table(check)}\n\n{check_summary(check)}"


def check_summary(check: DataCheck) -> str:
    """List the problems, a line for each kind, or say that there are none."""
    in_validation = check.duplicates_between("training", "validation")
    within_splits = [pair for pair in check.duplicates if len(pair.splits) == 1]
    lines = (
        check.leaked_training and _leaks(check),
        check.conflicts and _conflicts(check.conflicts),
        check.unreadable and _unreadable(check.unreadable),
        in_validation and _in_validation(in_validation),
        within_splits and _within_splits(within_splits),
        check.small_classes and _small_classes(check.small_classes),
        check.imbalance > IMBALANCE and _imbalance(check),
        check.unusual and _unusual(check.unusual),
        check.blank and _blank(check.blank),
    )
    return "\n".join(line for line in lines if line) or CLEAN


def left_out_line(check: DataCheck) -> str:
    """Report the training images left out as leaks; empty where there is none."""
    n = len(check.leaked_training)
    if not n:
        return ""
    return (
        f"{count(n, 'training image')} that {_verb(n, 'duplicates', 'duplicate')} test "
        f"images {_verb(n, 'was', 'were')} left out. --keep-leaks keeps them.\n"
    )


def class_weights_line(splits: Splits) -> str:
    """Report class weights; empty where all images count the same."""
    if splits.class_weights is None:
        return ""
    present = [n for n in splits.images_per_class["training"] if n]
    return (
        f"Class weights: the largest class has {max(present):,} training images and the smallest "
        f"{min(present):,}, so classes count equally instead of images.\n"
    )


def _heading(check: DataCheck) -> str:
    height, width, channels = check.img_shape
    kind = "grey" if channels == 1 else "coloured"
    total = sum(map(sum, check.images_per_class.values()))
    heading = f"{check.source}: {total:,} {kind} images of {height} x {width}"
    if not set(check.sizes) - {(height, width)}:
        return heading
    common = max(check.sizes, key=lambda size: check.sizes[size])
    low, high = min(check.sizes), max(check.sizes)
    return (
        f"{heading} (height x width), resized from {count(len(check.sizes), 'size')}, "
        f"{low[0]} x {low[1]} to {high[0]} x {high[1]}, most often {common[0]} x {common[1]}"
    )


def _table(check: DataCheck) -> str:
    """Images of each class and split, in columns."""
    splits = check.images_per_class
    names = [*map(printable, check.class_names), "all"]
    width = max(map(len, [*names, "class"]))
    columns = [[*counts, sum(counts)] for counts in splits.values()]
    rows = [
        f"{name:<{width}}" + "".join(f"  {number:>10,}" for number in counts)
        for name, *counts in zip(names, *columns, strict=True)
    ]
    return "\n".join([f"{'class':<{width}}" + "".join(f"  {name:>10}" for name in splits), *rows])


def _leaks(check: DataCheck) -> str:
    n = len(check.leaked_training)
    return (
        f"{count(n, 'training image')} {_verb(n, 'shows', 'show')} the same as a test "
        f"image ({_pairs(check.leaks)}): training on them would inflate the accuracy. "
        "`apparel check --fix FILE` writes a table without them (image files only)."
    )


def _conflicts(pairs: Sequence[CopiedImage]) -> str:
    n = len({image for pair in pairs for image in (pair.first, pair.second)})
    shown = [
        " and ".join(
            f"{printable(image.name)}: {printable(image.label)}"
            for image in (pair.first, pair.second)
        )
        for pair in pairs[:MOST_NAMES]
    ]
    return (
        f"{count(n, 'image')} show the same as another with a different label "
        f"({_listed(shown, len(pairs))}): a model cannot learn both. Correct the wrong label, or "
        "leave both out with `apparel check --fix`."
    )


def _unreadable(problems: Mapping[str, str]) -> str:
    names, first_reason = list(problems), next(iter(problems.values()))
    # The reason names the first file.
    shown = f" ({_names(names)})" if len(names) > 1 else ""
    return f"{count(len(names), 'file')} cannot be read{shown}: {printable(first_reason)}"


def _in_validation(pairs: Sequence[CopiedImage]) -> str:
    return (
        f"{count(len(pairs), 'image')} {_verb(len(pairs), 'is', 'are')} in training and "
        f"validation ({_pairs(pairs)}): this inflates the validation accuracy. Keep each in only "
        "one of them."
    )


def _within_splits(pairs: Sequence[CopiedImage]) -> str:
    exact = sum(pair.exact for pair in pairs)
    advice = " `apparel check --fix` leaves out those with the same pixels." if exact else ""
    return (
        f"{count(len(pairs), 'image')} {_verb(len(pairs), 'duplicates', 'duplicate')} an earlier "
        f"one of the same split, {exact:,} with the same pixels ({_pairs(pairs)}): they count more "
        f"than others.{advice}"
    )


def _small_classes(found: Mapping[str, int]) -> str:
    shown = [f"{printable(name)} {number}" for name, number in found.items()]
    return (
        f"{count(len(found), 'class', 'classes')} {_verb(len(found), 'has', 'have')} fewer than "
        f"{FEWEST_TO_TRAIN} training images ({_listed(shown, len(shown))}): single images decide "
        "what is learnt of them. Add images, or leave the class out."
    )


def _imbalance(check: DataCheck) -> str:
    counts = check.images_per_class["training"]
    present = {name: n for name, n in zip(check.class_names, counts, strict=True) if n}
    largest, smallest = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    return (
        f"{printable(largest)} has {check.imbalance:.1f} times as many training images as "
        f"{printable(smallest)}: training weights all classes equally. Read the balanced accuracy, "
        "or add images of the small classes."
    )


def _unusual(images: Sequence[CheckedImage]) -> str:
    n = len(images)
    return (
        f"{count(n, 'image')} {_verb(n, 'is', 'are')} unlike the rest "
        f"({_names([image.name for image in images])}): check that "
        f"{_verb(n, 'it belongs', 'they belong')} to the data."
    )


def _blank(images: Sequence[CheckedImage]) -> str:
    n = len(images)
    return (
        f"{count(n, 'image')} {_verb(n, 'is', 'are')} blank "
        f"({_names([image.name for image in images])}): remove {_verb(n, 'it', 'them')}."
    )


def _pairs(pairs: Sequence[CopiedImage]) -> str:
    """The first pairs by name."""
    shown = [
        f"{printable(pair.first.name)} and {printable(pair.second.name)}"
        + (" mirrored" if pair.mirrored else "")
        for pair in pairs[:MOST_NAMES]
    ]
    return _listed(shown, len(pairs))


def _names(names: Sequence[str]) -> str:
    """The first names."""
    return _listed([printable(name) for name in names[:MOST_NAMES]], len(names))


def _listed(shown: Sequence[str], n: int) -> str:
    """The first of `n` items in a line."""
    return "; ".join(shown[:MOST_NAMES]) + ("; …" if n > MOST_NAMES else "")


def _verb(n: int, one: str, many: str) -> str:
    return one if n == 1 else many
