"""The section of the page about the data: how many images, and those that spoil a result."""

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from apparel.core.messages import printable
from apparel.core.records import CheckedImage, CopiedImage, Report
from apparel.reporting.html.pictures import picture
from apparel.reporting.text import check_summary, left_out_line

# Of each kind.
MOST_PAIRS, MOST_IMAGES, MOST_FILES = 12, 24, 100


def data_section(report: Report) -> dict[str, Any] | None:
    """Gather what the page says of the data; None where they were not checked."""
    check = report.check
    if check is None:
        return None
    # Of leaks, the page has pictures already.
    near = [
        pair
        for pair in check.duplicates
        if not pair.exact and (pair.splits == {"test"} or "test" not in pair.splits)
    ]
    # Only where leaks were kept is there an accuracy without them.
    kept = "accuracy_without_leaks" in report.evaluation.metrics
    leaks = "Trained on and tested on" if kept else "Tested on, so left out of training"
    lines = check_summary(check) if kept else f"{check_summary(check)}\n{left_out_line(check)}"
    pairs = {
        leaks: check.leaks,
        "The same image with two labels": check.conflicts,
        "Nearly the same": near,
    }
    images = {"Unlike the rest": check.unusual or (), "Blank": check.blank or ()}
    return {
        "lines": [_with_code(line) for line in lines.splitlines()],
        "splits": list(check.images_per_class),
        "rows": _rows(check.class_names, list(check.images_per_class.values())),
        "pairs": [_pairs(title, found, report) for title, found in pairs.items() if found],
        "images": [_images(title, found, report) for title, found in images.items() if found],
        "n_unreadable": len(check.unreadable),
        "unreadable": [
            (printable(name), printable(why))
            for name, why in list(check.unreadable.items())[:MOST_FILES]
        ],
    }


def _with_code(line: str) -> Markup:
    """Set what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(line))))  # noqa: S704  # escaped


def _rows(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, list[int]]]:
    """How many images each class has in each split, and all of them together."""
    classes = zip(names, *counts, strict=True)
    return [
        *((name, list(of_splits)) for name, *of_splits in classes),
        ("all", [sum(of_split) for of_split in counts]),
    ]


def _pairs(title: str, found: Sequence[CopiedImage], report: Report) -> dict[str, Any]:
    """The first pairs with their pictures."""
    return {
        "title": title,
        "count": len(found),
        "shown": [
            {
                "first": _image(pair.first, report),
                "second": _image(pair.second, report),
                "likeness": _likeness(pair),
            }
            for pair in found[:MOST_PAIRS]
        ],
    }


def _likeness(pair: CopiedImage) -> str:
    """How like two images are, in a word or two."""
    pixels = "the same pixels" if pair.exact else "nearly the same pixels"
    return f"{pixels}, mirrored" if pair.mirrored else pixels


def _images(title: str, found: Sequence[CheckedImage], report: Report) -> dict[str, Any]:
    """The first images with their pictures."""
    return {
        "title": title,
        "count": len(found),
        "shown": [_image(image, report) for image in found[:MOST_IMAGES]],
    }


def _image(image: CheckedImage, report: Report) -> dict[str, str]:
    """A picture, and what its image is called."""
    images = report.test_images if image.split == "test" else report.train_images
    return {
        "name": printable(image.name),
        "label": image.label,
        "split": image.split,
        "image": picture(images[image.index]),
    }
